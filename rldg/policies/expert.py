"""`Expert`: a scripted policy that knows where the target is; clean, deterministic, and nobody's habits."""

import numpy as np

from rldg import geometry
from rldg.env.types import ACTION_DIMENSION, ActionContract, Observation
from rldg.policies.base import Policy, PolicyMetadata
from rldg.tasks.task import Task

GAIN = 1.5  # commanded displacement over remaining displacement; above 1 it makes up for the set-point's low-pass
MISALIGNMENT = np.array([0.0015, 0.03])  # lateral [m] and angular [rad] error up to which it descends
MARGIN = 0.004  # height of the plug's tip over the socket's mouth while it aligns [m]
ENTERED = 0.002  # depth at which the plug counts as past the socket's lead-in [m]
PRESS = 0.004  # how far beyond full insertion it aims, so that the last millimetre meets a force [m]
UNKNOWN_DEPTH = 0.015  # assumed where the task does not tell the insertion depth [m]


class Expert(Policy):
    """Aligns x, y and rotation above the socket while it comes down to its mouth, then goes straight in."""

    metadata = PolicyMetadata(kind="expert")

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode; nothing here is random."""
        self._contract = ActionContract.of(task)
        mouth = -(task.sim.geometry.entry if task.sim else UNKNOWN_DEPTH)
        self._hover, self._entered = mouth - MARGIN, mouth + ENTERED  # z in the target frame, which points down

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7) towards the waypoint, from the privileged pose in the target frame."""
        pose = observation["privileged"]["tcp_in_target"].astype(np.float64)
        angle = geometry.rotation_vector(pose)
        aligned = np.hypot(*pose[:2]) < MISALIGNMENT[0] and np.linalg.norm(angle) < MISALIGNMENT[1]
        inside = pose[2] > self._entered
        waypoint = np.array([0.0, 0.0, PRESS if aligned or inside else self._hover])
        action = np.zeros(ACTION_DIMENSION)
        action[:6] = GAIN * geometry.unrotate_twist(pose, np.concatenate([waypoint - pose[:3], -angle]))
        return self._contract.to_normalized(action)[None]

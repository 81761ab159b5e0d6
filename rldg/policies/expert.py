"""`Expert`: a scripted policy that knows where everything is; clean, deterministic, and nobody's habits."""

import numpy as np

from rldg import geometry
from rldg.env.types import ACTION_DIMENSION, ActionContract, Observation
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.script import Script, Stage
from rldg.policies.world_expert import WorldExpert, make_world_expert
from rldg.tasks.task import Task
from rldg.tasks.world import WorldTask

GAIN = 1.5  # commanded displacement over remaining displacement; above 1 it makes up for the set-point's low-pass
MISALIGNMENT = np.array([0.0015, 0.03])  # lateral [m] and angular [rad] error up to which it descends
MARGIN = 0.004  # height of the plug's tip over the socket's mouth while it aligns [m]
PRESS = 0.004  # how far beyond full insertion it aims, so that the last millimetre meets a force [m]


class Expert(Policy):
    """Aligns x, y and rotation above where something goes while it comes down to it, then goes straight in.

    On a benchmark's task it is that benchmark's script instead (`rldg.policies.world_expert`).
    """

    metadata = PolicyMetadata(kind="expert")
    _world: WorldExpert | None = None

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode; nothing here is random."""
        self._contract = ActionContract.of(task)
        if isinstance(task, WorldTask):
            self._world = make_world_expert(task)
        else:
            self._world, self._script = None, Script(task, MARGIN)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7) towards the waypoint, from what is privileged."""
        if self._world is not None:
            return self._world.act(observation)[None]
        stage = self._script.stage(observation)
        action = np.zeros(ACTION_DIMENSION)
        if not stage.still:
            action[:6] = GAIN * geometry.unrotate_twist(stage.pose, _remaining(stage))
        action[6] = (stage.gripper + 1) / 2
        return self._contract.to_normalized(action)[None]


def _remaining(stage: Stage) -> np.ndarray:
    """Motion (6) to the next waypoint, in the frame of where it goes."""
    pose = stage.pose
    angle = geometry.rotation_vector(pose)
    if stage.is_low(pose):
        return np.array([0, 0, stage.hover - pose[2], 0, 0, 0])
    off = np.array([np.hypot(*pose[:2]), np.linalg.norm(angle)])
    aligned = (off < stage.slack * MISALIGNMENT).all()
    inside = pose[2] > stage.entered
    way_in = PRESS if stage.contact else 0.0
    waypoint = np.array([0.0, 0.0, way_in if aligned or inside else stage.hover])
    return np.concatenate([waypoint - pose[:3], -angle])

"""Conditions on what a robot measures: as a reward written by hand, and as a guard of other judges."""

import numpy as np

from rldg import geometry
from rldg.env.types import Observation
from rldg.robots.base import Contact
from rldg.tasks.conditions import Conditions, Quantity


def measured(observation: Observation) -> dict[Quantity, float]:
    """Everything that conditions can be about, in the units of `rldg.tasks.conditions`."""
    state, pose = observation["state"], observation["privileged"]["tcp_in_target"].astype(np.float64)
    x, y, z = pose[:3].tolist()
    roll, pitch, yaw = geometry.euler(pose).tolist()
    force_x, force_y, force_z = state["tcp_force"].tolist()
    return {
        "x": x,
        "y": y,
        "z": z,
        "roll": roll,
        "pitch": pitch,
        "yaw": yaw,
        "distance": float(np.linalg.norm(pose[:3])),
        "angle": float(np.linalg.norm(geometry.rotation_vector(pose))),
        "speed": float(np.linalg.norm(state["tcp_vel"][:3])),
        "gripper": float(state["gripper_pose"][0]),
        "force": float(np.linalg.norm(state["tcp_force"])),
        "force_x": force_x,
        "force_y": force_y,
        "force_z": force_z,
        "torque": float(np.linalg.norm(state["tcp_torque"])),
    }


def satisfied(conditions: Conditions, observation: Observation) -> bool:
    """Whether every quantity that `conditions` name lies within its bounds."""
    found = measured(observation) if conditions else {}
    return all(
        (bounds.at_least is None or found[name] >= bounds.at_least)
        and (bounds.at_most is None or found[name] <= bounds.at_most)
        for name, bounds in conditions.items()
    )


class ConditionsJudge:
    """Success while what the robot measures is within bounds: a reward without a model."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def reset(self) -> None:
        """Begins an episode."""

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """Whether every condition holds."""
        return satisfied(self._conditions, observation)

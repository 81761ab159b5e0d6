"""Judgements about something that was grasped: it lies where it belongs, and the gripper has let go."""

import numpy as np

from rldg.env.types import Observation
from rldg.robots.base import Contact
from rldg.tasks.task import Placed

LET_GO = 0.6  # opening of the gripper (0 closed .. 1 open) beyond which it holds nothing
RESTING = 0.002  # metres per control step that still count as rest


def let_go(observation: Observation) -> bool:
    """Whether the gripper is too far open to hold anything."""
    return bool(observation["state"]["gripper_pose"][0] > LET_GO)


class PlacedJudge:
    """The object is near its target, the gripper is open, and the object no longer moves."""

    def __init__(self, criterion: Placed):
        self._criterion = criterion
        self.reset()

    def reset(self) -> None:
        """Begins an episode."""
        self._before, self._rested = np.full(3, np.inf), 0

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """True once the object has rested there for the asked number of consecutive steps."""
        position = observation["privileged"]["object_in_target"][:3]
        resting = np.linalg.norm(position - self._before) < RESTING
        inside = np.hypot(*position[:2]) < self._criterion.radius and abs(position[2]) < self._criterion.height
        self._before = position
        self._rested = self._rested + 1 if inside and resting and let_go(observation) else 0
        return self._rested >= self._criterion.hold_steps

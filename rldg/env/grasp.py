"""What becomes of an object in the course of an episode: whether it was held, and whether it is out of reach."""

import numpy as np

from rldg.env.types import Observation
from rldg.tasks.box import Box

HELD = 0.02  # metres between tool and grasp frame within which closed fingers hold an object
BEYOND = 0.03  # metres outside the workspace at which nothing can be reached any more
TIPPED = 1.0  # radians from upright at which an object lies on its side


class GraspMonitor:
    """Follows the object of one episode; `workspace` is the task's, in the target frame."""

    def __init__(self, workspace: Box):
        self._low, self._high = np.array(workspace.low[:3]) - BEYOND, np.array(workspace.high[:3]) + BEYOND
        self.reset()

    def reset(self) -> None:
        """Begins an episode: nothing was held, and the object is where it can be grasped."""
        self._was_held = self.held = self.lost = False

    def update(self, observation: Observation, closed: bool) -> None:
        """After every control step; `closed` says whether the gripper is told to close."""
        privileged = observation["privileged"]
        position, quaternion = privileged["object_in_target"][:3], privileged["object_in_target"][3:]
        self.held = closed and bool(np.linalg.norm(privileged["object_in_tcp"][:3]) < HELD)
        self._was_held |= self.held
        outside = (position < self._low).any() or (position > self._high).any()
        x, y = quaternion[:2].tolist()
        tipped = 1 - 2 * (x * x + y * y) < np.cos(TIPPED)
        self.lost = bool(outside or tipped) and not self.held

    @property
    def dropped(self) -> bool:
        """Whether it was held before and is not any more."""
        return self._was_held and not self.held

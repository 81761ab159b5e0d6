"""When an episode has succeeded, by each kind of judgement a task may ask for."""

from typing import Protocol

import numpy as np

from rldg import geometry
from rldg.env.placed import PlacedJudge, let_go
from rldg.env.types import Observation
from rldg.errors import RldgError
from rldg.robots.base import Contact
from rldg.tasks.task import InsertionDepth, Placed, PoseThreshold, Task


class Judge(Protocol):
    """Decides after every control step; `reset` begins an episode."""

    def reset(self) -> None:
        """Forgets the last episode."""
        ...

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """Whether the task is done, from what was observed and the simulator's ground truth about the contact."""
        ...


class DepthJudge:
    """The plug has been at depth inside the socket, let go where that is asked, no wall giving way by the clearance."""

    def __init__(self, criterion: InsertionDepth, full_depth: float):
        self._depth, self._hold = criterion.fraction * full_depth, criterion.hold_steps
        self._released = criterion.released
        self._held = 0

    def reset(self) -> None:
        """Begins an episode."""
        self._held = 0

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """True once the depth has been held for the asked number of consecutive steps."""
        assert contact is not None
        deep_enough = contact.depth >= self._depth and contact.penetration < contact.clearance
        done = deep_enough and (not self._released or let_go(observation))
        self._held = self._held + 1 if done else 0
        return self._held >= self._hold


class ThresholdJudge:
    """The tool is within a tolerance of the target pose."""

    def __init__(self, criterion: PoseThreshold):
        self._tolerance = np.array(criterion.tolerance)

    def reset(self) -> None:
        """Begins an episode."""

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """True while every component is within its tolerance."""
        pose = observation["privileged"]["tcp_in_target"].astype(np.float64)
        error = np.concatenate([pose[:3], geometry.rotation_vector(pose)])
        return bool((np.abs(error) <= self._tolerance).all())


def make_judge(task: Task, ground_truth: bool) -> Judge:
    """The judge that `task` asks for; `ground_truth` says whether the robot can tell insertion depth.

    Raises `RldgError` for a judgement that this set-up cannot make.
    """
    match task.success:
        case InsertionDepth() if ground_truth and task.sim is not None:
            return DepthJudge(task.success, task.sim.geometry.full_depth)
        case Placed() if ground_truth and task.gripper == "binary":
            return PlacedJudge(task.success)
        case PoseThreshold():
            return ThresholdJudge(task.success)
        case other:
            raise RldgError(
                f"Task '{task.name}' is judged by '{other.kind}', which this station cannot do; "
                f"use 'pose_threshold', or in simulation 'insertion_depth' or, with a binary gripper, 'placed'."
            )

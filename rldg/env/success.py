"""When an episode has succeeded, by each kind of judgement a task may ask for."""

from typing import Protocol

import numpy as np

from rldg import geometry
from rldg.env.classifier_judge import Look, classifier_judge
from rldg.env.conditions import ConditionsJudge
from rldg.env.measured_depth import MeasuredDepthJudge
from rldg.env.operator import OperatorJudge
from rldg.env.placed import PlacedJudge, let_go
from rldg.env.types import Observation
from rldg.errors import RldgError
from rldg.robots.base import Contact
from rldg.robots.terminal_key import TerminalKey
from rldg.tasks.task import (
    GroundTruth,
    InsertionDepth,
    JudgedApart,
    JudgedByClassifier,
    JudgedByConditions,
    JudgedByOperator,
    JudgedByWorld,
    Placed,
    PoseThreshold,
    Task,
)


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


def make_judge(task: Task, ground_truth: bool, look: Look) -> Judge:
    """The judge that `task` asks for.

    Args:
        task: whose success is to be judged.
        ground_truth: whether the robot can tell what only a simulator knows, such as insertion depth.
        look: takes pictures, for judges that need them.

    Raises:
        RldgError: this set-up cannot make that judgement.
        CheckpointError: the reward classifier is missing or damaged.
    """
    match task.success:
        case JudgedByClassifier() as rule:
            return classifier_judge(task, rule, look)
        case JudgedByOperator():
            return OperatorJudge(TerminalKey())
        case JudgedByConditions(conditions=conditions):
            return ConditionsJudge(conditions)
        case JudgedByWorld():
            raise RldgError(
                f"Task '{task.name}' is judged by its benchmark, whose world this command does not know; rldg collect, "
                f"evaluate and irevla do."
            )
        case criterion:
            return _true_judge(task, criterion, ground_truth)


def make_truth(task: Task, ground_truth: bool) -> Judge | None:
    """What says whether the judge of `task` is right; None if that is not known here, or the judge is the truth."""
    rule = task.success
    if not ground_truth or not isinstance(rule, JudgedApart) or rule.truth is None:
        return None
    return _true_judge(task, rule.truth, ground_truth)


def _true_judge(task: Task, criterion: GroundTruth, ground_truth: bool) -> Judge:
    match criterion:
        case InsertionDepth() if ground_truth and task.sim is not None:
            return DepthJudge(criterion, task.sim.geometry.full_depth)
        case InsertionDepth() if task.sim is not None:
            return MeasuredDepthJudge(criterion, task.sim.geometry, grasped=task.gripper == "binary")
        case Placed() if ground_truth and task.gripper == "binary":
            return PlacedJudge(criterion)
        case PoseThreshold():
            return ThresholdJudge(criterion)
        case other:
            raise RldgError(
                f"Task '{task.name}' is judged by '{other.kind}', which only simulation can tell; extend it by a "
                f"task file with 'success: {{kind: operator}}', 'conditions' or 'classifier' (docs/station.md)."
            )

"""Who says which pictures show a success: a source of labels, asked once after every control step."""

from typing import Protocol

from rldg.env.operator import Switch
from rldg.env.types import StepInfo
from rldg.errors import RldgError
from rldg.rollout import Subscriber, Transition


class LabelSource(Protocol):
    """Says of what is seen right now whether it is a success."""

    def __call__(self, info: StepInfo) -> bool:
        """The label, of a control step that has just ended."""
        ...


def truth(info: StepInfo) -> bool:
    """The simulator's truth as the source of labels. Raises `RldgError` where it is not known."""
    if info.truth is None:
        raise RldgError("The truth about success is known in simulation only; on a robot, label by holding a key.")
    return info.truth


class HeldSwitch:
    """Success while an operator holds a switch: a key, a SpaceMouse's button, a button on a page."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def __call__(self, info: StepInfo) -> bool:
        """Whether it is held."""
        return self._switch.held()


class Labelling(Subscriber):
    """Collects the labels of a rollout's observations, and the truth where it is known: entry t is of observation t."""

    def __init__(self, source: LabelSource) -> None:
        self._source = source

    def begin(self, observation: object) -> None:
        """The first observation, right after a reset, is no success."""
        self.labels: list[bool] = [False]
        self.truths: list[bool | None] = [False]

    def step(self, transition: Transition) -> None:
        """Labels what followed."""
        self.labels.append(self._source(transition.after))
        self.truths.append(transition.after.truth)

"""What an operator's device tells at a moment, and what a device is."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from rldg.env.types import Observation
from rldg.errors import DeviceError
from rldg.tasks.task import Task

Word = Literal["", "begin", "success", "failure", "discard", "stop"]
# The base frame's axes in the reset pose's frame, where the tool points down; and the other way round.
DOWN = np.array([1.0, -1.0, -1.0, 1.0, -1.0, -1.0])
REST = 0.001  # norm of a deflection up to which a hand counts as resting (HIL-SERL)


@dataclass(frozen=True)
class Hand:
    """How far the hand is deflected, and what it pressed since it was last asked."""

    # Shares of full deflection along and about the base frame's axes: x away from the robot, y to its left, z up.
    twist: np.ndarray = field(default_factory=lambda: np.zeros(6))
    gripper: float = 0.0  # -1 close, 1 open, 0 as it is
    word: Word = ""

    @property
    def acts(self) -> bool:
        """Whether the operator does anything with the arm."""
        return bool(np.linalg.norm(self.twist) > REST or self.gripper)


class Device(Protocol):
    """A SpaceMouse, a gamepad, a keyboard, a page. Opened when the first episode begins."""

    name: str
    waits: bool  # whether an episode waits for the word "begin"

    def open(self) -> None:
        """Begins to listen. Raises `DeviceError` if the device, or the package for it, is missing."""
        ...

    def begin(self, task: Task) -> None:
        """An episode begins."""
        ...

    def show(self, observation: Observation, recording: bool) -> None:
        """What the operator may see, before each action; `recording` is false until the episode has begun."""
        ...

    def read(self) -> Hand:
        """The hand as it is now; never waits."""
        ...


def facing(right: float, away: float, up: float) -> tuple[float, float, float]:
    """A direction or a turning axis as a person who faces the robot means it, along the base frame's axes."""
    return -away, right, up


def missing(name: str, package: str) -> DeviceError:
    """What is said where the package for a device is not installed."""
    return DeviceError(f"The {name} needs the package {package}: pip install 'rldg[teleop]'.")

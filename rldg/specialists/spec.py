"""`AgentSpec`: what an agent sees and does. With its weights, it is all that acting needs."""

from dataclasses import dataclass

import numpy as np

from rldg.specialists.arrays import Arrays
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.features import dimension, features
from rldg.tasks.task import Task


@dataclass(frozen=True)
class AgentSpec:
    """Which parts of an observation reach the networks, and how many numbers the actor emits."""

    actions: int  # a twist, and a gripper command where the gripper moves
    observe_force: bool = False

    @classmethod
    def of(cls, config: SpecialistConfig, task: Task) -> "AgentSpec":
        """What `config` makes of `task`."""
        return cls(6 if task.gripper == "fixed" else 7, config.observe_force)

    def observe(self, state: dict[str, np.ndarray], privileged: dict[str, np.ndarray]) -> Arrays:
        """The named parts, of one observation or of an episode's stacked ones."""
        return {"features": features(state, privileged, self.observe_force)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each part of one observation."""
        return {"features": (dimension(self.observe_force),)}

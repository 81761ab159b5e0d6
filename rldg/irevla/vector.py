"""Several environments of one task that are stepped together, as stage 1 uses them."""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from rldg.env import vector
from rldg.env.types import Observation, StepInfo
from rldg.env.vector import Stepped
from rldg.errors import UsageError
from rldg.rollout.loop import Place
from rldg.tasks import load_station


class VectorEnv(Place, Protocol):
    """What stage 1 asks of `rldg.env.vector.VectorEnv`, and of what stands for it."""

    @property
    def count(self) -> int:
        """How many environments."""
        ...

    def reset(self, seeds: Mapping[int, int]) -> dict[int, tuple[Observation, StepInfo]]:
        """Begins an episode in each environment that is named, in the scene of its seed."""
        ...

    def step(self, actions: Mapping[int, np.ndarray]) -> dict[int, Stepped]:
        """Carries out one normalised action (7) in each environment that is named."""
        ...

    def close(self) -> None:
        """Releases them."""
        ...


def environments(station: str = "sim", workers: int = 1) -> Callable[[str, int], VectorEnv]:
    """What makes environments of a task, by its name or path and their number, at `station`.

    `workers` are the processes that share them, 0 for one per processor.
    """

    def make(task: str, count: int) -> VectorEnv:
        if (count > 1 or workers != 1) and load_station(station).backend != "mujoco":
            raise UsageError("A physical station is one environment: online.environments 1, and --workers 1.")
        return vector.VectorEnv(task, count, workers, station)

    return make

"""Several environments of one task that are stepped together, and the plainest of them: one after the other, here."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from rldg.env.base import TaskEnv
from rldg.env.make import make_env
from rldg.env.types import Observation, StepInfo
from rldg.errors import UsageError
from rldg.rollout.loop import Place
from rldg.tasks import load_station


class Stepped(NamedTuple):
    """What a step led to."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: StepInfo


class VectorEnv(Place, Protocol):
    """So many environments of one task, by number."""

    @property
    def count(self) -> int:
        """How many."""
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


class SerialEnvs:
    """`VectorEnv` of environments in this process."""

    def __init__(self, envs: list[TaskEnv]) -> None:
        self._envs = envs
        self.task, self.station, self.camera_sizes = envs[0].task, envs[0].station, envs[0].camera_sizes

    @property
    def count(self) -> int:
        """How many."""
        return len(self._envs)

    def reset(self, seeds: Mapping[int, int]) -> dict[int, tuple[Observation, StepInfo]]:
        """Begins an episode in each environment that is named, in the scene of its seed."""
        found = {}
        for number, seed in seeds.items():
            observation, info = self._envs[number].reset(seed=seed)
            found[number] = observation, info["step"]
        return found

    def step(self, actions: Mapping[int, np.ndarray]) -> dict[int, Stepped]:
        """Carries out one normalised action (7) in each environment that is named."""
        found = {}
        for number, action in actions.items():
            *rest, info = self._envs[number].step(action)
            result: Any = (*rest, info["step"])
            found[number] = Stepped(*result)
        return found

    def close(self) -> None:
        """Releases them."""
        for env in self._envs:
            env.close()


def environments(station: str = "sim") -> Callable[[str, int], SerialEnvs]:
    """What makes environments of a task, by its name or path and their number, at `station`."""

    def make(task: str, count: int) -> SerialEnvs:
        if count > 1 and load_station(station).backend != "mujoco":
            raise UsageError("A physical station is one environment: set online.environments to 1.")
        return SerialEnvs([make_env(task, station) for _ in range(count)])

    return make

"""`VectorEnv`: environments of one task that are stepped together, spread over processes.

Gymnasium's `AsyncVectorEnv` lends the shared memory. It is not the whole of it since it takes a process for every
environment, can only step all of them, and waits without end for one whose process has died.
"""

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

from rldg.engines import Worker, WorkerError, make_engine
from rldg.env.base import TaskEnv, image_space
from rldg.env.make import make_env
from rldg.env.types import Observation, StepInfo
from rldg.tasks import Station, Task, load_station, load_task

START_SECONDS = 300.0  # for all workers to be ready
TIMEOUT = 120.0  # seconds for one step or reset of all environments


class Stepped(NamedTuple):
    """What a step led to."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: StepInfo


class VectorEnv:
    """`count` environments, by number from 0. What comes of them is the same whatever the number of workers.

    An error in one of them, a worker that dies or does not answer in time, ends all; then nothing more can be asked.

    Args:
        task: what they are for, by name, path of a YAML, or as it is.
        count: how many.
        workers: processes that share them; 0 for one per processor, 1 for none but this one (without time-outs).
        station: a simulated one.
        cameras: True for every camera of the task, False for none, or their names.
        timeout: seconds that a step or a reset may take.

    Raises:
        WorkerError: workers do not start.
    """

    def __init__(
        self,
        task: Task | str,
        count: int,
        workers: int = 1,
        station: Station | str = "sim",
        cameras: bool | Sequence[str] = True,
        timeout: float = TIMEOUT,
    ) -> None:
        self.task = load_task(task) if isinstance(task, str) else task
        self.station = load_station(station) if isinstance(station, str) else station
        names = (tuple(self.task.cameras) if cameras else ()) if isinstance(cameras, bool) else tuple(cameras)
        self.camera_sizes = {name: self.task.cameras[name].resolution for name in names}
        self.count, self._timeout = count, timeout
        space = image_space(self.camera_sizes)
        shared = create_shared_memory(space, count, multiprocessing.get_context("spawn"))
        self._pictures: Any = read_from_shared_memory(space, shared, count)
        self._engine = make_engine(workers=workers)
        number = min(self._engine.workers, count)
        self._workers = [
            self._engine.start(_Share(self.task, self.station, names, space, shared)) for _ in range(number)
        ]
        self._listen(self._workers, START_SECONDS)

    def reset(self, seeds: Mapping[int, int]) -> dict[int, tuple[Observation, StepInfo]]:
        """Begins an episode in each environment that is named, in the scene of its seed."""
        return {n: (self._whole(n, parts), info) for n, (parts, info) in self._ask("reset", seeds).items()}

    def step(self, actions: Mapping[int, np.ndarray]) -> dict[int, Stepped]:
        """Carries out one normalised action (7) in each environment that is named."""
        return {n: Stepped(self._whole(n, parts), *rest) for n, (parts, *rest) in self._ask("step", actions).items()}

    def close(self) -> None:
        """Ends all workers."""
        while self._workers:
            self._workers.pop().kill()

    def _whole(self, number: int, parts: Observation) -> Observation:
        return parts | {"images": {name: frames[number].copy() for name, frames in self._pictures.items()}}

    def _ask(self, what: str, told: Mapping[int, Any]) -> dict[int, Any]:
        """What the environments answered, in the order in which they were named."""
        if not self._workers:
            raise WorkerError("These environments have ended; make them anew.")
        asked = []
        for index, worker in enumerate(self._workers):
            share = {n: value for n, value in told.items() if n % len(self._workers) == index}
            if share:
                worker.submit((what, share))
                asked.append(worker)
        answers = self._listen(asked, self._timeout)
        return {n: answers[n] for n in told}

    def _listen(self, asked: Sequence[Worker], seconds: float) -> dict[int, Any]:
        """The answers of all workers that were asked something."""
        waiting, answers, end = list(asked), {}, time.monotonic() + seconds
        try:
            while waiting:
                reports = self._engine.wait(waiting, max(0.0, end - time.monotonic()))
                if not reports:
                    raise WorkerError(f"{self._named(waiting)} did not answer within {seconds:g} s; it was ended.")
                for worker, report in reports:
                    if report.kind == "dead":
                        raise WorkerError(f"{self._named([worker])} died; is there enough memory?")
                    if report.error is not None:
                        raise report.error
                    answers |= report.outcome or {}
                    waiting.remove(worker)
        except Exception:
            self.close()
            raise
        return answers

    def _named(self, workers: Sequence[Worker]) -> str:
        of = [n for n in range(self.count) if self._workers[n % len(self._workers)] in workers]
        return f"The process of environments {', '.join(map(str, of))} of task '{self.task.name}'"


class _Share:
    """A worker's environments, made when they are first reset. Pictures go by the shared memory."""

    def __init__(self, task: Task, station: Station, cameras: tuple[str, ...], space: spaces.Dict, shared: Any) -> None:
        self._how = task, station, cameras
        self._space, self._shared = space, shared
        self._envs: dict[int, TaskEnv] = {}

    def __call__(self, job: tuple[str, dict[int, Any]]) -> dict[int, Any]:
        what, told = job
        do = self._reset if what == "reset" else self._step
        return {number: do(number, value) for number, value in told.items()}

    def _reset(self, number: int, seed: int) -> tuple[Observation, StepInfo]:
        if number not in self._envs:
            self._envs[number] = make_env(*self._how)
        observation, info = self._envs[number].reset(seed=seed)
        return self._parts(number, observation), info["step"]

    def _step(self, number: int, action: np.ndarray) -> tuple[Observation, float, bool, bool, StepInfo]:
        observation, reward, terminated, truncated, info = self._envs[number].step(action)
        return self._parts(number, observation), float(reward), terminated, truncated, info["step"]

    def _parts(self, number: int, observation: Observation) -> Observation:
        write_to_shared_memory(self._space, number, observation["images"], self._shared)
        return {group: dict(parts) for group, parts in observation.items() if group != "images"}

"""Episodes on several cores: one environment and one policy per process, results in the order of their indices."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from rldg.errors import RldgError
from rldg.rollout.episode import Episode
from rldg.rollout.loop import Subscriber, rollout

Outcome = TypeVar("Outcome")  # what an episode's runner gives back: an `Episode`, or what stands for one

AHEAD = 2  # episodes per worker that may be in progress or waiting
MOST_CRASHES = 3  # how often in a row the pool is made anew for one episode


class WorkerError(RldgError):
    """Worker processes keep dying on the same episode."""


def episode_seed(base_seed: int, index: int) -> int:
    """Seed of episode `index`: the same whatever the number of workers and however often a run was interrupted."""
    return int(np.random.SeedSequence([base_seed, index]).generate_state(1)[0])


@dataclass
class EpisodeRunner:
    """`runner(index)` runs one episode. Picklable: environment and policy are made on first use, once per process."""

    task: str  # a task's name or the path of a YAML
    policy: str  # what `rldg.resolve.load_policy` takes
    base_seed: int = 0
    cameras: bool = True
    stochastic: bool = False
    time: str = ""  # when the collection began, for the metadata
    subscribers: Callable[[int], Iterable[Subscriber]] | None = None
    _made: Any = field(default=None, repr=False, compare=False)

    def __call__(self, index: int) -> Episode:
        """The episode with this index; everything random in it descends from the base seed and the index."""
        if self._made is None:
            from rldg.env.robot_env import RobotEnv
            from rldg.resolve import load_policy
            from rldg.tasks import load_task

            task = load_task(self.task)
            self._made = RobotEnv(task, cameras=self.cameras), load_policy(self.policy, stochastic=self.stochastic)
        env, policy = self._made
        seed = episode_seed(self.base_seed, index)
        watching = tuple(self.subscribers(index)) if self.subscribers else ()
        name = f"{env.task.name}-{policy.metadata.kind}-{self.base_seed}-{index:05d}"
        return rollout(env, policy, seed, episode_id=name, time=self.time, subscribers=watching)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the environment and the policy behind: each process makes its own."""
        return {**self.__dict__, "_made": None}


_in_worker: Callable[[int], Any]


def exit_with_parent() -> None:
    """Ends this process as soon as its parent is gone, however that died: no orphan keeps a core or a lock."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _begin(run_episode: Callable[[int], Any]) -> None:
    global _in_worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its workers
    exit_with_parent()
    _in_worker = run_episode


def _run(index: int) -> Any:
    return _in_worker(index)


def map_episodes(
    run_episode: Callable[[int], Outcome], indices: Iterable[int], workers: int = 1
) -> Iterator[tuple[int, Outcome]]:
    """Yields (index, episode) in the order of `indices`, which may be endless.

    With one worker everything runs in this process. Dead workers are replaced and their episodes run again; raises
    `WorkerError` when one episode kills its worker three times. Exceptions inside an episode come out as they are.
    """
    if workers <= 1:
        yield from ((index, run_episode(index)) for index in indices)
        return
    source = iter(indices)
    waiting: list[tuple[int, Future[Outcome]]] = []
    pool = _pool(run_episode, workers)
    crashes = 0
    try:
        while True:
            while len(waiting) < workers * AHEAD and (index := next(source, None)) is not None:
                waiting.append((index, pool.submit(_run, index)))
            if not waiting:
                return
            index, future = waiting[0]
            try:
                episode = future.result()
            except BrokenProcessPool:
                crashes += 1
                if crashes == MOST_CRASHES:
                    raise WorkerError(
                        f"Worker processes died {crashes} times on episode {index}; is there enough memory?"
                    ) from None
                pool.shutdown(wait=False, cancel_futures=True)
                pool = _pool(run_episode, workers)
                waiting = [(index, pool.submit(_run, index)) for index, _ in waiting]
                continue
            crashes = 0
            waiting.pop(0)
            yield index, episode
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(run_episode: Callable[[int], Any], workers: int) -> ProcessPoolExecutor:
    # Spawned, since JAX and OpenGL do not survive a fork; one thread each, since the workers share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(run_episode,)
    )

"""Episodes on several cores or machines: results in the order of their indices, whoever dies or hangs meanwhile."""

import logging
import math
import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from rldg.engines import Do, Engine, InProcess, Job, Report, Worker, WorkerError
from rldg.errors import DiscardedError
from rldg.rollout.episode import Episode
from rldg.rollout.loop import Subscriber, rollout
from rldg.rollout.pace import pace_of
from rldg.stage import code_version

Outcome = TypeVar("Outcome")  # what an episode's runner gives back: an `Episode`, or what stands for one

logger = logging.getLogger(__name__)

AHEAD = 4  # episodes per worker that may be in progress or waiting for an earlier one
ATTEMPTS = 3  # how often an episode is tried on workers that die or hang, and how often in a row a start is
TIMEOUT = 600.0  # seconds after which an episode is run again elsewhere, in any case
SLOW = 10.0  # how many times longer than the longest so far it may take before that, in its first attempt ...
SLOW_SECONDS = 60.0  # ... but at least this long
START_SECONDS = 300.0  # for the first worker to be ready
POLL_SECONDS = 0.5  # between looks at the clock


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
    station: str = "sim"  # a station's name or the path of a YAML
    stochastic: bool = False
    operator: str = ""  # who teleoperates or takes over, for the metadata
    subscribers: Callable[[int], Iterable[Subscriber]] | None = None
    expected: Mapping[str, str] = field(default_factory=dict)  # hashes by "task" and "policy", version by "code"
    _made: Any = field(default=None, repr=False, compare=False)

    def __call__(self, index: int) -> Episode:
        """The episode with this index; everything random in it descends from the base seed and the index.

        One that its operator throws away is begun again, in the same scene.

        Raises `WorkerError` if the machine that runs it has another task, policy or code than was expected.
        """
        if self._made is None:
            from rldg.env.make import make_env
            from rldg.resolve import load_policy
            from rldg.tasks import load_task

            task, policy = load_task(self.task), load_policy(self.policy, stochastic=self.stochastic)
            self._check({"task": task.hash, "policy": policy.metadata.weight_hash, "code": code_version()})
            self._made = make_env(task, self.station, cameras=self.cameras), policy
        env, policy = self._made
        seed = episode_seed(self.base_seed, index)
        name = f"{env.task.name}-{policy.metadata.kind}-{self.base_seed}-{index:05d}"
        while True:
            watching = (*(self.subscribers(index) if self.subscribers else ()), *pace_of(env.task))
            with suppress(DiscardedError):
                return rollout(env, policy, seed, episode_id=name, operator=self.operator, subscribers=watching)

    def _check(self, found: Mapping[str, str]) -> None:
        for name, expected in self.expected.items():
            if found[name] != expected:
                raise WorkerError(
                    f"{platform.node()} has another {name} ({found[name] or 'none'}) than the machine that asks "
                    f"({expected}); install the same version there and give it the same files."
                )

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the environment and the policy behind: each process makes its own."""
        return {**self.__dict__, "_made": None}


def map_episodes(
    run_episode: Callable[[int], Outcome],
    indices: Iterable[int],
    engine: Engine | None = None,
    *,
    timeout: float = TIMEOUT,
) -> Generator[tuple[int, Outcome], None, None]:
    """Yields (index, outcome) in the order of `indices`, which may be endless.

    Dead workers are replaced. An episode that takes `timeout` seconds, or in its first attempt `SLOW` times as long as
    the longest before it, is ended and run again by a fresh worker. Close the iterator to end all workers at once.

    Args:
        run_episode: gives the outcome of an episode; the same whoever runs it and how often.
        indices: of the episodes, each once.
        engine: where they run; in this process by default, which knows no time-outs.
        timeout: seconds.

    Raises:
        WorkerError: an episode was tried `ATTEMPTS` times on workers that died or hung, or no worker can be started.
        Exception: what an episode raised comes out as it is, in the episode's turn.
    """
    crew = Crew(run_episode, engine or InProcess(), timeout)
    try:
        yield from crew.outcomes(iter(indices))
    finally:
        crew.dismiss()


@dataclass(eq=False)
class _Seat:
    """A worker and what it is at."""

    worker: Worker
    ready: bool = False
    job: Job = None
    since: float = 0.0


class Crew:
    """Workers that stay from one list of jobs to the next, and which job is where.

    Args:
        do: what the workers do with a job; its outcome is the same whoever does it and how often.
        engine: where they work.
        timeout: seconds after which a job is taken from a worker, see `map_episodes`; `math.inf` for never.
        what: the word for a job, for messages.
    """

    def __init__(self, do: Do, engine: Engine, timeout: float = TIMEOUT, what: str = "episode") -> None:
        self.lost = 0  # workers that died, or were ended because they hung
        self._do, self._engine, self._timeout, self._what = do, engine, timeout, what
        self._seats: list[_Seat] = []
        self._waiting: deque[Job] = deque()  # for a worker
        self._finished: dict[Job, Report] = {}
        self._failures: Counter[Job] = Counter()  # attempts that ended with a dead or hanging worker
        self._failed_starts = 0
        self._longest = 0.0  # seconds
        self._hopeful = time.monotonic()  # when a worker was last ready, or begun
        self._closed = False

    def outcomes(self, source: Iterator[Job]) -> Iterator[tuple[Job, Any]]:
        """Yields (job, outcome) in the order of `source`; ends early once the crew is closed."""
        order: deque[Job] = deque()  # jobs that were begun, or are to be, and have not been given out
        while not self._closed:
            while order and order[0] in self._finished:
                job = order.popleft()
                report = self._finished.pop(job)
                if report.error is not None:
                    raise report.error
                yield job, report.outcome
            while len(order) < self._engine.workers * AHEAD and (job := next(source, None)) is not None:
                order.append(job)
                self._waiting.append(job)
            if not order:
                return
            self._assign()
            self._listen()

    def close(self) -> None:
        """Lets `outcomes`, which may run in another thread, end within a second."""
        self._closed = True

    def dismiss(self) -> None:
        """Ends all workers at once."""
        while self._seats:
            self._seats.pop().worker.kill()

    def _assign(self) -> None:
        busy = sum(seat.job is not None for seat in self._seats)
        while len(self._seats) < min(self._engine.workers, busy + len(self._waiting)):
            self._seats.append(_Seat(self._engine.start(self._do)))
            self._hopeful = time.monotonic()
        for seat in self._seats:
            if self._waiting and seat.ready and seat.job is None:
                seat.job, seat.since = self._waiting.popleft(), time.monotonic()
                seat.worker.submit(seat.job)

    def _listen(self) -> None:
        seats = {seat.worker: seat for seat in self._seats if not seat.ready or seat.job is not None}
        for worker, report in self._engine.wait(list(seats), POLL_SECONDS):
            seat = seats[worker]
            if report.kind == "dead":
                self._replace(seat, "died", str(report.error or "is there enough memory?"))
            elif seat.job is None:
                seat.ready, self._failed_starts = True, 0
            else:
                self._longest = max(self._longest, time.monotonic() - seat.since)
                self._finished[seat.job], seat.job = report, None
        now = time.monotonic()
        for seat in tuple(self._seats):
            if seat.job is not None and now - seat.since > (limit := self._limit(seat.job)):
                self._replace(seat, f"took more than {limit:g} s", "is the time-out too short?")
        if any(seat.ready for seat in self._seats):
            self._hopeful = now
        elif now - self._hopeful > START_SECONDS:
            raise WorkerError(f"No worker was ready within {START_SECONDS:g} s; is a processor free for it?")

    def _limit(self, job: Job) -> float:
        """Seconds that a job may take."""
        if self._failures[job] or not self._longest or math.isinf(self._timeout):
            return self._timeout
        return min(self._timeout, max(SLOW_SECONDS, SLOW * self._longest))

    def _replace(self, seat: _Seat, what: str, hint: str) -> None:
        """Ends a worker; its job is the next for another one."""
        seat.worker.kill()
        self._seats.remove(seat)
        self.lost += 1
        if seat.job is None:
            self._failed_starts += 1
            if self._failed_starts == ATTEMPTS:
                raise WorkerError(f"Workers {what} before they were ready, {ATTEMPTS} times in a row: {hint}")
            return
        logger.warning("A worker %s on %s %s; another one does it again.", what, self._what, seat.job)
        self._failures[seat.job] += 1
        if self._failures[seat.job] < ATTEMPTS:
            self._waiting.appendleft(seat.job)
        else:
            error = WorkerError(f"Workers {what} on {self._what} {seat.job}, {ATTEMPTS} times: {hint}")
            self._finished[seat.job] = Report("done", error=error)

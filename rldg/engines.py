"""Where work is done: in this process, or in processes of this machine (`rldg.ray_engine`: of a Ray cluster).

An engine starts workers, each of which does one piece of work at a time and reports. What is done, in which order, how
often and for how long is the business of `rldg.workers`.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from rldg.errors import RldgError

Job = Any  # what a piece of work is told: the index of an episode, or another hashable value with a readable `str`
Do = Callable[[Job], Any]

END_SECONDS = 5.0  # for a killed process to be gone


class WorkerError(RldgError):
    """Workers keep dying or hanging on the same piece of work, or none can be started."""


@dataclass(frozen=True)
class Report:
    """What came from a worker: it is ready for its first job, it has an outcome (or an error), or it is dead."""

    kind: Literal["ready", "done", "dead"]
    outcome: Any = None
    error: Exception | None = None


class Worker(ABC):
    """Does one piece of work at a time."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Begins `job`; the engine's `wait` tells what became of it."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it at once, whatever it is doing."""


class Engine(ABC):
    """Starts workers and listens to them."""

    workers: int  # how many may run side by side

    @abstractmethod
    def start(self, do: Do) -> Worker:
        """A new worker; it reports "ready" when it can take a job."""

    @abstractmethod
    def wait(self, workers: Sequence[Any], timeout: float) -> list[tuple[Worker, Report]]:
        """What some of `workers` have to report; empty if nothing came within `timeout` seconds."""


def attempt(do: Do, job: Job) -> Report:
    """Does a piece of work; an exception in it becomes part of the report, with its traceback as a note."""
    try:
        return Report("done", do(job))
    except Exception as error:
        if not isinstance(error, RldgError):
            error.add_note(f"in job {job}:\n{traceback.format_exc()}")
        return Report("done", error=error)


class InProcess(Engine):
    """Works in this process, one job after the other; nothing need be picklable, and nothing can be timed out."""

    workers = 1

    def start(self, do: Do) -> Worker:
        """The only worker."""
        return _Here(do)

    def wait(self, workers: Sequence["_Here"], timeout: float) -> list[tuple[Worker, Report]]:
        """Does the job that was submitted."""
        return [(worker, worker.report()) for worker in workers]


class _Here(Worker):
    def __init__(self, do: Do) -> None:
        self._do = do
        self._job: Job = None

    def submit(self, job: Job) -> None:
        self._job = job

    def report(self) -> Report:
        return Report("ready") if self._job is None else attempt(self._do, self._job)

    def kill(self) -> None:
        """Nothing is left running."""


class LocalEngine(Engine):
    """Processes of this machine. What runs in them, and what comes out, has to be picklable."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def start(self, do: Do) -> Worker:
        """A new process, spawned: JAX and OpenGL do not survive a fork."""
        return _Process(do)

    def wait(self, workers: Sequence["_Process"], timeout: float) -> list[tuple[Worker, Report]]:
        """What arrived, or whose end of the pipe closed."""
        of: dict[Any, _Process] = {worker.pipe: worker for worker in workers}
        return [(of[pipe], of[pipe].report()) for pipe in multiprocessing.connection.wait(list(of), timeout)]


class _Process(Worker):
    def __init__(self, do: Do) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread each, since they share the cores
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, do), daemon=True)
        with interrupts_blocked():  # which it inherits: Ctrl-C reaches the parent, which ends its workers
            self._process.start()
        theirs.close()

    def submit(self, job: Job) -> None:
        with suppress(OSError):  # it has died, as `wait` will tell
            self.pipe.send(job)

    def report(self) -> Report:
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return Report("dead")
        except Exception as error:  # whatever unpickling raises
            return Report("done", error=WorkerError(f"What a worker answered cannot be read: {error!r}."))

    def kill(self) -> None:
        self._process.kill()
        self._process.join(END_SECONDS)
        self.pipe.close()


def _work(pipe: Any, do: Do) -> None:
    exit_with_parent()
    pipe.send(Report("ready"))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        report = attempt(do, job)
        try:
            pipe.send(report)
        except BrokenPipeError:
            return
        except Exception as error:  # whatever pickling raises
            pipe.send(Report("done", error=WorkerError(f"What came of job {job} cannot be sent: {error!r}.")))


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes that are started in here do not hear Ctrl-C, which reaches their parent too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_with_parent() -> None:
    """Ends this process as soon as its parent is gone, however that died: no orphan keeps a core or a lock."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def make_engine(name: Literal["local", "ray"] = "local", workers: int = 1, address: str = "") -> Engine:
    """The engine that a user names; `address` is that of a Ray cluster, and 0 workers are as many as fit.

    Raises `UsageError` where the engine is not to be had.
    """
    if name == "ray":
        from rldg.ray_engine import RayEngine

        return RayEngine(workers, address)
    workers = workers or os.cpu_count() or 1
    return LocalEngine(workers) if workers > 1 else InProcess()

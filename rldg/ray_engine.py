"""`RayEngine`: workers on a Ray cluster. `ray start` on each machine is all the set-up; nothing is written there."""

import logging
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rldg.engines import Do, Engine, Job, Report, Worker, WorkerError, attempt
from rldg.errors import UsageError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
FETCH_SECONDS = 60.0  # for the outcome of a finished job to come over the network
SILENT_SECONDS = 4.0  # without a sign of life until a worker is reported as silent ...
GONE_SECONDS = 30.0  # ... and until it is given up; of a dead process Ray tells at once


class RayEngine(Engine):
    """One actor per worker, each on a processor of its own.

    Workers that find no free processor wait for one: machines that join the cluster later are used, and those that
    leave it are replaced. Every machine needs this version of rldg, and tasks and policies under the same paths.

    Args:
        workers: how many actors to ask for; 0 for as many as the cluster has processors now.
        address: of the cluster's head, such as "10.0.0.1:6379"; by default RAY_ADDRESS, else the one on this machine.
        resources: what each worker needs besides a processor, such as {"robot": 1}.

    Raises:
        UsageError: Ray is not installed, there is no cluster, or none of its machines has such a resource.
    """

    def __init__(self, workers: int = 0, address: str = "", resources: Mapping[str, float] | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError("--engine ray needs Ray: pip install 'rldg[ray]'.") from None
        address = address or os.environ.get("RAY_ADDRESS", "auto")
        if not ray.is_initialized():
            handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                _knock(address)
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
            except (OSError, ValueError, RuntimeError) as error:
                raise UsageError(
                    f"No Ray cluster answers at '{address}' ({str(error).partition('. ')[0]}): run `ray start --head` "
                    f"on one machine, `ray start --address=HEAD:6379` on others, and give --ray-address or RAY_ADDRESS."
                ) from None
            for number, handler in handlers.items():  # Ray puts handlers of its own in their place
                signal.signal(number, handler)
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        needs = dict(resources or {})
        for name, amount in needs.items():
            if ray.cluster_resources().get(name, 0) < amount:
                raise UsageError(
                    f"No machine of the Ray cluster has the resource '{name}': start one with `ray start "
                    f"--address=HEAD:6379 --resources='{{\"{name}\": 1}}'`."
                )
        options: Any = {"num_cpus": 1, "resources": needs, "max_restarts": 0, "concurrency_groups": {"health": 1}}
        self._actor = ray.remote(**options)(_Actor)  # "health": a thread for signs of life while the other works

    def start(self, do: Do) -> Worker:
        """A new actor, which is scheduled as soon as a processor is free."""
        return _RayWorker(self._actor.remote(do))

    def wait(self, workers: Sequence["_RayWorker"], timeout: float) -> list[tuple[Worker, Report]]:
        """What the actors answered, and which of them are lost or have long given no sign of life."""
        import ray

        of = {worker.pending: worker for worker in workers}
        done, _ = ray.wait(list(of), num_returns=1, timeout=timeout)
        reports: list[tuple[Worker, Report]] = [(of[reference], _report(reference)) for reference in done]
        waiting = [worker for worker in workers if worker.pending not in done]
        return reports + [(worker, report) for worker in waiting if (report := worker.sign_of_life()) is not None]


def _knock(address: str) -> None:
    """Raises `OSError` if nobody listens at HOST:PORT, which Ray itself would wait for for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.removeprefix("ray://"), int(port)), CONNECT_SECONDS).close()


def _report(reference: Any) -> Report:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference, timeout=FETCH_SECONDS)
    except RayTaskError as error:  # the report could not be made or read
        return Report("done", error=error)
    except RayError as error:  # the actor, its machine, or the way to it is gone
        return Report("dead", error=error)


class _Actor:
    """Runs in a process on some machine of the cluster."""

    def __init__(self, do: Do) -> None:
        self._do = do

    def ready(self) -> Report:
        return Report("ready")

    def run(self, job: Job) -> Report:
        return attempt(self._do, job)

    def lives(self) -> bool:
        return True


class _RayWorker(Worker):
    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.pending = actor.ready.remote()
        self._sign: Any = None  # of life, asked for at `_asked`
        self._asked = 0.0
        self._silent = False

    def submit(self, job: Job) -> None:
        self.pending = self._actor.run.remote(job)
        self._ask()

    def _ask(self) -> None:
        self._sign = self._actor.lives.options(concurrency_group="health").remote()
        self._asked, self._silent = time.monotonic(), False

    def sign_of_life(self) -> Report | None:
        """Asks for the next sign of life once the last one came; a report if none has come for long.

        While a worker waits for a processor, and before its first job, none is expected.
        """
        import ray

        if self._sign is None:
            return None
        if ray.wait([self._sign], timeout=0)[0]:
            self._ask()
            return None
        silence = time.monotonic() - self._asked
        if silence > GONE_SECONDS:
            return Report("dead", error=WorkerError(f"no sign of life for {GONE_SECONDS:g} s"))
        if silence > SILENT_SECONDS and not self._silent:
            self._silent = True
            logger.warning("A Ray worker gives no sign of life; after %g s another one takes its place.", GONE_SECONDS)
        return None

    def kill(self) -> None:
        import ray

        ray.kill(self._actor)

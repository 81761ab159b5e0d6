"""`RayEngine`: workers on a Ray cluster. `ray start` on each machine is all the set-up; nothing is written there."""

import logging
import os
import signal
import socket
from collections.abc import Sequence
from typing import Any

from rldg.engines import Engine, Report, RunEpisode, Worker, attempt
from rldg.errors import UsageError

CONNECT_SECONDS = 10.0
FETCH_SECONDS = 60.0  # for the outcome of a finished episode to come over the network


class RayEngine(Engine):
    """One actor per worker, each on a processor of its own.

    Workers that find no free processor wait for one: machines that join the cluster later are used, and those that
    leave it are replaced. Every machine needs this version of rldg, and tasks and policies under the same paths.

    Args:
        workers: how many actors to ask for; 0 for as many as the cluster has processors now.
        address: of the cluster's head, such as "10.0.0.1:6379"; by default RAY_ADDRESS, else the one on this machine.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, workers: int = 0, address: str = "") -> None:
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
        self._actor = ray.remote(num_cpus=1, max_restarts=0)(_Actor)

    def start(self, run_episode: RunEpisode) -> Worker:
        """A new actor, which is scheduled as soon as a processor is free."""
        return _RayWorker(self._actor.remote(run_episode))

    def wait(self, workers: Sequence["_RayWorker"], timeout: float) -> list[tuple[Worker, Report]]:
        """What the actors answered, and which of them Ray has lost."""
        import ray

        of = {worker.pending: worker for worker in workers}
        done, _ = ray.wait(list(of), num_returns=1, timeout=timeout)
        return [(of[reference], _report(reference)) for reference in done]


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

    def __init__(self, run_episode: RunEpisode) -> None:
        self._run_episode = run_episode

    def ready(self) -> Report:
        return Report("ready")

    def run(self, index: int) -> Report:
        return attempt(self._run_episode, index)


class _RayWorker(Worker):
    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.pending = actor.ready.remote()

    def submit(self, index: int) -> None:
        self.pending = self._actor.run.remote(index)

    def kill(self) -> None:
        import ray

        ray.kill(self._actor)

"""The actor in a process of its own: it acts on one core while the learner learns on the other.

Named arrays go through the pipe as npz bytes; nothing is pickled after the start.
"""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from rldg.env.robot_env import RobotEnv
from rldg.errors import RldgError
from rldg.specialists.actor import demonstrate, explore, try_candidate
from rldg.specialists.arrays import Arrays, from_named_arrays, named_arrays, pack, part, prefixed, unpack
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.networks import Layers
from rldg.tasks.task import Task

MakeEnv = Callable[[Task], RobotEnv]


def state_environment(task: Task) -> RobotEnv:
    """The task on its simulated robot, without cameras."""
    return RobotEnv(task, cameras=False)


def round_request(actor: Layers, candidate: Layers, episodes: int, trials: int, most: int) -> Arrays:
    """What a round is made of: who explores, who is tried, the counts of both so far, and at most how many trials."""
    weights = prefixed("actor.", named_arrays(actor)) | prefixed("candidate.", named_arrays(candidate))
    return weights | {"counts": np.array([episodes, trials, most])}


ANSWER_SECONDS = 900  # a round takes seconds; this long only if the process hangs


class ActorProcess:
    """Answers one request at a time; a context manager that ends the process."""

    def __init__(self, make_env: MakeEnv, task: Task, config: SpecialistConfig, seed: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit JAX's threads
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make_env, task, config, seed), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "ActorProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()
        self._process.join(timeout=1)
        self._process.terminate()

    def send(self, request: Arrays) -> None:
        """Starts on a `round_request`, or with an empty request on the demonstrations."""
        try:
            self._connection.send_bytes(pack(request))
        except (BrokenPipeError, ConnectionResetError):
            raise self._died() from None

    def receive(self) -> Arrays:
        """Waits for the answer. Raises `RldgError` if the process has died, with its own words on standard error, or
        is silent for `ANSWER_SECONDS`.
        """
        try:
            if not self._connection.poll(ANSWER_SECONDS):
                raise RldgError(
                    f"The actor's process has been silent for {ANSWER_SECONDS} s. "
                    "The last checkpoint is intact: the same command continues."
                )
            return unpack(self._connection.recv_bytes())
        except (EOFError, ConnectionResetError):
            raise self._died() from None

    def _died(self) -> RldgError:
        self._process.join(timeout=5)
        return RldgError(
            f"The actor's process ended (exit code {self._process.exitcode}); why is said above. "
            "The last checkpoint is intact: the same command continues."
        )


def _serve(connection: Connection, make_env: MakeEnv, task: Task, config: SpecialistConfig, seed: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the learner hangs up
    env = make_env(task)
    try:
        while True:
            request = unpack(connection.recv_bytes())
            connection.send_bytes(pack(_answer(env, config, seed, request)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the learner has hung up, or was killed
    finally:
        env.close()


def _answer(env: RobotEnv, config: SpecialistConfig, seed: int, request: Arrays) -> Arrays:
    if not request:
        return demonstrate(env, config, seed)
    actor, candidate = (from_named_arrays(part(prefix, request)) for prefix in ("actor.", "candidate."))
    episodes, trials, most = request["counts"].tolist()
    return explore(env, config, seed, actor, episodes) | try_candidate(env, config, seed, candidate, trials, most)

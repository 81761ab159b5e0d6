"""Runs a training in a process of its own, and starts it again when that is killed."""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rldg.engines import exit_with_parent, interrupts_blocked
from rldg.errors import RldgError, TrainingError
from rldg.specialists.journal import journal

logger = logging.getLogger(__name__)

ATTEMPTS = 3  # how often in a row it may be killed before it has saved anything
STOP_SECONDS = 30.0  # for it to end by itself when it is interrupted
CHECKPOINTS = "checkpoints"


def supervised(run: Callable[..., Any], out: Path, arguments: Sequence[Any], again: Sequence[Any]) -> None:
    """Calls `run(*arguments)`, a training in the run folder `out`, in a process that may be killed.

    Once it has saved something it is called with `again`, which must not ask for a run to be replaced.

    Whatever kills it (a kill -9, too little memory) is reported at once; it then goes on from its last checkpoint.

    Raises:
        TrainingError: it was killed `ATTEMPTS` times in a row without saving anything.
        RldgError: what the training raised, as it is.
    """
    killed, before = 0, _saved(out)
    while (status := _once(run, arguments)) != 0:
        if status > 0:
            raise TrainingError(f"The learner's process ended with status {status}; why is said above.")
        saved = _saved(out)
        if saved and saved != before:
            killed, arguments = 0, again
        killed, before = killed + 1, saved
        what = f"The learner was killed by signal {-status}"
        if killed == ATTEMPTS:
            raise TrainingError(f"{what}, {ATTEMPTS} times without a checkpoint between: is there enough memory?")
        with journal(out):
            logger.warning("%s; it goes on from the last checkpoint.", what)


def _once(run: Callable[..., Any], arguments: Sequence[Any]) -> int:
    """Exit status of one attempt, negative if a signal ended it; raises what the training raised."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, run, arguments))
    with interrupts_blocked():  # Ctrl-C reaches this process, which ends the other
        process.start()
    theirs.close()
    try:
        error = None
        with suppress(EOFError):  # it ended without a word
            error = ours.recv()
        process.join()
    finally:
        if process.is_alive():
            process.terminate()
            process.join(STOP_SECONDS)
            process.kill()
            process.join()
        ours.close()
    if error is not None:
        raise error
    assert process.exitcode is not None
    return process.exitcode


def _work(pipe: Connection, run: Callable[..., Any], arguments: Sequence[Any]) -> None:
    exit_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that it says how far it came
    try:
        run(*arguments)
    except RldgError as error:
        pipe.send(error)


def _saved(out: Path) -> list[tuple[str, float]]:
    """Changes whenever a checkpoint is written."""
    with suppress(FileNotFoundError):  # one has just been dropped
        return sorted((path.name, path.stat().st_mtime) for path in (out / CHECKPOINTS).glob("*.npz"))
    return []

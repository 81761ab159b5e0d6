"""Verbs of the command line as stages of a pipeline: typed arguments, a process each, several side by side."""

import importlib
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rldg.engines import exit_with_parent
from rldg.errors import RldgError, StageChangedError

STOP_SECONDS = 30


class PipelineError(RldgError):
    """A stage of a pipeline failed; its own sentence stands above."""


def carry_out(*verbs: Any, log: Path | None = None) -> None:
    """Runs verbs side by side, each in a process of its own, and returns when all have ended.

    With `log`, all that they print, progress included, is appended to that file.

    A verb is the `Args` of its module, such as `rldg.cli.train.Args(...)`; the module's `main` carries it out.

    A stage whose configuration and inputs have not changed since it finished is reused; one whose inputs have changed
    is run anew. Raises `PipelineError` when one fails, after stopping the others.
    """
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_run, args=(args, line, log)) for line, args in enumerate(verbs)]
    for process in processes:
        process.start()
    try:
        _wait(processes, verbs)
    finally:
        _stop(processes)


def _run(args: Any, line: int, log: Path | None) -> None:
    exit_with_parent()
    if log is not None:
        with open(log, "ab") as file:
            os.dup2(file.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that workers are ended too
    os.environ["TQDM_POSITION"] = str(line)  # progress bars side by side: a line of the terminal each
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - a pipeline says itself what came out
    module = importlib.import_module(type(args).__module__)
    try:
        try:
            status = module.main(args)
        except StageChangedError:
            status = module.main(replace(args, overwrite=True))
    except RldgError as error:
        print(f"{_name(args)}: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _name(args: Any) -> str:
    return type(args).__module__.replace("rldg.cli.", "rldg ").replace("pipelines.", "").replace(".", " ")


def _wait(processes: Sequence[BaseProcess], verbs: Sequence[Any]) -> None:
    waiting = dict(enumerate(processes))
    while waiting:
        multiprocessing.connection.wait([process.sentinel for process in waiting.values()])
        for index, process in list(waiting.items()):
            if process.exitcode is not None:
                del waiting[index]
                if process.exitcode != 0:
                    raise PipelineError(f"{_name(verbs[index])} ended with status {process.exitcode}.")


def _stop(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()


def read_result(folder: Path) -> dict[str, Any]:
    """What a finished stage found: the `result` of its `stage.json`."""
    return json.loads((folder / "stage.json").read_text(encoding="utf-8"))["result"]

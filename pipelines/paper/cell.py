"""`Cell`: one piece of work of an experiment, in a folder that is named by the hash of everything that decides it."""

import hashlib
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.verbs import carry_out
from rldg.errors import RldgError
from rldg.stage import code_version, installed, machine, now, write_json
from rldg.tasks import load_task
from rldg.tasks.task import Task

HERE = Path()  # stands for the folder of a cell in its verb's arguments, until its hash is known
# Arguments that say where and how fast a verb works, and decide nothing of what comes out.
NEUTRAL = {"out", "workers", "engine", "actors", "ray_address", "json", "overwrite", "wandb"}


@dataclass(frozen=True, eq=False)
class Cell:
    """A verb of the command line (or another module with `Args` and `main`), and the cells whose files it reads."""

    kind: str  # cells of one kind do the same sort of work: "specialist", "collection", "octo", "evaluation", ...
    args: Any  # of the verb; `args.out` is the cell's folder
    needs: tuple["Cell", ...] = ()
    seconds: float = 60.0  # that it is expected to take on one idle core; see `pipelines.paper.forecast`

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.args.out

    @property
    def record(self) -> Path:
        """What is written when it has ended well: arguments, versions, machine, seconds."""
        return self.folder.with_suffix(".json")

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder.with_suffix(".log")

    @property
    def finished(self) -> bool:
        """Whether its files are there and whole."""
        return self.record.exists() and self.folder.is_dir()

    def read_record(self) -> dict[str, Any]:
        """The record of a finished cell; raises `RldgError` for one that is not."""
        if not self.finished:
            raise RldgError(f"{self} has not been run yet: python -m pipelines.paper runs what is missing.")
        return json.loads(self.record.read_text(encoding="utf-8"))

    def __str__(self) -> str:
        return f"{self.kind}/{self.folder.name}"


def make_cell(
    root: Path,
    kind: str,
    args: Any,
    needs: tuple[Cell, ...] = (),
    seconds: float = 60.0,
    inputs: Mapping[str, str] | None = None,
) -> Cell:
    """A cell in `root/kind/<hash>`.

    The hash is over the verb's arguments, the content of the tasks that they name (fields `task` and `tasks`), and
    `inputs` (name -> hash of what else decides the outcome, such as a station's file). Folders of other cells stand in
    the arguments by their own hashes, so that whatever changes upstream changes all that follows from it.

    Args:
        root: folder of all cells.
        kind: see `Cell`.
        args: the verb's arguments with `out=HERE`.
        needs: cells whose folders the arguments name.
        seconds: see `Cell`.
        inputs: see above.
    """
    told = {name: value for name, value in asdict(args).items() if name not in NEUTRAL}
    named = (*getattr(args, "tasks", ()), *filter(None, [getattr(args, "task", "")]))
    tasks = {name: known_task(name).hash for name in named}
    identity = [type(args).__module__, told, tasks, dict(inputs or {})]
    text = json.dumps(identity, sort_keys=True, default=str).replace(f"{root}/", "")
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Cell(kind, replace(args, out=root / kind / name), needs, seconds)


@cache
def known_task(name: str) -> Task:
    """A task, read once: experiments name the same few thousands of times, and reading takes 20 ms."""
    return load_task(name)


def run_cell(cell: Cell) -> float:
    """Carries a cell out unless it is finished, and returns the seconds it took; raises `PipelineError` if it fails.

    A cell that was interrupted goes on where it was, as its verb does.
    """
    if cell.finished:
        return cell.read_record()["seconds"]
    cell.folder.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    carry_out(cell.args, log=cell.log)
    seconds = round(time.monotonic() - began, 2)
    record = {
        "cell": str(cell),
        "verb": type(cell.args).__module__,
        "args": asdict(cell.args),
        "needs": [str(need) for need in cell.needs],
        "seconds": seconds,
        "expected_seconds": cell.seconds,
        "code_version": code_version(),
        "packages": installed(),
        "machine": machine() | {"node": platform.node()},
        "finished": now(),
    }
    write_json(cell.record, json.loads(json.dumps(record, default=str)))
    return seconds

"""Lists, shows and checks tasks.

Examples:
  rldg tasks                       all shipped tasks
  rldg tasks show usb_a_insertion  everything a task says, defaults included
  rldg tasks check my_task.yaml    file, line and field of whatever is wrong
"""

import json as jsonlib
import math
from dataclasses import dataclass
from typing import Annotated

import tyro
import yaml

from rldg.cli.output import emit, table
from rldg.errors import UsageError
from rldg.tasks import Task, load_task, task_names, world_task_names


@dataclass(frozen=True)
class List:
    """One line per shipped task (what plain `rldg tasks` does), and per task of the benchmarks that are installed."""

    json: bool = False
    """One line of JSON on standard output."""


@dataclass(frozen=True)
class Show:
    """Prints a task as YAML, defaults included."""

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    """A task's name, or the path of a YAML."""
    json: bool = False
    """One line of JSON on standard output."""


@dataclass(frozen=True)
class Check:
    """Reads a task file of one's own; exits with 1 if it is wrong."""

    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """The YAML; `my.yaml:tight` means its variant `tight`."""
    json: bool = False
    """One line of JSON on standard output."""


Args = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Check, tyro.conf.subcommand("check")]
)
DEFAULT = List()
DEFAULT = "list"


def main(args: List | Show | Check) -> int:
    """Exit status: 0, or by exception 1 for a file that is wrong and 2 for a task that does not exist."""
    match args:
        case List():
            _list(args.json)
        case Show():
            task = load_task(args.task)
            content = jsonlib.loads(task.model_dump_json())
            emit({"hash": task.hash, **content}, args.json, yaml.safe_dump(content, sort_keys=False).rstrip())
        case Check():
            if ".y" not in args.file:
                raise UsageError(f"'{args.file}' is not the path of a YAML file; `rldg tasks show` takes names.")
            task = load_task(args.file)
            emit(
                {"file": args.file, "task": task.name, "hash": task.hash, "valid": True},
                args.json,
                f"{args.file} is a valid task, '{task.name}' ({task.hash}).",
            )
    return 0


def _list(as_json: bool) -> None:
    tasks = [load_task(name) for name in (*task_names(), *world_task_names())]
    rows = [(t.name, "seen" if t.seen else "unseen", _clearance(t), t.instruction) for t in tasks]
    listed = [{"task": t.name, "seen": t.seen, "instruction": t.instruction, "hash": t.hash} for t in tasks]
    emit({"tasks": listed}, as_json, table(("TASK", "GENERALIST", "CLEARANCE", "INSTRUCTION"), rows))


def _clearance(task: Task) -> str:
    fit = task.sim.geometry.fit if task.sim else math.inf
    return f"{1000 * fit:g} mm" if math.isfinite(fit) else "-"

"""Trains a specialist on one task: by reinforcement learning from demonstrations (RLPD) unless told otherwise.

Examples:
  rldg train usb_a_insertion --out runs/specialist --seed 1
  rldg train usb_a_insertion --operator teleoperator --out runs/hil        # who takes over while it explores
  rldg train usb_a_insertion --algorithm bc --out runs/cloned
  rldg train usb_a_insertion --recipe pixels --out runs/pixels
  rldg train usb_a_insertion --engine ray --actors 2 --out runs/specialist # on machines with the resource "robot"
The same command continues a training that was interrupted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import tyro

from rldg.cli.output import emit
from rldg.cli.station import check_workers
from rldg.errors import TaskFileError, UnknownNameError, UsageError
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.recipes import recipe
from rldg.tasks import load_task


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg train`."""

    # Task name, or path of a task YAML.
    task: tyro.conf.Positional[str]
    # Run folder.
    out: Path
    # Seed of scenes, demonstrations, weights and draws.
    seed: int = 0
    # Where the actors are: on this machine, or on machines of a Ray cluster that have the resource "robot".
    engine: Literal["local", "ray"] = "local"
    # Actors that share each round; the weights that come out are the same for any number.
    actors: int = 1
    # The Ray cluster's head, HOST:6379; by default RAY_ADDRESS, else the cluster on this machine.
    ray_address: str = ""
    # What options that are not given stand for: state, grasp, state-hil-serl, pixels or pixels-resnet10; by default
    # what suits the task.
    recipe: str = ""
    # Where it explores: a station's name, or the path of its YAML (docs/station.md).
    station: str = "sim"
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False
    # Algorithm, sizes, rates and budget of the training.
    config: SpecialistConfig = field(default_factory=SpecialistConfig)


def defaults(command_line: Sequence[str]) -> Args:
    """What options that are not given stand for, with the task, the algorithm and the recipe on the command line."""
    algorithm, name = _named("--algorithm", command_line) or "rlpd", _named("--recipe", command_line)
    config = SpecialistConfig()
    for before, word in pairwise(["", *command_line]):
        if before != "--out" and not word.startswith("-"):
            try:
                task = load_task(word)
            except (TaskFileError, UnknownNameError):  # told when all has been read
                continue
            config = recipe(task, algorithm, name)
            break
    missing: Any = tyro.MISSING
    return Args(task=missing, out=missing, config=config)


def _named(option: str, command_line: Sequence[str]) -> str:
    """The last value of an option; empty if it is not given."""
    values = [
        after if flag == option else flag.partition("=")[2]
        for flag, after in pairwise([*command_line, ""])
        if flag == option or flag.startswith(f"{option}=")
    ]
    return values[-1] if values else ""


def main(args: Args) -> int:
    """Exit status 0 with a specialist, 1 when the budget ended before any candidate had succeeded.

    A training whose snapshots are kept is judged by these: 0 when it has come to its end.
    """
    if args.actors < 1:
        raise UsageError("--actors counts from 1.")
    check_workers(args.station, [load_task(args.task)], args.actors)
    from rldg.specialists.supervise import supervised

    supervised(train_here, args.out, [args], [replace(args, overwrite=False)])
    result = json.loads((args.out / "stage.json").read_text(encoding="utf-8"))["result"]
    text = (
        f"{args.out}: {'confirmed' if result['confirmed'] else 'not confirmed'} with {result['successes_in_a_row']} "
        f"successes in a row after {result['train_seconds']:.0f} s, {result['env_steps']} steps, "
        f"{result['updates']} updates"
    )
    emit({"task": load_task(args.task).name, "out": args.out, **result}, args.json, text)
    return 0 if result["successes_in_a_row"] or args.config.snapshot_steps else 1


def train_here(args: Args) -> None:
    """The training itself, in this process: the learner's."""
    from rldg.engines import LocalEngine
    from rldg.specialists.train import ROBOT, single_threaded_xla, train  # MuJoCo and JAX: not for --help

    single_threaded_xla()
    engine = LocalEngine(args.actors)
    if args.engine == "ray":
        from rldg.ray_engine import RayEngine

        engine = RayEngine(args.actors, args.ray_address, {ROBOT: 1})
    how = {"overwrite": args.overwrite, "engine": engine, "station": args.station}
    train(load_task(args.task), args.out, args.config, args.seed, **how)

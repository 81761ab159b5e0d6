"""Trains a specialist on one task by reinforcement learning (RLPD) from 20 simulated demonstrations.

Example: rldg train usb_a_insertion --out runs/specialist --seed 1
The same command continues a training that was interrupted.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from rldg.cli.output import emit
from rldg.specialists.config import SpecialistConfig
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
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False
    # Sizes, rates and budget of the training.
    config: SpecialistConfig = field(default_factory=SpecialistConfig)


def main(args: Args) -> int:
    """Exit status 0 with a specialist, 1 when the budget ended before any candidate had succeeded."""
    task = load_task(args.task)
    from rldg.specialists.train import single_threaded_xla, train  # MuJoCo and JAX: not for --help

    single_threaded_xla()
    train(task, args.out, args.config, args.seed, overwrite=args.overwrite)
    result = json.loads((args.out / "stage.json").read_text(encoding="utf-8"))["result"]
    text = (
        f"{args.out}: {'confirmed' if result['confirmed'] else 'not confirmed'} with {result['successes_in_a_row']} "
        f"successes in a row after {result['train_seconds']:.0f} s, {result['env_steps']} steps, "
        f"{result['updates']} updates"
    )
    emit({"task": task.name, "out": args.out, **result}, args.json, text)
    return 0 if result["successes_in_a_row"] else 1

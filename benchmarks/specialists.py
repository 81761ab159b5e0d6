"""Specialists over seeds: success on locked scenes, steps, and wall time of the training, beside their bounds.

    python -m benchmarks.specialists [--seeds 1 2 3] [--out benchmarks/results/specialists.json]

Trains every task with every seed, one after the other, each through `rldg train` in a process of its own (so that its
time includes start-up, demonstrations and compilation), and tries it on locked scenes without exploration noise. The
wall times mean something on an idle machine only. On two idle cores: about a minute per specialist, a few where
something has to be grasped.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import tyro

from pipelines.verbs import carry_out, read_result
from rldg.cli import evaluate, train
from rldg.cli.output import table
from rldg.evaluation.trials import read_summary
from rldg.specialists.recipes import recipe
from rldg.stage import write_json
from rldg.tasks import load_task

SEEN = ("usb_a_insertion", "ethernet_insertion", "vga_insertion")
OTHERS = ("fmb_insertion", "fmb_assembly", "usb_pickup_insertion", "pick_and_place")


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    tasks: tuple[str, ...] = (*SEEN, *(f"{name}_tight" for name in SEEN), *OTHERS)
    seeds: tuple[int, ...] = (1, 2, 3)
    # Locked scenes per specialist.
    trials: int = 100
    # Folder of the runs; what an earlier benchmark left there is removed.
    runs: Path = Path("runs/benchmark_specialists")
    out: Path = Path("benchmarks/results/specialists.json")


def bounds(task: str) -> tuple[int, int]:
    """Least successes of 100, and most seconds of training."""
    wanted = load_task(task)
    if wanted.gripper == "binary":
        return 95, 600
    return (98, 120) if wanted.sim is None or wanted.sim.geometry.fit >= 0.5e-3 else (95, 240)


def measure(task: str, seed: int, args: Args) -> dict[str, Any]:
    """Trains and tries one specialist."""
    out = args.runs / task / str(seed)
    started = time.monotonic()
    carry_out(train.Args(task=task, out=out / "specialist", seed=seed, config=recipe(load_task(task))))
    seconds = time.monotonic() - started
    carry_out(evaluate.Args((task,), str(out / "specialist"), out / "evaluation", episodes=args.trials, videos=0))
    summary = read_summary(out / "evaluation" / "summary.json")
    result = read_result(out / "specialist")
    return {
        "task": task,
        "seed": seed,
        "successes": summary.successes,
        "trials": summary.trials,
        "cycle_steps": summary.cycle_steps,
        "penetration": summary.penetration,
        "wall_seconds": round(seconds, 1),
        "env_steps": result["env_steps"],
        "updates": result["updates"],
    }


def main(args: Args) -> None:
    """Prints the table and writes every run as JSON."""
    shutil.rmtree(args.runs, ignore_errors=True)
    runs = [measure(task, seed, args) for task in args.tasks for seed in args.seeds]
    rows = []
    for task in args.tasks:
        least, longest = bounds(task)
        own = [run for run in runs if run["task"] == task]
        successes = ", ".join(f"{run['successes']}/{run['trials']}" for run in own)
        steps = ", ".join("-" if run["cycle_steps"] is None else f"{run['cycle_steps']:.1f}" for run in own)
        seconds = median(run["wall_seconds"] for run in own)
        rows.append((task, successes, f">= {least} %", steps, f"{seconds:.0f} s", f"< {longest} s"))
    print(table(("task", "successes by seed", "bound", "steps per success", "wall time, median", "bound"), rows))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, runs)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

"""Environments stepped together in processes of their own, beside the bare ones stepped one after the other.

    python -m benchmarks.vector [--count 8] [--out benchmarks/results/vector.json]

Rates are control steps per second of wall-clock time, all environments together, pictures of every camera included.
*bare* is `env.step` of one environment in this process, nothing around it.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from rldg.cli.output import table
from rldg.env.make import make_env
from rldg.env.vector import VectorEnv

TASKS = ("metaworld_button_press", "kitchen_light_on", "usb_a_insertion")
ACTION = np.zeros(7, np.float32)


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    tasks: tuple[str, ...] = TASKS
    count: int = 8  # environments
    steps: int = 40  # of each
    rounds: int = 3
    out: Path = Path("benchmarks/results/vector.json")


def rate(step: Callable[[], object], steps: int, each: int) -> float:
    """Control steps per second."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * each / (time.perf_counter() - started)


def measure(task: str, args: Args) -> dict[str, float]:
    """Medians over rounds in turns."""
    env = make_env(task)
    crews = {f"{workers}_workers": VectorEnv(task, args.count, workers) for workers in (1, os.cpu_count() or 2)}
    rows: dict[str, list[float]] = {"bare": [], **{name: [] for name in crews}}
    for round_ in range(args.rounds):
        env.reset(seed=round_)
        rows["bare"].append(rate(lambda: env.step(ACTION), args.steps, 1))
        for name, envs in crews.items():
            envs.reset({n: n for n in range(args.count)})
            rows[name].append(rate(lambda: envs.step(dict.fromkeys(range(args.count), ACTION)), args.steps, args.count))
    for made in (env, *crews.values()):
        made.close()
    return {name: round(float(np.median(values)), 1) for name, values in rows.items()}


def main(args: Args) -> None:
    """Prints the table and writes the JSON."""
    rates = {task: measure(task, args) for task in args.tasks}
    columns = list(next(iter(rates.values())))
    print(table(("control steps per second", *columns), [(task, *row.values()) for task, row in rates.items()]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"count": args.count, "load": os.getloadavg(), "rates": rates}, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

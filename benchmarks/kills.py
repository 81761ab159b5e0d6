"""kill -9 of actor and learner at random moments of a training: it goes on, to the bits of an undisturbed one.

    python -m benchmarks.kills [--kills 20] [--out benchmarks/results/kills.json]
    ray start --head --num-cpus 2 --resources '{"robot": 1}' && python -m benchmarks.kills --engine ray

Trains once undisturbed and once while processes are killed, `kills` of each kind: the learner, and the actor, which is
a process of this machine or, with `--engine ray`, a Ray worker. Then compares weights and metrics, in which a
transition that was lost or stored twice would show, and how long after a kill it was reported.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from rldg.specialists.arrays import read_arrays
from rldg.stage import write_json

KINDS = ("actor", "learner")
LOG, METRICS = "train.log", "metrics.jsonl"


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    task: str = "usb_a_insertion"
    engine: Literal["local", "ray"] = "local"
    # Of each kind.
    kills: int = 20
    # Environment steps of the training; it has to last longer than the kills.
    steps: int = 30_000
    # Most seconds between kills; the least is a tenth of it. Each kind has to save something between.
    pause: float = 12.0
    seed: int = 0
    runs: Path = Path("runs/benchmark_kills")
    out: Path = Path("benchmarks/results/kills.json")


def command(args: Args, out: Path) -> list[str]:
    """The training."""
    options = {
        "engine": args.engine,
        "seed": args.seed,
        "max-env-steps": args.steps,
        "confirm-episodes": 10**6,
        "least-updates": 10**9,
        "checkpoint-seconds": 1,
    }
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [sys.executable, "-m", "rldg", "train", args.task, "--out", str(out), *flags, "--overwrite"]


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process, by id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(folder.name)] = parent, (folder / "cmdline").read_text().replace("\0", " ")
    return found


def target(kind: str, supervisor: int, engine: str) -> int | None:
    """The process of this kind that belongs to the training, if there is one now."""
    running = processes()

    def spawned(parent: int) -> list[int]:
        return [p for p, (of, text) in running.items() if of == parent and "spawn_main" in text]

    learners = spawned(supervisor)
    if not learners:
        return None
    if kind == "learner":
        return learners[0]
    if engine == "ray":
        actors = [p for p, (_, text) in running.items() if text.startswith("ray::_Actor")]
    else:
        actors = spawned(learners[0])
    return actors[0] if actors else None


def disturbed(args: Args, out: Path) -> list[dict[str, Any]]:
    """Trains and kills; returns what was killed and when [s since 1970]."""
    generator, kills = random.Random(args.seed), []
    due = [kind for kind in KINDS for _ in range(args.kills)]
    generator.shuffle(due)
    process = subprocess.Popen(command(args, out), stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if not due or not list((out / "checkpoints").glob("checkpoint_*")):
            time.sleep(0.2)
            continue
        time.sleep(generator.uniform(args.pause / 10, args.pause))
        if (victim := target(due[-1], process.pid, args.engine)) is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                kills.append({"kind": due.pop(), "at": time.time()})
    if process.returncode not in (0, 1):  # 1: the budget ended, as it was meant to
        raise SystemExit(f"The training ended with status {process.returncode}; {out / LOG} says why.")
    return kills


def reported(kills: list[dict[str, Any]], log: Path) -> list[float]:
    """Seconds from each kill to the next line about its kind in the log."""
    lines = [line.split(maxsplit=2) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    words = {"actor": "worker", "learner": "learner"}
    seconds = []
    for kill in kills:
        times = [datetime.fromisoformat(moment).timestamp() for moment, _, text in lines if words[kill["kind"]] in text]
        later = [moment - kill["at"] for moment in times if moment >= kill["at"] - 0.01]
        seconds.append(round(min(later), 3) if later else float("inf"))
    return seconds


def curve(folder: Path) -> list[dict[str, float]]:
    """The metrics but for seconds."""
    lines = [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if not name.endswith("_seconds")} for line in lines]


def main(args: Args) -> None:
    """Prints what came out and writes it as JSON."""
    calm, hunted = args.runs / "undisturbed", args.runs / "killed"
    subprocess.run(command(args, calm), stderr=subprocess.DEVNULL, check=False)
    kills = disturbed(args, hunted)
    a, b = (read_arrays(folder / "specialist.npz") for folder in (calm, hunted))
    seconds = reported(kills, hunted / LOG)
    result = {
        "task": args.task,
        "engine": args.engine,
        "kills": {kind: sum(kill["kind"] == kind for kill in kills) for kind in KINDS},
        "same_weights": a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a),
        "same_metrics": curve(calm) == curve(hunted),
        "reported_within_5_seconds": sum(second <= 5 for second in seconds),
        "longest_seconds_to_report": max(seconds, default=0.0),
    }
    write_json(args.out, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

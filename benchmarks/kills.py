"""kill -9 of actor, learner and Ray worker at random moments of a training: it goes on, to the bits of a calm one.

    python -m benchmarks.kills [--kills 20] [--out benchmarks/results/kills.json]

Trains three times to the same number of environment steps: undisturbed; on this machine, while actor and learner are
killed `kills` times each; and on a Ray cluster of its own, while the Ray worker is. Then compares each with the
undisturbed training: weights, metrics, and the transitions that were stored. Says too how long after a kill it was
reported. A training that ends before all its kills were done says so: give it more `--steps`.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tyro

from rldg.specialists.arrays import read_arrays
from rldg.specialists.checkpoint import Checkpoints
from rldg.stage import write_json

# By engine, who is killed there. Either is a process of its own: an actor, or a Ray worker in which one runs.
KINDS = {"local": ("actor", "learner"), "ray": ("ray worker",)}
REPORTED_AS = {"actor": "worker died", "learner": "learner was killed", "ray worker": "worker died"}
REPORT_SECONDS = 5.0
START_SECONDS = 60.0  # for the Ray cluster
LOG, METRICS = "train.log", "metrics.jsonl"


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    task: str = "usb_a_insertion"
    # Of each kind.
    kills: int = 20
    # Environment steps of each training; it has to last longer than the kills.
    steps: int = 30_000
    # Most seconds between kills; the least is a tenth of it. Each kind has to save something between.
    pause: float = 12.0
    seed: int = 0
    runs: Path = Path("runs/benchmark_kills")
    out: Path = Path("benchmarks/results/kills.json")


def command(args: Args, engine: str, address: str, out: Path) -> list[str]:
    """The training, all of its steps whatever it has learned."""
    options = {
        "engine": engine,
        "seed": args.seed,
        "max-env-steps": args.steps,
        "confirm-episodes": 10**6,
        "least-updates": 10**9,
        "checkpoint-seconds": 1,
    }
    if address:
        options["ray-address"] = address
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [sys.executable, "-m", "rldg", "train", args.task, "--out", str(out), *flags, "--overwrite"]


@contextmanager
def cluster() -> Iterator[tuple[int, str]]:
    """A Ray cluster of one machine, this one: the id of its process, and its address. It ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = ["start", "--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2", "--block"]
    start += ["--include-dashboard=false", "--object-store-memory=100000000", '--resources={"robot": 1}']
    with TemporaryDirectory(prefix="ray") as folder:  # a short path: there are sockets in it
        ray = [Path(sys.executable).with_name("ray"), *start, f"--temp-dir={folder}"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        head = subprocess.Popen(ray, env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}, start_new_session=True, **quiet)
        try:
            until = time.monotonic() + START_SECONDS
            while "raylet" not in " ".join(text for _, text in descendants(head.pid).values()):
                if head.poll() is not None or time.monotonic() > until:
                    raise SystemExit("The Ray cluster did not start: is rldg[ray] installed?")
                time.sleep(0.5)
            yield head.pid, f"127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGTERM)
            head.wait(60)


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process, by id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(folder.name)] = parent, (folder / "cmdline").read_text().replace("\0", " ")
    return found


def descendants(ancestor: int) -> dict[int, tuple[int, str]]:
    """Of `processes`, those that `ancestor` started, and those that these started."""
    running, found = processes(), {}
    parents = {ancestor}
    while parents:
        children = {p: of for p, of in running.items() if of[0] in parents}
        found |= children
        parents = set(children)
    return found


def target(kind: str, training: int, ray: int) -> int | None:
    """The process of this kind that belongs to the training or to its cluster `ray`, if there is one now."""
    if kind == "ray worker":
        actors = [p for p, (_, text) in descendants(ray).items() if text.startswith("ray::_Actor")]
        return actors[0] if actors else None
    spawned = {p: parent for p, (parent, text) in descendants(training).items() if "spawn_main" in text}
    learner = next((p for p, parent in spawned.items() if parent == training), None)
    if kind == "learner":
        return learner
    return next((p for p, parent in spawned.items() if parent == learner), None)


def disturbed(args: Args, engine: str, out: Path, ray: int, address: str) -> list[dict[str, Any]]:
    """Trains and kills; returns what was killed and when [s since 1970]."""
    generator, kills = random.Random(f"{args.seed} {engine}"), []
    due = [kind for kind in KINDS[engine] for _ in range(args.kills)]
    generator.shuffle(due)
    process = subprocess.Popen(command(args, engine, address, out), stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if not due or not list((out / "checkpoints").glob("checkpoint_*")):
            time.sleep(0.2)
            continue
        time.sleep(generator.uniform(args.pause / 10, args.pause))
        if (victim := target(due[-1], process.pid, ray)) is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                kills.append({"kind": due.pop(), "at": time.time()})
    ended(process.returncode, out)
    return kills


def ended(status: int, out: Path) -> None:
    """Stops unless a training has come to its end: its status is 1, since its budget ended without a candidate."""
    if status not in (0, 1) or not (out / "specialist.npz").exists():
        raise SystemExit(f"The training in {out} ended with status {status}; {LOG} there says why.")


def reported(kills: list[dict[str, Any]], log: Path) -> list[float | None]:
    """Seconds from each kill to the next line of its kind in the log; None where none came."""
    lines = [line.split(maxsplit=2) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    said = [(datetime.fromisoformat(line[0]).timestamp(), line[2]) for line in lines if len(line) == 3]
    seconds = []
    for kill in kills:
        later = [moment - kill["at"] for moment, text in said if REPORTED_AS[kill["kind"]] in text]
        seconds.append(min((round(s, 3) for s in later if s >= -0.01), default=None))
    return seconds


def curve(folder: Path) -> list[dict[str, float]]:
    """The metrics but for seconds."""
    lines = [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if not name.endswith("_seconds")} for line in lines]


def transitions(folder: Path) -> dict[str, np.ndarray]:
    """What the last checkpoint holds of the replay, by name."""
    arrays = Checkpoints(folder / "checkpoints").latest() or {}
    return {name: rows for name, rows in arrays.items() if name.startswith("replay.")}


def stored_alike(calm: Path, hunted: Path) -> bool:
    """Whether both trainings stored the same transitions in the same order, as far as both last checkpoints reach."""
    one, other = transitions(calm), transitions(hunted)
    pairs = [(one[name], other[name]) for name in one]
    return one.keys() == other.keys() and all(
        np.array_equal(a[: len(b)], b[: len(a)]) and min(len(a), len(b)) for a, b in pairs
    )


def outcome(calm: Path, hunted: Path, kills: list[dict[str, Any]]) -> dict[str, Any]:
    """What the kills did to a training, beside the undisturbed one."""
    one, other = (read_arrays(folder / "specialist.npz") for folder in (calm, hunted))
    seconds = reported(kills, hunted / LOG)
    return {
        "same_weights": one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one),
        "same_metrics": curve(calm) == curve(hunted),
        "same_transitions": stored_alike(calm, hunted),
        "kills": {
            kind: {
                "count": len(own),
                "reported_within_5_seconds": sum(second is not None and second <= REPORT_SECONDS for second in own),
                "longest_seconds_to_report": max((second for second in own if second is not None), default=None),
            }
            for kind in dict.fromkeys(kill["kind"] for kill in kills)
            if (own := [second for kill, second in zip(kills, seconds, strict=True) if kill["kind"] == kind])
        },
    }


def main(args: Args) -> None:
    """Prints what came out and writes it as JSON."""
    calm = args.runs / "undisturbed"
    ended(subprocess.run(command(args, "local", "", calm), stderr=subprocess.DEVNULL, check=False).returncode, calm)
    result: dict[str, Any] = {"task": args.task, "env_steps": args.steps, "asked_kills_of_each": args.kills}
    hunted = args.runs / "killed"
    result["local"] = outcome(calm, hunted, disturbed(args, "local", hunted, 0, ""))
    hunted = args.runs / "killed_on_ray"
    with cluster() as (ray, address):
        kills = disturbed(args, "ray", hunted, ray, address)
    result["ray"] = outcome(calm, hunted, kills)
    write_json(args.out, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

"""Speed of collecting: simulation, both cameras, JPEG, TFRecord, on all cores, as a multiple of real time.

    python -m benchmarks.collection [--out benchmarks/results/collection.json]

Wall time of the steady state: the workers' start, which a long collection pays once, is stated apart.
"""

import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from rldg.cli.output import table
from rldg.data.recorder import Recorder
from rldg.data.writer import DatasetWriter
from rldg.engines import make_engine
from rldg.tasks import load_task
from rldg.workers import EpisodeRunner, map_episodes


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    task: str = "usb_a_insertion"
    policy: str = "teleoperator"
    episodes: int = 120
    workers: int = os.cpu_count() or 1
    out: Path = Path("benchmarks/results/collection.json")


def main(args: Args) -> None:
    """Prints the table and writes the JSON."""
    runner = Recorder(EpisodeRunner(args.task, args.policy), began="")
    warm = 2 * args.workers
    steps, began = 0, time.monotonic()
    started = began
    with tempfile.TemporaryDirectory() as folder:
        writer = DatasetWriter(Path(folder) / "data")
        indices, engine = range(warm + args.episodes), make_engine(workers=args.workers)
        for index, episode in map_episodes(runner, indices, engine):
            writer.write_record(index, episode.record, episode.features)
            if index < warm:
                started = time.monotonic()
            else:
                steps += episode.length
    seconds = time.monotonic() - started
    rate = steps / seconds
    result = {
        "workers": args.workers,
        "steps_per_second": round(rate, 1),
        "times_real_time": round(rate / load_task(args.task).rate, 1),
        "start_seconds": round(started - began, 1),
    }
    print(
        table(
            ("what", "measured", "bound"),
            [
                (f"steps per second, {args.workers} workers", result["steps_per_second"], ""),
                ("times real time", result["times_real_time"], ">= 20"),
                ("seconds until the first episodes", result["start_seconds"], ""),
            ],
        )
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

"""Publishing 250 and 1,000 episodes through Apache Beam: episodes per second, and peak memory beside its bound.

    RLDG_BEAM_PYTHON=.venv-beam/bin/python python -m benchmarks.data_publishing [--out FILE]

Episodes have 60 steps and two cameras of 128 px. Memory is the resident memory of the command and all processes that it
started, added up and sampled every 20 ms; pages that they share count several times. For comparison the same episodes
go through the Beam writer of TensorFlow Datasets, which sends them through the runner's shuffle. Without
RLDG_BEAM_PYTHON (docs/scale.md) only the rows without Beam are measured.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import tyro

from benchmarks.data_writing import made_up_episode
from rldg.cli.output import table
from rldg.data.example import encode
from rldg.data.schema import episode_columns, episode_features
from rldg.data.writer import DatasetWriter
from rldg.stage import write_json

ROOT = Path(__file__).parents[1]
BEAM_PYTHON = os.environ.get("RLDG_BEAM_PYTHON", "")
COUNTS = (250, 1000)
PER_COLLECTION = 250
BOUND = 3 << 30  # bytes
TIMEOUT = 1800  # seconds


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    out: Path = Path("benchmarks/results/data_publishing.json")


def make_collections(root: Path, episodes: int) -> list[str]:
    """Collections of 250 episodes. The pictures repeat; that every episode is another one is in its metadata."""
    episode = made_up_episode(0)
    columns, features = episode_columns(episode), episode_features(episode).to_json()
    folders = []
    for first in range(0, episodes, PER_COLLECTION):
        folders.append(str(root / f"collection_{first // PER_COLLECTION}"))
        writer = DatasetWriter(Path(folders[-1]))
        for index in range(PER_COLLECTION):
            named = {"seed": first + index, "episode_id": f"benchmark-{first + index}".encode()}
            told = {f"episode_metadata/{name}": value for name, value in named.items()}
            writer.write_record(index, encode(columns | told), features)
    return folders


def measure(command: list[str]) -> tuple[float, int]:
    """Seconds that a command takes, and the peak memory [bytes] of it and all its descendants."""
    started, peak = time.monotonic(), 0
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as running:
        root = psutil.Process(running.pid)
        while running.poll() is None:
            peak = max(peak, _resident(root))
            if time.monotonic() - started > TIMEOUT:
                running.kill()
            time.sleep(0.02)
        assert running.stderr is not None
        if running.returncode:
            raise RuntimeError(running.stderr.read().decode()[-2000:])
    return time.monotonic() - started, peak


def _resident(root: psutil.Process) -> int:
    total = 0
    for process in [root, *_children(root)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def ways() -> dict[str, list[str]]:
    """What is measured -> the command, to which sources and the target are added."""
    publish = [str(ROOT / "datasets" / "publish.py"), "--name", "benchmark", "--shard-size", "64"]
    found = {"in one process": [sys.executable, *publish, "--engine", "local"]}
    if BEAM_PYTHON:
        found["Beam, 1 worker"] = [BEAM_PYTHON, *publish]
        found["Beam, 2 workers"] = [BEAM_PYTHON, *publish, "--workers", "2"]
        found["TFDS's Beam writer"] = [BEAM_PYTHON, str(Path(__file__).with_name("_tfds_beam_writer.py"))]
    return found


def main(args: Args) -> None:
    """Prints the table and writes it as JSON."""
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        sources = make_collections(folder, max(COUNTS))
        for way, command in ways().items():
            for count in COUNTS:
                target = folder / f"out_{len(rows)}"
                given = ["--sources", *sources[: count // PER_COLLECTION], "--out", str(target)]
                seconds, peak = measure([*command, *given])
                rows.append({"way": way, "episodes": count, "seconds": seconds, "peak_bytes": peak})
    print(
        table(
            ("way", "episodes", "episodes / s", "peak MiB", "bound MiB"),
            [
                (r["way"], r["episodes"], f"{r['episodes'] / r['seconds']:.0f}", r["peak_bytes"] >> 20, BOUND >> 20)
                for r in rows
            ],
        )
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, {"bound_bytes": BOUND, "load": os.getloadavg(), "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

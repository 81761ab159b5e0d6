"""Speed of reading data sets on one core.

    python -m benchmarks.data [--out benchmarks/results/data.json]

Rates are per second of process CPU time, so that another busy process changes them little. Episodes are of the size
that a converged specialist leaves: 12 steps, two cameras of 128 px.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tyro

from rldg.cli.output import table
from rldg.data.images import decode_image, encode_jpeg
from rldg.data.loader import StepSource, batches
from rldg.data.reader import open_dataset
from rldg.data.schema import STATE_PARTS
from rldg.data.writer import DatasetWriter
from rldg.rollout.episode import Episode, EpisodeMetadata
from rldg.stage import write_json

EPISODES = 100
LENGTH = 12
PIXELS = 128
CAMERAS = ("wrist_1", "side_1")
ROUNDS = 5


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    out: Path = Path("benchmarks/results/data.json")


def synthetic_episode(seed: int, length: int = LENGTH) -> Episode:
    """Smooth pictures with a little noise, which JPEG packs about as well as rendered ones (5 kB each)."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 6, PIXELS)
    surface = 110 + 60 * np.sin(x)[:, None] + 40 * np.cos(2 * x)[None]
    noise = rng.normal(0, 3, (length, PIXELS, PIXELS, 1))
    pictures = np.clip(surface[None, ..., None] + noise, 0, 255).astype(np.uint8).repeat(3, axis=-1)

    def numbers(size: int) -> np.ndarray:
        return rng.normal(size=(length, size)).astype(np.float32)

    last = np.arange(length) == length - 1
    metadata = EpisodeMetadata(f"benchmark-{seed}", "benchmark", "0" * 16, seed, True, "", "insertion_depth", "expert")
    return Episode(
        metadata=metadata,
        instruction="insert the plug",
        state={part: numbers(size) for part, size in STATE_PARTS.items()},
        raw_state={part: numbers(size) for part, size in STATE_PARTS.items()},
        privileged={"tcp_in_target": numbers(7)},
        images=dict.fromkeys(CAMERAS, pictures),
        action=numbers(7),
        base_action=numbers(7),
        action_normalized=numbers(7),
        reward=last.astype(np.float32),
        is_terminal=last,
        is_intervention=np.zeros(length, bool),
    )


def rate(work: Callable[[], object], amount: int) -> float:
    """Median over several rounds of `amount` per second of process CPU time."""
    rates = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        rates.append(amount / (time.process_time() - started))
    return float(np.median(rates))


def measure() -> dict[str, float]:
    """All rows of the table."""
    episode = synthetic_episode(0)
    picture = episode.images[CAMERAS[0]][0]
    encoded = encode_jpeg(picture)
    results = {
        "picture bytes": float(len(encoded)),
        "pictures decoded / s": rate(lambda: [decode_image(encoded) for _ in range(200)], 200),
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        writer = DatasetWriter(folder)
        for index in range(EPISODES):
            writer.write(index, episode)
        results["episodes listed / s"] = rate(lambda: open_dataset(folder), EPISODES)
        dataset = open_dataset(folder)
        results["steps read, one camera decoded / s"] = rate(
            lambda: [stored.steps["observation/image_wrist_1"].decoded() for stored in dataset], dataset.steps
        )
        for label, limit in (("decoded once", 1 << 30), ("decoded on access", 0)):
            source = StepSource(dataset, {"wrist": "observation/image_wrist_1"}, horizon=4, memory_limit=limit)
            reader = batches([source], 64, seed=0)
            next(reader)
            results[f"samples in batches of 64, {label} / s"] = rate(
                lambda r=reader: [next(r) for _ in range(20)], 1280
            )
    return results


def main(args: Args) -> None:
    """Prints the table and writes it as JSON."""
    results = measure()
    print(table(("what", "value"), [(name, f"{value:,.0f}") for name, value in results.items()]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, results)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

"""Speed of writing data sets, encoding included, beside a bare encoder and beside TFDS's own writer.

    python -m benchmarks.data_writing [--out benchmarks/results/data_writing.json]

200 episodes of 60 steps with two cameras of 128 px, written as a collection writes them: a durable file per episode.
Frames (control steps) per second of process CPU time, so that another busy process changes the ratios little. All
take turns, and ratios are medians over the turns. TFDS's SequentialWriter runs in a process of its own, since
TensorFlow has no place in ours; what it takes to import TensorFlow is not counted. It encodes PNG unless it is told
otherwise (here a tenth of the episodes); its JPEG has half the colour resolution, which is less work than ours.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tyro

from rldg.cli.output import table
from rldg.data.images import encode_jpeg
from rldg.data.writer import DatasetWriter
from rldg.env.types import STATE_PARTS
from rldg.rollout.episode import Episode, EpisodeMetadata
from rldg.stage import write_json

EPISODES = 200
LENGTH = 60
PIXELS = 128
CAMERAS = ("wrist_1", "side_1")
DISTINCT = 10  # episodes that are made; they are written over and over
ROUNDS = 3
ENCODER_SHARE, TFDS_FACTOR = 0.8, 3.0  # bounds


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    episodes: int = EPISODES
    out: Path = Path("benchmarks/results/data_writing.json")


def made_up_episode(seed: int) -> Episode:
    """Smooth pictures with a little noise, which JPEG packs about as well as rendered ones (5 kB each)."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 6, PIXELS)

    def pictures(phase: float) -> np.ndarray:
        surface = 110 + 60 * np.sin(x + phase)[:, None] + 40 * np.cos(2 * x)[None]
        noise = rng.normal(0, 3, (LENGTH, PIXELS, PIXELS, 1))
        return np.clip(surface[None, ..., None] + noise, 0, 255).astype(np.uint8).repeat(3, axis=-1)

    def numbers(size: int) -> np.ndarray:
        return rng.normal(size=(LENGTH, size)).astype(np.float32)

    last = np.arange(LENGTH) == LENGTH - 1
    metadata = EpisodeMetadata(f"benchmark-{seed}", "benchmark", "0" * 16, seed, True, "", "insertion_depth", "expert")
    return Episode(
        metadata=metadata,
        instruction="insert the plug",
        state={part: numbers(size) for part, size in STATE_PARTS.items()},
        raw_state={part: numbers(size) for part, size in STATE_PARTS.items()},
        privileged={"tcp_in_target": numbers(7)},
        images={camera: pictures(phase) for phase, camera in enumerate(CAMERAS)},
        action=numbers(7),
        base_action=numbers(7),
        action_normalized=numbers(7),
        reward=last.astype(np.float32),
        is_terminal=last,
        is_intervention=np.zeros(LENGTH, bool),
    )


def encoded_and_written(made: list[Episode], episodes: int) -> tuple[float, float]:
    """Control steps per CPU second (all threads, user and system) of encoding alone and of writing, episode by episode
    in turns, so that both see the machine in the same state.
    """
    encoding = writing = 0.0
    with TemporaryDirectory() as folder:  # to remove it again is no part of writing
        started = time.process_time()
        writer = DatasetWriter(Path(folder) / "data")
        writing += time.process_time() - started
        for index in range(episodes):
            episode = made[index % DISTINCT]
            started = time.process_time()
            for pictures in episode.images.values():
                for picture in pictures:
                    encode_jpeg(picture)
            between = time.process_time()
            writer.write(index, episode)
            encoding += between - started
            writing += time.process_time() - between
    return episodes * LENGTH / encoding, episodes * LENGTH / writing


def tfds_written(encoding: str, episodes: int) -> float:
    """The same of TFDS's writer."""
    command = [sys.executable, "-m", "benchmarks._tfds_writer", str(episodes), encoding]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])["frames_per_cpu_second"]


def measure(episodes: int) -> dict[str, float]:
    """Medians over the turns."""
    made = [made_up_episode(seed) for seed in range(DISTINCT)]
    encoded_and_written(made, DISTINCT)  # once before it counts
    turns = [
        (*encoded_and_written(made, episodes), tfds_written("png", -(-episodes // 10)), tfds_written("jpeg", episodes))
        for _ in range(ROUNDS)
    ]
    encoder, writer, tfds_png, tfds_jpeg = np.array(turns).T
    return {
        "encoder_frames_per_cpu_second": float(np.median(encoder)),
        "writer_frames_per_cpu_second": float(np.median(writer)),
        "tfds_png_frames_per_cpu_second": float(np.median(tfds_png)),
        "tfds_jpeg_frames_per_cpu_second": float(np.median(tfds_jpeg)),
        "share_of_encoder": float(np.median(writer / encoder)),
        "times_tfds_png": float(np.median(writer / tfds_png)),
        "times_tfds_jpeg": float(np.median(writer / tfds_jpeg)),
    }


def main(args: Args) -> None:
    """Prints the table and writes it as JSON."""
    results = {"episodes": args.episodes, **measure(args.episodes)}
    rows = [
        ("frames / s, JPEG encoding alone", f"{results['encoder_frames_per_cpu_second']:,.0f}", ""),
        ("frames / s, written", f"{results['writer_frames_per_cpu_second']:,.0f}", ""),
        ("frames / s, TFDS SequentialWriter, PNG", f"{results['tfds_png_frames_per_cpu_second']:,.0f}", ""),
        ("frames / s, TFDS SequentialWriter, JPEG", f"{results['tfds_jpeg_frames_per_cpu_second']:,.0f}", ""),
        ("written over encoded", f"{results['share_of_encoder']:.2f}", f">= {ENCODER_SHARE}"),
        ("written over TFDS, PNG", f"{results['times_tfds_png']:.2f}", f">= {TFDS_FACTOR:g}"),
        ("written over TFDS, JPEG", f"{results['times_tfds_jpeg']:.2f}", f">= {TFDS_FACTOR:g}"),
    ]
    print(table(("what, per CPU second", "measured", "bound"), rows))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, results)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

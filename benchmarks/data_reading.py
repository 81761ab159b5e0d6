"""Speed of the training loader beside what bounds it and beside tf.data, on one data set, in one run.

    python -m benchmarks.data_reading [--out benchmarks/results/data_reading.json]

200 episodes of 60 steps, one camera of 128 px; batches of 256, shuffled over all frames, with RLDG's OpenVLA
augmentation. The bounds decode the same JPEGs, already in memory, in bare loops and do nothing else (aim: 0.8 of them).
The loader is measured twice: decoding every picture anew, as in the first epoch and on a set that does not fit into
memory, and in the later epochs of a set that does, whose decoded pictures it keeps. tf.data reads the same files in a
process of its own: interleaved episodes, flat_map to steps, a shuffle buffer of 2,000 frames, decode, the same
augmentation, batch, prefetch. Rounds of all alternate. Rates are given per second and per second of CPU time, which
another busy process changes less.
"""

import collections
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import simplejpeg
import tyro

from rldg.cli.output import table
from rldg.data.example import encode
from rldg.data.images import encode_jpeg
from rldg.data.loader import Loader, LoaderConfig, make_loader
from rldg.data.reader import open_dataset
from rldg.data.steps import StepSource
from rldg.data.tfrecord import frame
from rldg.data.transform import RLDG_OPENVLA
from rldg.stage import write_json

EPISODES = 200
LENGTH = 60
PIXELS = 128
BATCH = 256
CAMERA = "observation/image_wrist_1"
SETTLED = 0.5  # seconds in which threads that were told to stop do so


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    out: Path = Path("benchmarks/results/data_reading.json")
    threads: int = 2
    rounds: int = 5
    batches: int = 40  # per round


def write_set(folder: Path) -> None:
    """Smooth pictures with a little noise, which JPEG packs about as well as rendered ones (5 kB each)."""
    import tensorflow_datasets as tfds

    steps = {
        "observation": {"image_wrist_1": tfds.features.Image(shape=(PIXELS, PIXELS, 3), encoding_format="jpeg")},
        "action": tfds.features.Tensor(shape=(7,), dtype=np.float32),
        "language_instruction": tfds.features.Text(),
    }
    features = tfds.features.FeaturesDict({"steps": tfds.features.Dataset(steps)})
    (folder / "features.json").write_text(json.dumps(features.to_json()))
    rng = np.random.default_rng(0)
    x = np.linspace(0, 6, PIXELS)
    for episode in range(EPISODES):
        phase = rng.uniform(0, 6, 3)
        surface = 110 + 60 * np.sin(x[:, None, None] + phase) + 40 * np.cos(2 * x[None, :, None] + phase)
        pictures = [
            np.clip(surface + rng.normal(0, 3, (PIXELS, PIXELS, 1)), 0, 255).astype(np.uint8) for _ in range(LENGTH)
        ]
        record = encode(
            {
                f"steps/{CAMERA}": [encode_jpeg(picture) for picture in pictures],
                "steps/action": rng.normal(size=(LENGTH, 7)).astype(np.float32),
                "steps/language_instruction": [b"insert the plug"] * LENGTH,
            }
        )
        (folder / f"set-train.tfrecord-{episode:05d}").write_bytes(frame(record))


def rates(work: Callable[[], object], frames: int) -> tuple[float, float]:
    """Frames per second and per second of CPU time."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return frames / (time.perf_counter() - started), frames / (time.process_time() - cpu)


def decoding(source: StepSource, threads: int) -> Callable[[int], object]:
    """The bound: decodes so many pictures, to the loader's pixels, in so many threads."""
    contents = [source.encoded("wrist", row) for row in range(0, len(source), 4)]
    pool = ThreadPoolExecutor(threads)

    def loop(count: int) -> None:
        for number in range(count):
            simplejpeg.decode_jpeg(contents[number % len(contents)], colorspace="RGB", fastdct=True)

    return lambda count: list(pool.map(loop, [count // threads] * threads))


def read_rates(loader: Loader, batches: int) -> tuple[float, float]:
    """Of a loader whose threads begin afresh and end with it, so that nobody else is measured with it."""
    loader.seek(loader.step)
    for _ in range(2 * loader.read_ahead):
        next(loader)  # until as much is read as is taken
    found = rates(lambda: collections.deque(islice(loader, batches), 0), batches * BATCH)
    loader.close()
    time.sleep(SETTLED)
    return found


def tensorflow_rates(folder: Path, args: Args) -> Generator[tuple[float, float], None, None]:
    """The same of tf.data; each `next` is a round, run while this process waits."""
    command = [sys.executable, "-m", "benchmarks._data_reading_tf", str(folder), str(args.batches), str(args.threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            while True:
                process.stdin.write("\n")
                process.stdin.flush()
                wall, cpu = json.loads(process.stdout.readline())
                process.send_signal(signal.SIGSTOP)  # it would read ahead while the others are measured
                yield wall, cpu
                process.send_signal(signal.SIGCONT)
        finally:
            process.kill()


def measure(args: Args) -> dict[str, float]:
    """All rows of the table: medians over the rounds."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_set(folder)
        started = time.perf_counter()
        open_dataset(folder, verify=False)
        indexing = time.perf_counter() - started
        started = time.perf_counter()
        source = StepSource(open_dataset(folder, verify=False), {"wrist": CAMERA})
        opening = time.perf_counter() - started
        transform = RLDG_OPENVLA.model_copy(update={"height": PIXELS, "width": PIXELS})
        config = LoaderConfig(BATCH, {"wrist": transform}, threads=args.threads)
        loaders = {
            "loader, decoding anew": make_loader([source], replace(config, memory_limit=0)),
            "loader, pictures kept": make_loader([source], config),
        }
        for _ in range(-(-len(source) // BATCH)):
            next(loaders["loader, pictures kept"])
        bounds = {f"decode in {count} loops": decoding(source, count) for count in sorted({1, args.threads})}
        other = tensorflow_rates(folder, args)
        frames = args.batches * BATCH
        next(other)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*bounds, *loaders, "tf.data")}
        for _ in range(args.rounds):
            for name, work in bounds.items():
                found[name].append(rates(lambda: work(frames), frames))
            for name, loader in loaders.items():
                found[name].append(read_rates(loader, args.batches))
            found["tf.data"].append(next(other))
        other.close()
    results: dict[str, float] = {"index and verify / s": indexing, "open with the index / s": opening}
    for label, column in (("frames / s", 0), ("frames / CPU s", 1)):
        median = {name: float(np.median([pair[column] for pair in pairs])) for name, pairs in found.items()}
        results |= {f"{name}, {label}": value for name, value in median.items()}
        for name in loaders:
            results |= {f"{name}, over {what}, {label}": median[name] / median[what] for what in (*bounds, "tf.data")}
    return results


def main(args: Args) -> None:
    """Prints the table and writes it as JSON."""
    results = measure(args)
    print(table(("what", "value"), [(name, f"{value:,.2f}") for name, value in results.items()]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, results)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

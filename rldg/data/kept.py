"""Decoded pictures that are kept: a set that fits into memory is decoded once; later epochs only change pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rldg.data.steps import StepSource
from rldg.data.transform import ImageTransform


class KeptPictures:
    """Room for every picture of every source, resized; filled as pictures are first needed.

    The memory is taken at once: it neither grows while reading nor runs out in the middle of a training. Threads that
    meet at one picture write the same there.
    """

    def __init__(self, sources: Sequence[StepSource], images: Mapping[str, ImageTransform]) -> None:
        self._pictures = {
            (number, camera): np.full((len(source), transform.height, transform.width, 3), 0, np.uint8)
            for number, source in enumerate(sources)
            for camera, transform in images.items()
        }
        self._known = {key: bytearray(len(pictures)) for key, pictures in self._pictures.items()}

    @staticmethod
    def size(sources: Sequence[StepSource], images: Mapping[str, ImageTransform]) -> int:
        """What it will take, in bytes."""
        return sum(3 * image.height * image.width + 1 for image in images.values()) * sum(map(len, sources))

    def of(self, source: int, camera: str) -> tuple[np.ndarray, bytearray]:
        """The pictures (S, height, width, 3) of a source's camera, and which of them are there."""
        return self._pictures[source, camera], self._known[source, camera]


def free_memory() -> int:
    """What the machine, or the container this runs in, has free for another use, in bytes; 0 if it does not say so."""
    counts = Path("/proc/meminfo")
    if not counts.exists():
        return 0
    lines = dict(line.split(":", 1) for line in counts.read_text().splitlines())
    free = 1024 * int(lines["MemAvailable"].split()[0])  # with what the system would give up of its file cache
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and (most := limit.read_text().strip()) != "max":
        free = min(free, max(0, int(most) - int(used.read_text())))
    return free

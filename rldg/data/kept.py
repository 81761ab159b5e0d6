"""Decoded pictures that are kept: a set that fits into memory is decoded once; later epochs only change pictures."""

from collections.abc import Mapping, Sequence

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

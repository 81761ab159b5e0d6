"""From numbers of steps to a batch: gathers, decodes, transforms."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from rldg.data.steps import StepSource
from rldg.data.transform import DRAWS, Change, ImageTransform

cv2.setNumThreads(1)  # the loader's own threads read whole batches: OpenCV's would only disturb them

_WORDS = 4  # numbers that the generator gives per count of its counter


@dataclass(frozen=True)
class Assembler:
    """Makes batches of rows: the steps of all sources, numbered through. Several threads may use it at once."""

    sources: Sequence[StepSource]
    images: dict[str, ImageTransform]  # by camera
    window: int
    horizon: int
    action_dim: int
    state_dim: int
    seed: int | None  # of the augmentation; None prepares pictures as for acting
    kept: dict[str, list[np.ndarray]] = field(default_factory=dict)  # by camera: all resized pictures of each source

    def __call__(self, rows: np.ndarray, first: int, stride: int) -> dict[str, Any]:
        """The batch of the steps `rows` (B,), as nested dictionaries.

        `first` is the place of the first sample in the stream, `stride` the way to the next one's: from its place
        follows how a sample is augmented.
        """
        starts = np.cumsum([0, *map(len, self.sources)])
        which = np.searchsorted(starts, rows, side="right") - 1
        own = rows - starts[which]
        parts = [
            self.sources[number].samples(
                own[which == number], self.window, self.horizon, self.action_dim, self.state_dim
            )
            for number in np.unique(which)
        ]
        back = np.argsort(np.argsort(which, kind="stable"))
        flat = {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}
        history = flat.pop("history")
        for number, camera in enumerate(self.images):
            changes = self.images[camera].changes(self._draws(number, first, stride, len(rows)))
            flat[f"observation/image_{camera}"] = self._pictures(camera, which.tolist(), history.tolist(), changes)
        return _nested(flat)

    def _pictures(self, camera: str, which: list[int], history: list[list[int]], changes: list[Change]) -> np.ndarray:
        """(B, W, height, width, 3) uint8; the pictures of a window are changed alike."""
        transform = self.images[camera]
        readers = [self._reader(camera, number) for number in range(len(self.sources))]
        found = np.zeros((len(which), self.window, transform.height, transform.width, 3), np.uint8)
        for sample, number, rows, change in zip(found, which, history, changes, strict=True):
            for slot, row in zip(sample, rows, strict=True):
                picture = readers[number](row)
                if picture is not None:
                    transform.changed(picture, change, slot)
        return found

    def _reader(self, camera: str, number: int) -> Callable[[int], np.ndarray | None]:
        """Gives the resized picture of a step; its next call may overwrite it."""
        source = self.sources[number]
        if camera not in self.kept:
            return _reader(source, camera, self.images[camera])
        kept, there = self.kept[camera][number], source.has_picture(camera, np.arange(len(source)))
        return lambda row: kept[row] if there[row] else None

    def _draws(self, camera: int, first: int, stride: int, count: int) -> np.ndarray:
        """Random numbers (count, 8) of a camera, each row a function of seed, camera and place in the stream alone."""
        if self.seed is None:
            return np.full((count, DRAWS), 0.5)
        generator = np.random.Philox(key=[self.seed, camera], counter=[first * DRAWS // _WORDS, 0, 0, 0])
        return np.random.Generator(generator).random((count * stride, DRAWS))[::stride]


def _reader(source: StepSource, camera: str, transform: ImageTransform) -> Callable[[int], np.ndarray | None]:
    buffer = source.buffer(camera)

    def read(row: int) -> np.ndarray | None:
        picture = source.picture(camera, row, buffer)
        return None if picture is None else transform.resized(picture)

    return read


def read_pictures(source: StepSource, camera: str, transform: ImageTransform, threads: int) -> np.ndarray:
    """(S, height, width, 3) uint8: all pictures of a camera, resized but not changed; black where there is none."""
    found = np.zeros((len(source), transform.height, transform.width, 3), np.uint8)

    def fill(rows: range) -> None:
        read = _reader(source, camera, transform)
        for row in rows:
            picture = read(row)
            if picture is not None:
                found[row] = picture

    chunks = [range(len(source))[start : start + 64] for start in range(0, len(source), 64)]
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for _ in tqdm(pool.map(fill, chunks), f"Decoding {camera}", len(chunks), leave=False):
            pass
    return found


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split("/")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested

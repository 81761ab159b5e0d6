"""From numbers of steps to a batch: gathers, decodes, transforms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from rldg.data.kept import KeptPictures
from rldg.data.steps import StepSource
from rldg.data.transform import DRAWS, ImageTransform

cv2.setNumThreads(1)  # the loader's own threads read whole batches: OpenCV's would only disturb them

_NONE = -1  # stands for a step where there is none
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
    seed: int
    augment: bool  # False prepares pictures as for acting
    goals: float = 0.0  # share of samples whose task is a later picture instead of the instruction
    kept: KeptPictures | None = None  # None decodes a picture whenever it is needed

    def __call__(self, rows: np.ndarray, first: int, stride: int) -> dict[str, Any]:
        """The batch of the steps `rows` (B,), as nested dictionaries.

        `first` is the place of the first sample in the stream, `stride` the way to the next one's: from its place
        follows how a sample is augmented, and which goal it has.
        """
        starts = np.cumsum([0, *map(len, self.sources)])
        which = np.searchsorted(starts, rows, side="right") - 1
        own = rows - starts[which]
        goals = self._goals(which, own, first, stride) if self.goals else None
        flat = self._numbers(which, own, goals)
        history = flat.pop("history")
        if goals is not None:
            shown = self._draws(len(self.images), first, stride, len(rows))[:, 1] < self.goals
            shown |= ~flat["task/pad_mask_dict/language_instruction"]  # what else would tell the task
            flat["task/language_instruction"][shown] = ""
            flat["task/pad_mask_dict/language_instruction"] &= ~shown
            goals[~shown] = _NONE
        for number, camera in enumerate(self.images):
            transform, treatments = self.images[camera], [self.images[camera].centred] * len(rows)
            if self.augment:
                changes = transform.changes(self._draws(number, first, stride, len(rows)))
                treatments = [partial(transform.changed, change=change) for change in changes]
            flat[f"observation/image_{camera}"] = self._pictures(camera, which, history, treatments)
            if goals is not None:
                flat[f"task/image_{camera}"] = self._pictures(camera, which, goals[:, None], treatments)[:, 0]
                flat[f"task/pad_mask_dict/image_{camera}"] &= goals != _NONE
        return _nested(flat)

    def _goals(self, which: np.ndarray, rows: np.ndarray, first: int, stride: int) -> np.ndarray:
        """(B,) the step that each sample is to reach, a later one of its episode."""
        draws = self._draws(len(self.images), first, stride, len(rows))[:, 0]
        goals = np.empty_like(rows)
        for number in np.unique(which):
            here = which == number
            goals[here] = self.sources[number].later(rows[here], draws[here])
        return goals

    def _numbers(self, which: np.ndarray, rows: np.ndarray, goals: np.ndarray | None) -> dict[str, Any]:
        """Everything but the pictures, from the sources `which` (B,) and their own `rows` (B,); see `samples`."""
        sizes = (self.window, self.horizon, self.action_dim, self.state_dim)
        parts = [
            self.sources[number].samples(rows[here], None if goals is None else goals[here], *sizes)
            for number, here in ((number, which == number) for number in np.unique(which))
        ]
        back = np.argsort(np.argsort(which, kind="stable"))
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def _pictures(
        self, camera: str, which: np.ndarray, rows: np.ndarray, treatments: Sequence[Callable[..., np.ndarray]]
    ) -> np.ndarray:
        """(B, N, height, width, 3) uint8: of each sample the pictures at its N rows, treated alike."""
        transform = self.images[camera]
        readers = [self._reader(camera, number) for number in range(len(self.sources))]
        found = np.empty((*rows.shape, transform.height, transform.width, 3), np.uint8)
        for sample, number, places, treat in zip(found, which.tolist(), rows.tolist(), treatments, strict=True):
            for slot, row in zip(sample, places, strict=True):
                picture = None if row == _NONE else readers[number](row)
                if picture is None:
                    slot.fill(0)
                else:
                    treat(picture, out=slot)
        return found

    def _reader(self, camera: str, number: int) -> Callable[[int], np.ndarray | None]:
        """Gives the resized picture of a step; its next call may overwrite it."""
        read = _reader(self.sources[number], camera, self.images[camera])
        if self.kept is None:
            return read
        pictures, known = self.kept.of(number, camera)

        def kept(row: int) -> np.ndarray | None:
            if not known[row]:
                picture = read(row)
                if picture is None:
                    return None
                pictures[row] = picture
                known[row] = True
            return pictures[row]

        return kept

    def _draws(self, camera: int, first: int, stride: int, count: int) -> np.ndarray:
        """Random numbers (count, 8) of a camera, each row a function of seed, camera and place in the stream alone.

        The goals' are those of a camera more.
        """
        generator = np.random.Philox(key=[self.seed, camera], counter=[first * DRAWS // _WORDS, 0, 0, 0])
        return np.random.Generator(generator).random((count * stride, DRAWS))[::stride]


def _reader(source: StepSource, camera: str, transform: ImageTransform) -> Callable[[int], np.ndarray | None]:
    buffer = source.buffer(camera)

    def read(row: int) -> np.ndarray | None:
        picture = source.picture(camera, row, buffer)
        return None if picture is None else transform.resized(picture)

    return read


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split("/")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested

"""Random access to the steps of a data set: numbers in memory, pictures where they are on disk."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rldg.data.images import decode_image
from rldg.data.normalisation import Normalisation
from rldg.data.reader import Dataset
from rldg.data.views import column_values
from rldg.errors import DatasetError

_STEPS = "steps/"


class StepSource:
    """The S steps of some episodes, in the layout of Octo's own loader.

    Numbers (a few hundred bytes per step) are read at once and kept; a picture is read from its file when it is asked
    for, and stays in the operating system's cache as far as there is room.

    Args:
        episodes: what to sample from; usually `open_dataset(folder, verify=False).successes()`.
        cameras: name in the batch -> column, e.g. {"wrist": "observation/image_wrist"}. None stands for a camera that
            this data set lacks: its pictures are black and their pad mask is False.
        action: column of the actions, "action" (end-effector frame) or e.g. "base_action".
        state: column of the state, or None for policies without proprioception.
        language: column of the instruction, or None.
        name: of the data set in batches; by default the folder's.
        action_normalisation: applied to the actions, if given.
        state_normalisation: applied to the states, if given.

    `actions` (S, A) are normalised; `instructions` are the different texts, `instruction` (S,) which of
    them a step has.

    Raises:
        DatasetError: a column or a picture is missing, or there is no episode.
    """

    def __init__(
        self,
        episodes: Dataset,
        cameras: Mapping[str, str | None],
        *,
        action: str = "action",
        state: str | None = None,
        language: str | None = "language_instruction",
        name: str = "",
        action_normalisation: Normalisation | None = None,
        state_normalisation: Normalisation | None = None,
    ) -> None:
        columns = [column for column in (*cameras.values(), action, state, language) if column]
        missing = [column for column in columns if _STEPS + column not in episodes.fields]
        if missing:
            have = sorted(n.removeprefix(_STEPS) for n in episodes.fields if n.startswith(_STEPS))
            raise DatasetError(f"{episodes.folder} has no column {', '.join(missing)}; it has {', '.join(have)}.")
        if not len(episodes):
            raise DatasetError(f"{episodes.folder} has no episode left to train on.")
        self.name = name or episodes.folder.resolve().name
        self.episodes, self.cameras = episodes, dict(cameras)
        lengths = np.array([entry.length for entry in episodes.entries])
        self._records = [episodes.record_index.first_record[entry.file] + entry.record for entry in episodes.entries]
        self.episode = np.repeat(np.arange(len(lengths)), lengths)  # (S,) number of each step's episode
        self._ends = np.repeat(np.cumsum(lengths), lengths)  # of each step: the end of its episode
        self._starts = self._ends - np.repeat(lengths, lengths)
        self.actions = self._numbers(action, action_normalisation)
        self._states = self._numbers(state, state_normalisation) if state else None
        texts = self._texts(language) if language else [""] * len(self)
        self.instructions, self.instruction = np.unique(np.array(texts), return_inverse=True)
        self._files = np.repeat(episodes.record_index.file[self._records], lengths).tolist()
        self._places = {camera: self._pictures(column) for camera, column in cameras.items() if column}

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def nbytes(self) -> int:
        """Size in memory of what is kept, in bytes."""
        arrays = [self.actions, self._states, self._starts, self._ends, self.episode, self.instruction]
        return sum(array.nbytes for array in [*arrays, *self._places.values()] if array is not None)

    @property
    def action_dim(self) -> int:
        """Numbers per action."""
        return self.actions.shape[1]

    @property
    def state_dim(self) -> int:
        """Numbers per state; 0 without a state."""
        return 0 if self._states is None else self._states.shape[1]

    def buffer(self, camera: str) -> np.ndarray | None:
        """Room for one picture of a camera, None if `features.json` does not say how large they are."""
        column = self.cameras[camera]
        shape = self.episodes.fields[_STEPS + column].shape if column else None
        if not shape or None in shape[:2]:
            return None
        # Rows that begin at a multiple of 32 bytes libjpeg-turbo writes past the cache, where they are needed next.
        size = 3 * shape[0] * shape[1]
        room = np.empty(size + 32, np.uint8)
        start = (16 - room.ctypes.data) % 32
        return room[start : start + size].reshape(*shape[:2], 3)

    def history(self, rows: np.ndarray, window: int) -> np.ndarray:
        """(B, W) steps up to and including `rows` (B,), the first of an episode standing in for those before it."""
        return np.maximum(rows[:, None] + np.arange(1 - window, 1), self._starts[rows][:, None])

    def later(self, rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """(B,) steps after `rows` (B,), evenly from those of the same episode by `draws` (B,) in [0, 1).

        The last step stands for itself. This is the "uniform" goal relabelling of Octo's loader.
        """
        last = self._ends[rows] - 1
        return np.minimum(rows + 1 + (draws * (last - rows)).astype(int), last)

    def encoded(self, camera: str, row: int) -> bytes:
        """One picture as it is stored; empty if the data set has none there."""
        places = self._places.get(camera)
        if places is None:
            return b""
        start, size = places[row].tolist()
        return self.episodes.record_index.read(self._files[row], start, size)

    def picture(self, camera: str, row: int, buffer: np.ndarray | None = None) -> np.ndarray | None:
        """One picture, (H, W, 3) uint8 RGB, in `buffer` if it can lie there; None if the data set has none.

        Raises `DatasetError` naming record and step if it is broken.
        """
        content = self.encoded(camera, row)
        try:
            return decode_image(content, buffer) if content else None
        except DatasetError as error:
            record = self.episodes.record_index.place(self._records[self.episode[row]])
            raise DatasetError(f"{record}, step {row - self._starts[row]}, '{self.cameras[camera]}': {error}") from None

    def has_picture(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Whether there is a picture (not an empty text in its place) at each of `rows`, in their shape."""
        places = self._places.get(camera)
        return np.zeros(rows.shape, bool) if places is None else places[rows, 1] > 0

    def samples(
        self, rows: np.ndarray, goals: np.ndarray | None, window: int, horizon: int, action_dim: int, state_dim: int
    ) -> dict[str, Any]:
        """Everything but the pictures of the samples whose last observation is at `rows` (B,).

        Actions and states are padded with zeros to the given sizes. Keys are those of `rldg.data.loader`, joined by
        "/", and "history": the steps (B, W) of the observations. Given the steps `goals` (B,) to reach, the task has
        their numbers, and is completed beyond them.
        """
        past = self.history(rows, window)
        future = past[..., None] + np.arange(horizon)
        last = self._ends[rows] - 1
        inside = future <= (last if goals is None else goals)[:, None, None]
        found: dict[str, Any] = {
            "history": past,
            "observation/timestep_pad_mask": rows[:, None] + np.arange(1 - window, 1) >= self._starts[rows][:, None],
            "observation/task_completed": ~inside,
            "task/language_instruction": self.instructions[self.instruction[rows]],
            "action": _padded(self.actions[np.minimum(future, last[:, None, None])], action_dim),
            "action_pad_mask": inside[..., None] & (np.arange(action_dim) < self.action_dim),
            "dataset_name": np.full(len(rows), self.name),
        }
        found["task/pad_mask_dict/language_instruction"] = found["task/language_instruction"] != ""
        found |= self._seen("observation", past, state_dim)
        return found if goals is None else found | self._seen("task", goals, state_dim)

    def _seen(self, part: str, rows: np.ndarray, state_dim: int) -> dict[str, Any]:
        """What is known of `rows` (any shape) but the pictures, and whether it is known."""
        known = np.ones(rows.shape, bool)
        found: dict[str, Any] = {"timestep": (rows - self._starts[rows]).astype(np.int32)}
        mask = {f"image_{camera}": self.has_picture(camera, rows) for camera in self.cameras} | {"timestep": known}
        if state_dim:
            states = np.zeros((len(self), 0), np.float32) if self._states is None else self._states
            found["proprio"] = _padded(states[rows], state_dim)
            mask["proprio"] = known & (self._states is not None)
        found |= {f"pad_mask_dict/{name}": value for name, value in mask.items()}
        return {f"{part}/{name}": value for name, value in found.items()}

    def _numbers(self, column: str, normalisation: Normalisation | None) -> np.ndarray:
        values = np.concatenate(list(column_values(self.episodes, column))).astype(np.float32)
        values = values.reshape(len(values), -1)
        if len(values) != len(self):
            raise DatasetError(f"{self.episodes.folder} has {len(values)} of '{column}' for {len(self)} steps.")
        return normalisation.normalise(values) if normalisation else values

    def _texts(self, column: str) -> list[str]:
        texts = [text.decode(errors="replace") for texts in column_values(self.episodes, column) for text in texts]
        if len(texts) != len(self):
            raise DatasetError(f"{self.episodes.folder} has {len(texts)} of '{column}' for {len(self)} steps.")
        return texts

    def _pictures(self, column: str) -> np.ndarray:
        index, name = self.episodes.record_index, _STEPS + column
        first = index.first_picture[name]
        for record, entry in zip(self._records, self.episodes.entries, strict=True):
            if (found := first[record + 1] - first[record]) != entry.length:
                raise DatasetError(
                    f"{index.place(record)} has {found} pictures of '{column}' for {entry.length} steps."
                )
        return np.concatenate([index.pictures[name][first[record] : first[record + 1]] for record in self._records])


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    """(..., n) with zeros behind to (..., size)."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, size - values.shape[-1])])

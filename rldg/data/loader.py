"""Batches for training: random access to steps, deterministic shuffling and mixing, iterators that can be resumed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from rldg.data.reader import Dataset
from rldg.errors import DatasetError

Sample = dict[str, Any]


class StepSource:
    """One sample per control step, in the layout of Octo's own loader.

    With a window of W observations and a horizon of H actions:

        observation/image_<camera>     (W, h, w, 3) uint8
        observation/proprio            (W, n) float32, if `state` is given
        observation/timestep_pad_mask  (W,) bool, False where the window reaches before the first step
        task/language_instruction      str
        action                         (W, H, A) float32, the last action repeated beyond the end
        action_pad_mask                (W, H, A) bool, False beyond the end

    The encoded pictures stay in memory. If they fit decoded into `memory_limit` bytes they are decoded once, else
    whenever they are asked for.

    Args:
        episodes: what to sample from; usually `open_dataset(folder).successes()`.
        cameras: name in the sample -> column of the data set, e.g. {"wrist": "observation/image_wrist"}.
        action: column of the actions, "action" (end-effector frame) or e.g. "base_action".
        state: column of the state, or None for policies without proprioception.
        window: W, observations per sample.
        horizon: H, actions per sample.
        memory_limit: bytes of decoded pictures to keep.
    """

    def __init__(
        self,
        episodes: Dataset,
        cameras: Mapping[str, str],
        *,
        action: str = "action",
        state: str | None = None,
        window: int = 1,
        horizon: int = 1,
        memory_limit: int = 1 << 30,
    ) -> None:
        wanted = [*cameras.values(), action, *([state] if state else [])]
        missing = [column for column in wanted if f"steps/{column}" not in episodes.fields]
        if missing:
            have = sorted(n.removeprefix("steps/") for n in episodes.fields if n.startswith("steps/"))
            raise DatasetError(f"{episodes.folder} has no column {', '.join(missing)}; it has {', '.join(have)}.")
        if not len(episodes):
            raise DatasetError(f"{episodes.folder} has no episode left to train on.")
        self._window = np.arange(1 - window, 1)
        self._horizon = np.arange(horizon)
        loaded = [episode.steps for episode in episodes]
        lengths = np.array([entry.length for entry in episodes.entries])
        self._ends = np.repeat(np.cumsum(lengths), lengths)  # of each step: the end of its episode
        self._starts = self._ends - np.repeat(lengths, lengths)
        self._actions = np.concatenate([steps[action] for steps in loaded]).astype(np.float32)
        self._states = np.concatenate([steps[state] for steps in loaded]).astype(np.float32) if state else None
        self._instructions = [text for steps in loaded for text in steps["language_instruction"]]
        frame_bytes = sum(loaded[0][column][0].nbytes for column in cameras.values())
        decode_now = frame_bytes * len(self) <= memory_limit
        self._images = {
            f"image_{name}": _frames([steps[column] for steps in loaded], decode_now)
            for name, column in cameras.items()
        }

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Sample:
        start, end = self._starts[index], self._ends[index]
        history = index + self._window
        past = np.maximum(history, start)
        future = past[:, None] + self._horizon
        actions = self._actions[np.minimum(future, end - 1)]
        inside = np.broadcast_to((future < end)[..., None], actions.shape)
        observation: Sample = {name: np.stack([frames[i] for i in past]) for name, frames in self._images.items()}
        if self._states is not None:
            observation["proprio"] = self._states[past]
        return {
            "observation": observation | {"timestep_pad_mask": history >= start},
            "task": {"language_instruction": self._instructions[index]},
            "action": actions,
            "action_pad_mask": inside,
        }


def _frames(episodes: list[Any], decode_now: bool) -> Any:
    if decode_now:
        return np.concatenate([images.decoded() for images in episodes])
    return type(episodes[0])([content for images in episodes for content in images.encoded])


def batches(
    sources: Sequence[StepSource],
    batch_size: int,
    *,
    seed: int,
    weights: Sequence[float] | None = None,
    transform: Callable[[Sample], Sample] | None = None,
    threads: int = 1,
) -> grain.DatasetIterator:
    """Endless batches drawn from `sources`, each source shuffled anew in every epoch.

    The order depends on `seed` alone. `next()` gives a batch; `get_state()` and `set_state()` save and restore the
    place, so a resumed training sees the batches that an uninterrupted one would.

    Args:
        sources: one per data set.
        batch_size: samples per batch.
        seed: of all shuffling.
        weights: share of each source in every batch's draw; by default their share of the steps.
        transform: applied to each sample before batching, e.g. normalisation or augmentation.
        threads: that read ahead.
    """
    seeds = np.random.SeedSequence(seed).generate_state(len(sources))
    shuffled = [
        grain.MapDataset.source(source).seed(int(own)).shuffle().repeat()
        for source, own in zip(sources, seeds, strict=True)
    ]
    shares = list(weights) if weights is not None else [len(source) / sum(map(len, sources)) for source in sources]
    steps = grain.MapDataset.mix(shuffled, shares) if len(shuffled) > 1 else shuffled[0]
    if transform is not None:
        steps = steps.map(transform)
    reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * batch_size if threads else 0)
    return iter(steps.to_iter_dataset(reading).batch(batch_size, drop_remainder=True))

"""`Examples`: labelled pictures in memory, read from what `rldg classifier record` wrote."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rldg.classifiers.record import LABEL, TRUTH
from rldg.data.reader import StoredEpisode, open_dataset
from rldg.env.classifier import pose_vector
from rldg.errors import DatasetError

POSE = "observation/tcp_in_target"


@dataclass(frozen=True)
class Examples:
    """N labelled steps of whole episodes."""

    images: dict[str, np.ndarray]  # camera -> (N, H, W, 3) uint8 RGB
    label: np.ndarray  # (N,) bool
    truth: np.ndarray | None  # (N,) bool, by the simulator; None where it is not known
    pose: np.ndarray  # (N, 6) of the tool in the target frame: x y z [m], rotation vector [rad]
    episode: np.ndarray  # (N,) episode id, text
    step: np.ndarray  # (N,) number of the step in its episode

    def __len__(self) -> int:
        return len(self.label)

    def where(self, chosen: np.ndarray) -> "Examples":
        """Those that a mask (N,) or indices choose."""
        return Examples(
            {camera: pictures[chosen] for camera, pictures in self.images.items()},
            self.label[chosen],
            None if self.truth is None else self.truth[chosen],
            self.pose[chosen],
            self.episode[chosen],
            self.step[chosen],
        )

    @property
    def resolutions(self) -> dict[str, int]:
        """Camera -> pixels, square."""
        return {camera: pictures.shape[1] for camera, pictures in self.images.items()}


def read_examples(folders: Sequence[Path], cameras: Sequence[str] = ()) -> Examples:
    """The labelled steps of several data sets.

    Args:
        folders: of the data sets.
        cameras: which of the cameras; by default all that every data set has.

    Raises:
        DatasetError: a data set is broken, has no labels or lacks a camera, or picture sizes differ.
    """
    sets = [open_dataset(folder) for folder in folders]
    have = {camera.removeprefix("observation/image_") for camera in set.intersection(*(set(s.cameras) for s in sets))}
    for camera in cameras:
        if camera not in have:
            raise DatasetError(f"Not every data set has pictures of camera '{camera}'; all have {sorted(have)}.")
    for one in sets:
        if f"steps/{LABEL}" not in one.fields:
            raise DatasetError(f"{one.folder} holds no labels; `rldg classifier record` records some.")
        if not len(one):
            raise DatasetError(f"{one.folder} holds no episode yet.")
    parts = [_examples(episode, cameras or sorted(have)) for one in sets for episode in one]
    if len({tuple(part.resolutions.items()) for part in parts}) > 1:
        raise DatasetError(f"The pictures in {', '.join(map(str, folders))} differ in size.")
    truths = [part.truth for part in parts if part.truth is not None]
    return Examples(
        {camera: np.concatenate([part.images[camera] for part in parts]) for camera in parts[0].images},
        np.concatenate([part.label for part in parts]),
        np.concatenate(truths) if len(truths) == len(parts) else None,
        np.concatenate([part.pose for part in parts]),
        np.concatenate([part.episode for part in parts]),
        np.concatenate([part.step for part in parts]),
    )


def _examples(episode: StoredEpisode, cameras: Sequence[str]) -> Examples:
    steps, count = episode.steps, len(episode)
    truth = steps.get(TRUTH)
    return Examples(
        {camera: steps[f"observation/image_{camera}"].decoded() for camera in cameras},
        steps[LABEL][:, 0] > 0.5,
        None if truth is None else truth[:, 0] > 0.5,
        np.stack([pose_vector(pose) for pose in steps[POSE]]),
        np.full(count, str(episode.metadata["episode_id"])),
        np.arange(count),
    )


def held_out(examples: Examples, share: float) -> np.ndarray:
    """(N,) bool: the steps of about `share` of the episodes, to test on.

    Whole episodes, since neighbouring pictures are nearly the same; by their ids alone, so that a set that is extended
    never moves what was learned into what is tested.
    """
    ids, inverse = np.unique(examples.episode, return_inverse=True)
    return np.array([zlib.crc32(name.encode()) % 1000 < 1000 * share for name in ids])[inverse]

"""What an episode looks like on disk: its TFDS features, and its columns.

RLDS convention: step t holds the observation at t, the action taken on it, and the reward that the action earned.
`discount` is 0 on a terminal step and 1 otherwise, so an episode that ran out of time is not terminal.
"""

from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

import numpy as np
import tensorflow_datasets as tfds

from rldg.data.example import Columns
from rldg.data.images import encode_jpeg
from rldg.env.types import STATE_PARTS, STATE_SIZE
from rldg.rollout.episode import Episode, EpisodeMetadata

_SCALARS = {str: tfds.features.Text(), bool: np.bool_, int: np.int64, float: np.float32}


def episode_features(episode: Episode) -> tfds.features.FeaturesDict:
    """The features of the data set that `episode` belongs to: they depend on its cameras and privileged parts only."""
    return _features(*_shapes(episode))


def features_json(episode: Episode) -> dict[str, Any]:
    """The same as the content of `features.json`; shared between episodes, so not to be changed."""
    return _features_json(*_shapes(episode))


Shapes = tuple[tuple[str, tuple[int, ...]], ...]  # name and shape per step


def _shapes(episode: Episode) -> tuple[Shapes, Shapes]:
    groups = episode.images, episode.privileged
    cameras, privileged = (tuple((name, values.shape[1:]) for name, values in group.items()) for group in groups)
    return cameras, privileged


@cache
def _features_json(cameras: Shapes, privileged: Shapes) -> dict[str, Any]:
    return _features(cameras, privileged).to_json()


def _features(cameras: Shapes, privileged: Shapes) -> tfds.features.FeaturesDict:
    observation = {
        **{f"image_{name}": tfds.features.Image(shape=shape, encoding_format="jpeg") for name, shape in cameras},
        "state": _vector(STATE_SIZE),
        "raw_state": _vector(STATE_SIZE),
        **{part: _vector(size) for part, size in STATE_PARTS.items()},
        **{part: _vector(size) for part, (size,) in privileged},
    }
    steps = {
        "observation": observation,
        "action": _vector(7),
        "base_action": _vector(7),
        "action_normalized": _vector(7),
        "language_instruction": tfds.features.Text(),
        "reward": np.float32,
        "discount": np.float32,
        "is_first": np.bool_,
        "is_last": np.bool_,
        "is_terminal": np.bool_,
        "is_intervention": np.bool_,
    }
    types = get_type_hints(EpisodeMetadata)
    metadata = {field.name: _SCALARS[types[field.name]] for field in fields(EpisodeMetadata)}
    return tfds.features.FeaturesDict({"steps": tfds.features.Dataset(steps), "episode_metadata": metadata})


def episode_columns(episode: Episode) -> Columns:
    """`episode` as the flat columns of one record, pictures encoded as JPEG."""
    length = len(episode)
    index = np.arange(length)
    observation = {
        **{f"image_{camera}": [encode_jpeg(image) for image in images] for camera, images in episode.images.items()},
        # What policies see, relative to the reset pose, and the same parts in the base frame.
        "state": _flat(episode.state),
        "raw_state": _flat(episode.raw_state),
        **{part: episode.state[part] for part in STATE_PARTS},
        **episode.privileged,
    }
    steps = {
        **{f"observation/{name}": column for name, column in observation.items()},
        "action": episode.action,
        "base_action": episode.base_action,
        "action_normalized": episode.action_normalized,
        "language_instruction": [episode.instruction.encode()] * length,
        "reward": episode.reward,
        "discount": 1.0 - episode.is_terminal.astype(np.float32),
        "is_first": index == 0,
        "is_last": index == length - 1,
        "is_terminal": episode.is_terminal,
        "is_intervention": episode.is_intervention,
    }
    metadata = {
        f"episode_metadata/{name}": value.encode() if isinstance(value, str) else value
        for name, value in vars(episode.metadata).items()
    }
    return {f"steps/{name}": column for name, column in steps.items()} | metadata


def split_state(flat: np.ndarray) -> dict[str, np.ndarray]:
    """(T, 20) as the named parts (T, n) of `STATE_PARTS`."""
    ends = np.cumsum(list(STATE_PARTS.values()))[:-1]
    return dict(zip(STATE_PARTS, np.split(flat, ends, axis=1), strict=True))


def _vector(size: int) -> tfds.features.Tensor:
    return tfds.features.Tensor(shape=(size,), dtype=np.float32)


def _flat(state: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([state[part] for part in STATE_PARTS], axis=1, dtype=np.float32)

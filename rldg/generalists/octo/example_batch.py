"""The batch that an original checkpoint carries (`example_batch.msgpack`), from which its code learns all shapes."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rldg.errors import CheckpointError
from rldg.generalists.octo.config import ModelConfig


def example_batch(model: ModelConfig, lowdim: Mapping[str, int]) -> dict[str, Any]:
    """A batch of one, all zeros, nothing padded, as the original's loader shapes it after text tokenisation.

    `lowdim` gives the size of each entry that the model reads as plain numbers: those of the observation that a
    low-dimensional tokenizer takes, and those of the task that condition a stem. Raises `CheckpointError` if one is
    missing.
    """
    window, horizon, dimension = model.window, model.head.action_horizon, model.head.action_dim
    numbers = {key: size for key, size in lowdim.items() if any(_reads(part.keys, key) for part in model.lowdim)}
    conditions = {key for image in model.images for key in image.film_keys}
    unknown = [part.name for part in model.lowdim if not any(_reads(part.keys, key) for key in numbers)]
    if unknown or not conditions <= lowdim.keys():
        missing = ", ".join([*unknown, *sorted(conditions - lowdim.keys())])
        raise CheckpointError(f"The number of values of {missing} is not given, so no original code could load it.")
    observation: dict[str, Any] = {
        f"image_{image.name}": np.zeros((1, window, image.size, image.size, 3), np.uint8) for image in model.images
    }
    observation |= {key: np.zeros((1, window, size), np.float32) for key, size in numbers.items()}
    observation["timestep"] = np.zeros((1, window), np.int32)
    task: dict[str, Any] = {
        f"image_{image.name}": np.zeros((1, image.size, image.size, 3), np.uint8)
        for image in model.images
        if image.goal
    }
    task |= {key: np.zeros((1, lowdim[key]), np.float32) for key in sorted(conditions)}
    masks = {key: np.ones(1, bool) for key in task}
    if model.language:
        ids = np.zeros((1, model.language.max_length), np.int64)
        task["language_instruction"] = {"attention_mask": np.ones_like(ids), "input_ids": ids}
        masks["language_instruction"] = np.ones(1, bool)
    return {
        "action": np.zeros((1, window, horizon, dimension), np.float32),
        "action_pad_mask": np.ones((1, window, horizon, dimension), bool),
        "observation": observation
        | {
            "pad_mask_dict": {key: np.ones((1, window), bool) for key in observation},
            "task_completed": np.zeros((1, window, horizon), bool),
            "timestep_pad_mask": np.ones((1, window), bool),
        },
        "task": task | {"pad_mask_dict": masks},
    }


def _reads(patterns: tuple[str, ...], key: str) -> bool:
    return any(re.match(pattern, key) for pattern in patterns)

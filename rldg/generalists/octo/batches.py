"""From data sets on disk to the batches of a training, through the loader of `rldg.data`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rldg.data.loader import Loader, LoaderConfig, make_loader
from rldg.data.steps import StepSource
from rldg.generalists import training_data
from rldg.generalists.octo.config import ModelConfig
from rldg.generalists.octo.images import image_transform
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.training_data import TrainingData


def open_data(
    folders: Sequence[Path],
    model: ModelConfig,
    *,
    validation_share: float,
    seed: int,
    statistics: dict[str, Any] | None = None,
    failures: bool = False,
) -> TrainingData:
    """What `rldg.generalists.training_data` finds for the cameras and the state that `model` sees."""
    found = training_data.open_data(
        folders,
        {image.name: image.camera for image in model.images},
        validation_share=validation_share,
        seed=seed,
        state=bool(model.lowdim),
        statistics=statistics,
        failures=failures,
    )
    sizes = {image.camera: found.image_sizes[image.camera] or image.size for image in model.images}
    return replace(found, image_sizes=sizes)


def open_loader(
    sources: Sequence[StepSource], model: ModelConfig, config: FinetuneConfig, seed: int, *, augment: bool
) -> Loader:
    """This host's share of the batches. Raises `DatasetError` if the actions are wider than the model's."""
    hosts = jax.process_count()
    return make_loader(
        sources,
        LoaderConfig(
            batch_size=config.batch_size // hosts,
            images={image.name: image_transform(image, config) for image in model.images},
            seed=seed,
            weights=config.weights if augment and config.weights else None,
            window=model.window,
            horizon=model.head.action_horizon,
            action_dim=model.head.action_dim,
            augment=augment,
            goals=config.goals,
            shard=jax.process_index(),
            shards=hosts,
            memory_limit=None if config.memory is None else int(config.memory * 2**30),
        ),
    )


def tokenised(batch: dict[str, Any], tokenizer: Callable[[list[str]], dict[str, np.ndarray]] | None) -> dict[str, Any]:
    """What of a loader's batch a model reads: arrays only, the instruction as token ids (absent without tokenizer)."""
    task = {name: value for name, value in batch["task"].items() if name != "language_instruction"}
    if tokenizer is not None:
        texts, rows = np.unique(batch["task"]["language_instruction"], return_inverse=True)
        task["language_instruction"] = {name: ids[rows] for name, ids in tokenizer(texts.tolist()).items()}
    return {name: batch[name] for name in ("observation", "action", "action_pad_mask")} | {"task": task}

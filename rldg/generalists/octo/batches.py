"""From data sets on disk to the batches of a training, through the loader of `rldg.data`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rldg.data.loader import Loader, LoaderConfig, make_loader
from rldg.data.normalisation import Normalisation
from rldg.data.reader import Dataset, action_contract, open_dataset
from rldg.data.statistics import compute_statistics
from rldg.data.steps import StepSource
from rldg.data.views import with_columns
from rldg.data.writer import dataset_name
from rldg.env.types import ActionContract
from rldg.errors import DatasetError
from rldg.generalists.octo.config import ImageConfig, ModelConfig
from rldg.generalists.octo.images import image_transform
from rldg.generalists.octo.recipes import FinetuneConfig

STATE = "observation/state"


@dataclass(frozen=True)
class TrainingData:
    """Steps to train on, steps held out, and what a policy must know of the data."""

    training: tuple[StepSource, ...]
    validation: tuple[StepSource, ...]  # empty unless episodes are held out
    statistics_key: str  # names of the data sets
    statistics: dict[str, Any]
    action_contract: ActionContract | None
    image_sizes: dict[str, int]  # camera -> pixels of its frames


def open_data(folders: Sequence[Path], model: ModelConfig, *, validation_share: float, seed: int) -> TrainingData:
    """The steps of the successful episodes of all `folders`; whole episodes are held out, drawn from the seed.

    Actions, and states if the model reads any, are normalised by the statistics of all that is trained on.

    Raises `DatasetError` if a camera is missing, the actions have different meanings, or nothing is left to train on.
    """
    datasets = [open_dataset(folder, verify=False).successes() for folder in folders]
    count = sum(map(len, datasets))
    order = np.random.default_rng([seed, count]).permutation(count)
    held = np.isin(np.arange(count), order[: round(validation_share * count)])
    training, validation = _selected(datasets, ~held), _selected(datasets, held)
    if not training:
        raise DatasetError(f"{', '.join(map(str, folders))}: no successful episode is left to train on.")
    statistics = compute_statistics([e for dataset in training for e in _numbers(dataset)])
    sources = tuple(_source(dataset, model, statistics) for dataset in training)
    return TrainingData(
        sources,
        tuple(_source(dataset, model, statistics) for dataset in validation),
        "+".join(dict.fromkeys(dataset_name(folder)[0] for folder in folders)),
        statistics,
        action_contract(datasets),
        {image.camera: _height(sources[0], image) for image in model.images},
    )


def _selected(datasets: list[Dataset], wanted: np.ndarray) -> list[Dataset]:
    """The wanted episodes of the data sets, numbered through; data sets of which none is wanted are left out."""
    ends = np.cumsum([len(dataset) for dataset in datasets])
    shares = np.split(wanted, ends[:-1])
    found = [
        replace(dataset, entries=tuple(entry for entry, take in zip(dataset.entries, share, strict=True) if take))
        for dataset, share in zip(datasets, shares, strict=True)
    ]
    return [dataset for dataset in found if len(dataset)]


def _numbers(dataset: Dataset) -> Dataset:
    """The same episodes without their pictures."""
    wanted = ("action", STATE)
    return with_columns(dataset, *(name for name in wanted if f"steps/{name}" in dataset.fields))


def _source(dataset: Dataset, model: ModelConfig, statistics: dict[str, Any]) -> StepSource:
    return StepSource(
        dataset,
        {image.name: f"observation/image_{image.camera}" for image in model.images},
        state=STATE if model.lowdim else None,
        action_normalisation=Normalisation.of(statistics),
        state_normalisation=Normalisation.of(statistics, "proprio") if model.lowdim else None,
    )


def _height(source: StepSource, image: ImageConfig) -> int:
    picture = source.picture(image.name, 0)
    return image.size if picture is None else len(picture)


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

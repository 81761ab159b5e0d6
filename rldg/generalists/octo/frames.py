"""From data sets on disk to the frames that a training reads, all decoded and in memory."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.assemble import read_pictures
from rldg.data.normalisation import Normalisation
from rldg.data.reader import Dataset, action_contract, open_dataset
from rldg.data.statistics import compute_statistics
from rldg.data.steps import StepSource
from rldg.data.views import with_columns
from rldg.data.writer import dataset_name
from rldg.env.types import ActionContract
from rldg.errors import DatasetError
from rldg.generalists.octo.config import ImageConfig
from rldg.generalists.octo.images import image_transform
from rldg.generalists.octo.learner import Frames


@dataclass(frozen=True)
class TrainingData:
    """Frames to train on, frames held out, and what a policy must know of the data."""

    training: Frames
    validation: Frames | None
    statistics_key: str  # names of the data sets
    statistics: dict[str, Any]
    action_contract: ActionContract | None
    image_sizes: dict[str, int]


def load_frames(
    folders: list[Path], images: tuple[ImageConfig, ...], *, validation_share: float, seed: int
) -> TrainingData:
    """Reads the successful episodes of all `folders`; whole episodes are held out, drawn from the seed.

    Raises `DatasetError` if a camera is missing, the actions have different meanings, or nothing is left to train on.
    """
    datasets = [open_dataset(folder, verify=False).successes() for folder in folders]
    count = sum(map(len, datasets))
    order = np.random.default_rng([seed, count]).permutation(count)
    held = np.isin(np.arange(count), order[: round(validation_share * count)])
    training, validation = _selected(datasets, ~held), _selected(datasets, held)
    if not training:
        raise DatasetError(f"{', '.join(map(str, folders))}: no successful episode is left to train on.")
    statistics = compute_statistics([episode for dataset in training for episode in _numbers(dataset)])
    scale = Normalisation.of(statistics)
    sources = [_source(dataset, images, scale) for dataset in training]
    return TrainingData(
        _frames(sources, images),
        _frames([_source(dataset, images, scale) for dataset in validation], images) if validation else None,
        "+".join(dict.fromkeys(dataset_name(folder)[0] for folder in folders)),
        statistics,
        action_contract(datasets),
        {image.camera: _height(sources[0], image) for image in images},
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
    wanted = ("action", "observation/state")
    return with_columns(dataset, *(name for name in wanted if f"steps/{name}" in dataset.fields))


def _source(dataset: Dataset, images: tuple[ImageConfig, ...], scale: Normalisation) -> StepSource:
    cameras = {image.name: f"observation/image_{image.camera}" for image in images}
    return StepSource(dataset, cameras, action_normalisation=scale)


def _height(source: StepSource, image: ImageConfig) -> int:
    picture = source.picture(image.name, 0)
    return image.size if picture is None else len(picture)


def _frames(sources: list[StepSource], images: tuple[ImageConfig, ...]) -> Frames:
    texts = [text for source in sources for text in source.instructions[source.instruction].tolist()]
    instructions = tuple(dict.fromkeys(texts))
    row = {text: index for index, text in enumerate(instructions)}
    threads = os.cpu_count() or 1
    pictures = {
        image.name: np.concatenate([read_pictures(s, image.name, image_transform(image), threads) for s in sources])
        for image in images
    }
    actions = np.concatenate([source.actions for source in sources])
    return Frames(pictures, actions, instructions, np.array([row[text] for text in texts], np.int32))

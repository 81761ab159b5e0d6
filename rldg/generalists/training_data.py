"""From data sets on disk to steps that a generalist trains on, steps held out, and what a policy must know of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.normalisation import Mode, Normalisation
from rldg.data.reader import Dataset, action_contract, open_dataset
from rldg.data.statistics import compute_statistics
from rldg.data.steps import StepSource
from rldg.data.views import with_columns
from rldg.data.writer import dataset_name
from rldg.env.types import ActionContract
from rldg.errors import DatasetError

STATE = "observation/state"


@dataclass(frozen=True)
class TrainingData:
    """Steps to train on, steps held out, and what a policy must know of the data."""

    training: tuple[StepSource, ...]
    validation: tuple[StepSource, ...]  # empty unless episodes are held out
    statistics_key: str  # names of the data sets
    statistics: dict[str, Any]
    action_contract: ActionContract | None
    image_sizes: dict[str, int]  # camera -> pixels of its frames, 0 where it has none


def open_data(
    folders: Sequence[Path],
    cameras: Mapping[str, str],
    *,
    validation_share: float,
    seed: int,
    normalisation: Mode = "normal",
    state: bool = False,
    statistics: dict[str, Any] | None = None,
    failures: bool = False,
) -> TrainingData:
    """The steps of the successful episodes of all `folders`; whole episodes are held out, drawn from the seed.

    Actions, and states if asked for, are normalised by the statistics of all that is trained on, or by those given.

    Args:
        folders: of the data sets.
        cameras: name in the batch -> camera, e.g. {"primary": "wrist_1"}.
        validation_share: of the episodes that are held out.
        seed: of the draw.
        normalisation: of actions and states; see `Normalisation`.
        state: whether the state is read.
        statistics: to normalise by.
        failures: whether failed episodes are trained on too, as those that were relabelled with better actions.

    Raises `DatasetError` if a camera is missing, the actions have different meanings, or nothing is left to train on.
    """
    opened = [open_dataset(folder, verify=False) for folder in folders]
    datasets = opened if failures else [dataset.successes() for dataset in opened]
    count = sum(map(len, datasets))
    order = np.random.default_rng([seed, count]).permutation(count)
    held = np.isin(np.arange(count), order[: round(validation_share * count)])
    training, validation = _selected(datasets, ~held), _selected(datasets, held)
    if not training:
        raise DatasetError(f"{', '.join(map(str, folders))}: no successful episode is left to train on.")
    statistics = statistics or compute_statistics([e for dataset in training for e in _numbers(dataset)])

    def source(dataset: Dataset) -> StepSource:
        return StepSource(
            dataset,
            {name: f"observation/image_{camera}" for name, camera in cameras.items()},
            state=STATE if state else None,
            action_normalisation=Normalisation.of(statistics, mode=normalisation),
            state_normalisation=Normalisation.of(statistics, "proprio", normalisation) if state else None,
        )

    sources = tuple(map(source, training))
    return TrainingData(
        sources,
        tuple(map(source, validation)),
        "+".join(dict.fromkeys(dataset_name(folder)[0] for folder in folders)),
        statistics,
        action_contract(datasets),
        {camera: _height(sources[0], name) for name, camera in cameras.items()},
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


def _height(source: StepSource, name: str) -> int:
    picture = source.picture(name, 0)
    return 0 if picture is None else len(picture)

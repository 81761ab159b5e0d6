"""From data sets on disk to the frames that a training reads, all decoded and in memory."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.reader import StoredEpisode, open_dataset
from rldg.data.statistics import compute_statistics
from rldg.data.writer import dataset_name
from rldg.env.types import ActionContract
from rldg.errors import DatasetError
from rldg.generalists.octo.config import ImageConfig
from rldg.generalists.octo.images import resized
from rldg.generalists.octo.learner import Frames
from rldg.generalists.octo.normalisation import ActionStatistics


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
    datasets = [open_dataset(folder).successes() for folder in folders]
    episodes = [episode for dataset in datasets for episode in dataset]
    order = np.random.default_rng([seed, len(episodes)]).permutation(len(episodes))
    held = set(order[: round(validation_share * len(episodes))].tolist())
    training = [episode for index, episode in enumerate(episodes) if index not in held]
    if not training:
        raise DatasetError(f"{', '.join(map(str, folders))}: no successful episode is left to train on.")
    statistics = compute_statistics(training)
    sizes = {image.camera: int(_frames_of(episodes[0], image.camera)[0].shape[0]) for image in images}
    scale = ActionStatistics.of(statistics)
    validation = [episodes[index] for index in sorted(held)]
    return TrainingData(
        _stacked(training, images, scale),
        _stacked(validation, images, scale) if validation else None,
        "+".join(dict.fromkeys(dataset_name(folder)[0] for folder in folders)),
        statistics,
        _contract(episodes),
        sizes,
    )


def _frames_of(episode: StoredEpisode, camera: str) -> Any:
    column = f"observation/image_{camera}"
    if column not in episode.steps:
        have = sorted(n.removeprefix("observation/image_") for n in episode.steps if n.startswith("observation/image_"))
        raise DatasetError(f"The data set has no camera '{camera}'; it has {', '.join(have) or 'none'}.")
    return episode.steps[column]


def _stacked(episodes: list[StoredEpisode], images: tuple[ImageConfig, ...], scale: ActionStatistics) -> Frames:
    texts = [text for episode in episodes for text in episode.steps["language_instruction"]]
    instructions = tuple(dict.fromkeys(texts))
    row = {text: index for index, text in enumerate(instructions)}
    pictures = {
        image.name: np.concatenate([resized(_frames_of(e, image.camera).decoded(), image.size) for e in episodes])
        for image in images
    }
    actions = np.concatenate([episode.steps["action"] for episode in episodes])
    return Frames(pictures, scale.normalise(actions), instructions, np.array([row[text] for text in texts], np.int32))


def _contract(episodes: list[StoredEpisode]) -> ActionContract | None:
    texts = {str(episode.metadata.get("action_contract") or "") for episode in episodes}
    if len(texts) > 1:
        raise DatasetError(f"The episodes' actions have different meanings: {'; '.join(sorted(texts))}.")
    text = texts.pop()
    return ActionContract(**json.loads(text)) if text else None

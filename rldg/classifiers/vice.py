"""VICE: a reward classifier that needs no negatives, since it is trained on with what the policy itself runs into.

Positives are recorded once. Whatever the classifier looks at while the policy acts becomes a negative, success or not,
and between rounds it learns from both (Fu et al. 2018, as SERL has it). A success ends its episode, so true successes
are few among those negatives and keep their score, while a state that is only taken for one comes back again and again
and loses it. Steps in the replay buffer are judged anew whenever it has learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import numpy as np

from rldg.classifiers.config import ClassifierConfig
from rldg.classifiers.examples import Examples, read_examples
from rldg.classifiers.learner import Learner
from rldg.classifiers.train import save_classifier
from rldg.env.classifier import Classifier, Positives, Weights, hash_of, logit
from rldg.errors import DatasetError
from rldg.specialists.arrays import Arrays
from rldg.specialists.replay import Replay

LOOKED, PICTURE = "looked", "picture."  # columns: whether the classifier was asked, and by which pictures
BATCH = 64  # pictures that are scored at once


@dataclass(frozen=True)
class ViceConfig:
    """How a classifier is trained on."""

    # Rounds between two trainings.
    period: int = 2
    # Updates of each training.
    updates: int = 40
    # Negatives that it learns from, the newest.
    remembered: int = 1000
    # Episodes of the simulated teleoperator that a classifier is begun with, and the updates from these.
    warm_up: int = 60
    first_updates: int = 250
    # The classifier itself; `steps` stands for the updates over which the learning rate falls.
    classifier: ClassifierConfig = field(default_factory=lambda: ClassifierConfig(steps=4000, smoothing=0.1))


class Vice:
    """Judges a training's steps by a classifier that learns from them; does what `rldg.specialists.judging` says.

    Args:
        first: the classifier to begin with; it needs no weights.
        positives: pictures of success.
        threshold: from which probability on a step is a success.
        out: folder in which the newest classifier is kept; nowhere if None.
        config: how it learns.
        seed: of weights, batches and augmentation.
    """

    def __init__(
        self, first: Classifier, positives: Examples, threshold: float, out: Path | None, config: ViceConfig, seed: int
    ) -> None:
        self._classifier, self._positives, self._threshold, self._out = first, positives, threshold, out
        self._config = config
        self._learner = Learner(positives.resolutions, config.classifier, seed)
        if first.weights:
            self._learner.weights = first.weights
        self._success = np.empty(0, bool)  # of each step in the replay, by the newest weights
        self.step_bytes = sum(3 * side * side for side in positives.resolutions.values())  # a picture of each camera

    @property
    def classifier(self) -> Classifier:
        """The newest one."""
        weights = {name: np.asarray(value) for name, value in self._learner.weights.items()}
        return replace(self._classifier, weights=weights, weight_hash=hash_of(weights))

    def train(self, negatives: Mapping[str, np.ndarray], updates: int) -> None:
        """So many updates from the positives and from pictures, camera -> (n, H, W, 3), taken for negatives."""
        count = len(next(iter(negatives.values())))
        unknown = np.zeros((count, 6)), np.full(count, ""), np.arange(count)
        examples = Examples(dict(negatives), np.zeros(count, bool), None, *unknown)
        for _ in range(updates):
            self._learner.learn(self._positives, examples)

    def message(self) -> Arrays:
        """The newest weights."""
        return dict(self.classifier.weights)

    def learn(self, number: int, replay: Replay) -> Mapping[str, float]:
        """Learns if it is time; judges the new steps, and all of them if it has learned."""
        before, own = self._success, replay.online.rows
        seen = own[replay.column(LOOKED)[own]][-self._config.remembered :]
        if number % self._config.period == 0 and len(seen):
            cameras = self._positives.resolutions
            self.train({camera: replay.column(PICTURE + camera)[seen] for camera in cameras}, self._config.updates)
            if self._out is not None:
                self._out.mkdir(parents=True, exist_ok=True)
                save_classifier(self._out, self.classifier)
            self._success = np.empty(0, bool)
        self._judge(replay)
        return {"judged_otherwise": float((self._success[: len(before)] != before).sum())}

    def _judge(self, replay: Replay) -> None:
        """A success is worth 1 and ends there; a step that is none any more goes on, to what was seen after it."""
        new = len(self._success) + np.flatnonzero(replay.column(LOOKED)[len(self._success) :])
        success = np.zeros(len(replay), bool)
        success[: len(self._success)] = self._success
        for rows in np.split(new, range(BATCH, len(new), BATCH)):
            pictures = {c: replay.column(PICTURE + c)[rows] for c in self._positives.resolutions}
            success[rows] = probability(self._learner.weights, pictures) >= self._threshold
        self._success = success
        reward, continues = replay.column("reward"), replay.column("continues")
        replay.relabel("reward", success.astype(np.float32))
        replay.relabel("continues", np.where(success, 0, np.where(reward > 0, 1, continues)).astype(np.float32))

    def arrays(self) -> Arrays:
        """Weights, the optimiser's state and that of the draws; the pictures are in the replay."""
        return self._learner.arrays()

    def restore(self, arrays: Mapping[str, np.ndarray], replay: Replay) -> None:
        """Goes back to what `arrays` gave, and judges the replay by it."""
        self._learner.restore(arrays)
        self._success = np.empty(0, bool)
        if len(replay):
            self._judge(replay)


def probability(weights: Weights, pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n,) of success, of pictures (n, H, W, 3) from each camera, `BATCH` of them at most."""
    count = len(next(iter(pictures.values())))
    padding = ((0, BATCH - count), (0, 0), (0, 0), (0, 0))  # one shape, compiled once
    scores = _compiled_logit(weights, {camera: np.pad(views, padding) for camera, views in pictures.items()})
    return np.asarray(1 / (1 + np.exp(-scores[:count])))


@jax.jit
def _compiled_logit(weights: Weights, pictures: Mapping[str, jax.Array]) -> jax.Array:
    return logit(weights, {camera: views.astype(np.float32) for camera, views in pictures.items()})


def unlearned(task: str, positives: Examples) -> Classifier:
    """What is known of a classifier before it has learned anything: where its positives are."""
    bounds = Positives(positives.pose.min(0), positives.pose.max(0), score=0.0)
    return Classifier(task, {}, positives.resolutions, bounds, weight_hash="")


def positives_of(data: Sequence[Path]) -> Examples:
    """The positives in labelled data sets. Raises `DatasetError` if there are none."""
    examples = read_examples(data)
    if not examples.label.any():
        raise DatasetError(f"There is no positive in {', '.join(map(str, data))}; `rldg classifier record` some.")
    return examples.where(examples.label)

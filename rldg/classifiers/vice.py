"""VICE: a reward classifier that needs no negatives, since it is trained on with what the policy itself runs into.

Positives are recorded once. Whatever the classifier looks at while the policy acts becomes a negative, success or not,
and between episodes it learns from both (Fu et al. 2018, as SERL has it). A success ends its episode, so true successes
are few among those negatives and keep their score, while a state that is only taken for one comes back again and again
and loses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rldg.classifiers.config import ClassifierConfig
from rldg.classifiers.examples import Examples, read_examples
from rldg.classifiers.learner import Learner
from rldg.classifiers.train import save_classifier
from rldg.env.classifier import Classifier, Positives, hash_of
from rldg.env.classifier_judge import ClassifierJudge, Look
from rldg.env.conditions import satisfied
from rldg.env.robot_env import RobotEnv
from rldg.env.types import Observation
from rldg.errors import DatasetError
from rldg.policies.teleoperator import Teleoperator
from rldg.robots.base import Contact
from rldg.rollout import rollout
from rldg.tasks.task import JudgedByClassifier, Task

WARM_UP_SEED = 1 << 40  # of the scenes of the warm-up, which no training draws


@dataclass(frozen=True)
class ViceConfig:
    """How a classifier is trained on."""

    # Episodes between two trainings.
    period: int = 5
    # Updates of each training.
    updates: int = 20
    # Negatives before anything is learned.
    least: int = 100
    # Negatives that are remembered, the newest.
    remembered: int = 1000
    # Episodes of the simulated teleoperator that are rolled out and thrown away, to begin with a classifier.
    warm_up: int = 60
    # The classifier itself; `steps` stands for the updates over which the learning rate falls.
    classifier: ClassifierConfig = field(default_factory=lambda: ClassifierConfig(steps=4000, smoothing=0.1))


class ViceJudge(ClassifierJudge):
    """Judges by a classifier that goes on learning between episodes; it is saved whenever it has.

    At first there is nothing to tell apart: until enough pictures from outside the guard are there, which are no
    successes for certain, it sees no success, and pictures from within the guard are not remembered.
    """

    def __init__(
        self, task: str, rule: JudgedByClassifier, look: Look, positives: Examples, config: ViceConfig, seed: int
    ) -> None:
        self._learner = Learner(positives.resolutions, config.classifier, seed)
        super().__init__(rule, unlearned(task, positives), look)
        self._positives, self._config = positives, config
        self._negatives: list[dict[str, np.ndarray]] = []
        self._episodes, self.trained = 0, False

    def reset(self) -> None:
        """Begins an episode; learns first, if it is time."""
        super().reset()
        self._episodes += 1
        ready = self.trained or len(self._negatives) >= self._config.least
        if ready and self._episodes % self._config.period == 0:
            self._learn()

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """Whether this is a success; what was looked at is remembered."""
        if self.trained:
            success = super().__call__(observation, contact)
            if satisfied(self._rule.guard, observation):
                self._remember()
            return success
        if not satisfied(self._rule.guard, observation):
            self._remember()
        return False

    def _remember(self) -> None:
        pictures = self._look()
        self._negatives.append({camera: pictures[camera] for camera in self.classifier.resolutions})
        del self._negatives[: -self._config.remembered]

    def _learn(self) -> None:
        stacked = {c: np.stack([one[c] for one in self._negatives]) for c in self.classifier.resolutions}
        count = len(self._negatives)
        negatives = Examples(
            stacked, np.zeros(count, bool), None, np.zeros((count, 6)), np.full(count, ""), np.arange(count)
        )
        for _ in range(self._config.updates):
            self._learner.learn(self._positives, negatives)
        weights = {name: np.asarray(value) for name, value in self._learner.weights.items()}
        self.classifier = replace(self.classifier, weights=weights, weight_hash=hash_of(weights))
        folder = Path(self._rule.checkpoint)
        folder.mkdir(parents=True, exist_ok=True)
        save_classifier(folder, self.classifier)
        self.trained = True


@dataclass(frozen=True)
class ViceEnvironment:
    """Makes the environment of a VICE training, in whichever process acts; picklable.

    Args:
        data: what `rldg classifier record` wrote; only the positives are used.
        config: how the classifier learns.
        seed: of the classifier.
    """

    data: tuple[Path, ...]
    config: ViceConfig = field(default_factory=ViceConfig)
    seed: int = 0

    def __call__(self, task: Task) -> RobotEnv:
        """`task`, which says where the classifier lies and its guard, judged by it while it learns.

        Raises `DatasetError` if there are no positives.
        """
        rule = task.success
        assert isinstance(rule, JudgedByClassifier)
        positives = positives_of(self.data)
        env = RobotEnv(
            task,
            cameras=False,
            judge=lambda look: ViceJudge(task.name, rule, look, positives, self.config, self.seed),
        )
        for index in range(self.config.warm_up):
            rollout(env, Teleoperator(), WARM_UP_SEED + index)
        return env


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

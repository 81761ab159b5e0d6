"""`ClassifierJudge`: success by a reward classifier, which looks only where a success is possible."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rldg.env.classifier import Classifier, load_classifier
from rldg.env.conditions import satisfied
from rldg.env.types import Observation
from rldg.errors import RldgError
from rldg.robots.base import Contact
from rldg.tasks.task import JudgedByClassifier, Task

Look = Callable[[], dict[str, np.ndarray]]  # takes a picture (H, W, 3) uint8 RGB of now with each camera


class ClassifierJudge:
    """Success when the guard's conditions hold and the classifier gives at least the threshold.

    The guard is asked first, so pictures are taken near the target only: that is what makes judging by pictures cheap
    for policies that need none.
    """

    def __init__(self, rule: JudgedByClassifier, classifier: Classifier, look: Look) -> None:
        self.classifier, self._rule, self._look = classifier, rule, look
        self.score = 0.0

    def reset(self) -> None:
        """Begins an episode."""
        self.score = 0.0

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """Whether this is a success; `score` is the classifier's probability, 0 where it was not asked."""
        looks = satisfied(self._rule.guard, observation)
        self.score = self.classifier.probability(self._look()) if looks else 0.0
        return self.score >= self._rule.threshold


def classifier_judge(task: Task, rule: JudgedByClassifier, look: Look) -> ClassifierJudge:
    """The judge that `rule` describes, which takes its pictures by `look`.

    Raises:
        CheckpointError: there is no classifier, or it is damaged.
        RldgError: it is not the one that is meant, or looks through cameras that the task has not.
    """
    classifier = load_classifier(Path(rule.checkpoint))
    if rule.weight_hash not in ("", classifier.weight_hash):
        raise RldgError(
            f"Task '{task.name}' means the reward classifier {rule.weight_hash}, but {rule.checkpoint} holds "
            f"{classifier.weight_hash}; give the folder of the one that is meant, or its hash."
        )
    views = {name: view.resolution for name, view in task.cameras.items()}
    if not classifier.resolutions.items() <= views.items():
        raise RldgError(
            f"The reward classifier in {rule.checkpoint} looks through {classifier.resolutions} [px], but task "
            f"'{task.name}' has {views}."
        )
    return ClassifierJudge(rule, classifier, look)

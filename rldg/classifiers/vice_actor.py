"""VICE where episodes run: a judge that remembers what it saw, the actor that reports it, and how it all begins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rldg.classifiers.examples import Examples
from rldg.classifiers.train import save_classifier
from rldg.classifiers.vice import LOOKED, PICTURE, Vice, ViceConfig, unlearned
from rldg.env.classifier import Classifier, hash_of, load_classifier
from rldg.env.classifier_judge import ClassifierJudge, Look
from rldg.env.conditions import satisfied
from rldg.env.robot_env import RobotEnv
from rldg.env.types import Observation
from rldg.errors import DatasetError
from rldg.policies.teleoperator import Teleoperator
from rldg.robots.base import Contact, Robot
from rldg.rollout import Episode, rollout
from rldg.specialists.actor import Actor
from rldg.specialists.arrays import Arrays, part
from rldg.specialists.rounds import JUDGING
from rldg.stage import stage
from rldg.tasks.task import JudgedByClassifier, Task

WARM_UP_SEED = 1 << 40  # of the scenes of the warm-up, which no training draws
PERIOD = 5  # episodes of the warm-up between two trainings


class WatchingJudge(ClassifierJudge):
    """A judge whose `looks` are what it saw in this episode: one entry per step, None where it did not look."""

    def reset(self) -> None:
        """Begins an episode."""
        super().reset()
        self.looks: list[dict[str, np.ndarray] | None] = []

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """Whether this is a success. Without weights nothing is, and it looks where there can be none."""
        near = satisfied(self._rule.guard, observation)
        learned = bool(self.classifier.weights)
        self.looks.append(self._look() if near is learned else None)
        return learned and super().__call__(observation, contact)


class WatchedEnv(RobotEnv):
    """A task that is judged by a classifier, `first` to begin with; `judge` remembers what that looked at."""

    judge: WatchingJudge

    def __init__(
        self,
        task: Task,
        first: Classifier,
        cameras: Sequence[str] = (),
        robot: Robot | None = None,
    ) -> None:
        rule = task.success
        assert isinstance(rule, JudgedByClassifier)

        def judging(look: Look) -> WatchingJudge:
            self.judge = WatchingJudge(rule, first, look)
            return self.judge

        super().__init__(task, None, cameras, robot, judging)


@dataclass(frozen=True)
class MakeWatched:
    """Makes the environment of a VICE training, in whichever process acts; picklable.

    `first` is the folder of the classifier to begin with. `cameras` are those that the agent sees through.
    """

    first: Path
    cameras: tuple[str, ...] = ()

    def __call__(self, task: Task) -> WatchedEnv:
        """The environment. Raises `CheckpointError` if there is no classifier."""
        return WatchedEnv(task, load_classifier(self.first), self.cameras)


class ViceActor(Actor):
    """Judges by the weights that come with a round; sends the pictures that were judged by back with the steps."""

    def _hear(self, request: Arrays) -> None:
        if weights := part(JUDGING, request):
            judge = self._env.judge
            judge.classifier = replace(judge.classifier, weights=weights, weight_hash=hash_of(weights))

    def _witnessed(self, episode: Episode) -> Arrays:
        """One row per observation, as of all transitions: on what came of a step, the picture after it."""
        judge, rows = self._env.judge, len(episode) + 1
        columns: Arrays = {LOOKED: np.zeros(rows, bool)}
        for camera, side in judge.classifier.resolutions.items():
            columns[PICTURE + camera] = np.zeros((rows, side, side, 3), np.uint8)
        for row, look in enumerate(judge.looks):
            if look is not None:
                columns[LOOKED][row] = True
                for camera in judge.classifier.resolutions:
                    columns[PICTURE + camera][row] = look[camera]
        return columns


def first_classifier(task: Task, positives: Examples, out: Path, config: ViceConfig, seed: int) -> Classifier:
    """The classifier that a VICE training begins with, in the folder `out`; a finished one is not made again.

    The simulated teleoperator acts. At first nothing is a success, and negatives are what surely is none: seen from
    outside the guard. From what that gives, the classifier is trained on with what it looks at inside.

    Raises `DatasetError` if the teleoperator never came to where the classifier looks.
    """
    about = {"task": task.name, "task_hash": task.hash, "warm_up": config.warm_up, "updates": config.first_updates}
    with stage(out, "classifier vice", about, seed=seed) as current:
        if not current.finished:
            env = WatchedEnv(task, unlearned(task.name, positives))
            made, negatives = warmed_up(env, positives, config, seed)
            save_classifier(out, made)
            current.result = {"negatives": negatives, "weight_hash": made.weight_hash}
            env.close()
    return load_classifier(out)


def warmed_up(env: WatchedEnv, positives: Examples, config: ViceConfig, seed: int) -> tuple[Classifier, int]:
    """The classifier after the warm-up in `env`, and the number of negatives that it saw."""
    vice = Vice(env.judge.classifier, positives, 0.5, None, config, seed)
    looks: list[dict[str, np.ndarray]] = []
    trainings = max(1, config.warm_up // PERIOD)
    for index in range(trainings):
        for episode in range(PERIOD):
            rollout(env, Teleoperator(), WARM_UP_SEED + PERIOD * index + episode)
            looks += [look for look in env.judge.looks if look is not None]
        looks = looks[-config.remembered :]
        if not looks:
            raise DatasetError("Nothing seen was no success for certain: the guard of the classifier is too wide.")
        seen = {camera: np.stack([look[camera] for look in looks]) for camera in positives.resolutions}
        vice.train(seen, config.first_updates // trainings)
        env.judge.classifier = vice.classifier
    return vice.classifier, len(looks)

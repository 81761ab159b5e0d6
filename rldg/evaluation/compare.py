"""Paired comparison of two policies on the locked scenes that both were tried on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rldg.errors import DatasetError
from rldg.evaluation.statistics import Difference, paired_difference
from rldg.evaluation.trials import Summary, Trial, read_summary, read_trials

Scene = tuple[str, str, int]  # task, task hash, seed


@dataclass(frozen=True)
class Evaluation:
    """One finished evaluation on disk: one policy, one task."""

    folder: Path
    summary: Summary
    trials: list[Trial]

    @property
    def outcomes(self) -> dict[Scene, bool]:
        """Success by scene."""
        return {(self.summary.task, trial.task_hash, trial.seed): trial.success for trial in self.trials}


@dataclass(frozen=True)
class Comparison:
    """Two arms over the scenes that all their runs share; a run is one trained policy."""

    tasks: list[str]
    runs: tuple[int, int]
    successes: tuple[int, int]
    trials: tuple[int, int]
    difference: Difference
    unshared: int  # scenes that only one of the arms was tried on (infrastructure faults, more episodes)


def find_evaluations(folder: Path) -> list[Evaluation]:
    """All finished evaluations in `folder` and below, sorted by path."""
    return [
        Evaluation(path.parent, read_summary(path.parent / "summary.json"), read_trials(path))
        for path in sorted(folder.rglob("trials.jsonl"))
        if (path.parent / "summary.json").exists()
    ]


def outcome_table(arm: Sequence[Evaluation]) -> tuple[list[Scene], np.ndarray]:
    """The scenes on which every run of an arm was tried, and the outcomes (scenes, runs) on them.

    A task's runs are the policies that were tried on it, by name: training seeds of one recipe. With several tasks, run
    number k of the arm is number k of each, be it one policy for all tasks or a specialist per task.

    Raises:
        DatasetError: when a policy was evaluated twice on a task, or tasks have different numbers of runs.
    """
    tasks: dict[str, dict[str, Evaluation]] = {}
    for evaluation in arm:
        task, policy = evaluation.summary.task, evaluation.summary.policy
        if policy in tasks.setdefault(task, {}):
            raise DatasetError(f"{evaluation.folder} evaluates '{policy}' on {task}, as another folder beside it does.")
        tasks[task][policy] = evaluation
    counts = {task: len(runs) for task, runs in tasks.items()}
    if len(set(counts.values())) > 1:
        raise DatasetError(f"All tasks of an arm need the same number of runs (training seeds); got {counts}.")
    scenes: list[Scene] = []
    rows: list[list[bool]] = []
    for _, runs in sorted(tasks.items()):
        outcomes = [evaluation.outcomes for _, evaluation in sorted(runs.items())]
        common = sorted(set.intersection(*(set(run) for run in outcomes)))
        scenes += common
        rows += [[run[scene] for run in outcomes] for scene in common]
    return scenes, np.array(rows, dtype=bool).reshape(len(rows), max(counts.values(), default=0))


def compare(a: Sequence[Evaluation], b: Sequence[Evaluation]) -> Comparison:
    """Success of `a` minus success of `b` on common scenes.

    Each arm is one or several evaluations: of several tasks, whose scenes are pooled, and of several runs (training
    seeds) as `outcome_table` tells them apart.

    Raises:
        DatasetError: when the arms were not tried on the same tasks, or share no scene.
    """
    tasks = [sorted({(e.summary.task, t.task_hash) for e in arm for t in e.trials}) for arm in (a, b)]
    if not all(tasks):
        raise DatasetError("An arm without a finished evaluation cannot be compared.")
    if tasks[0] != tasks[1]:
        first, second = (", ".join(f"{name} ({digest})" for name, digest in arm) for arm in tasks)
        raise DatasetError(f"Only evaluations of the same tasks can be compared: one has {first}, the other {second}.")
    (scenes_a, outcomes_a), (scenes_b, outcomes_b) = outcome_table(a), outcome_table(b)
    common = set(scenes_a) & set(scenes_b)
    if not common:
        raise DatasetError("The two evaluations share no locked scene (seed), so there is nothing to pair.")
    outcomes_a = outcomes_a[[scene in common for scene in scenes_a]]
    outcomes_b = outcomes_b[[scene in common for scene in scenes_b]]
    return Comparison(
        tasks=[name for name, _ in tasks[0]],
        runs=(outcomes_a.shape[1], outcomes_b.shape[1]),
        successes=(int(outcomes_a.sum()), int(outcomes_b.sum())),
        trials=(outcomes_a.size, outcomes_b.size),
        difference=paired_difference(outcomes_a, outcomes_b),
        unshared=len(set(scenes_a) ^ set(scenes_b)),
    )

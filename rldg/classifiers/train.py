"""`train_classifier`: from labelled pictures to a classifier, its report, and the task that it judges."""

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from rldg.classifiers.config import ClassifierConfig
from rldg.classifiers.examples import Examples, held_out, read_examples
from rldg.classifiers.learner import Learner
from rldg.classifiers.record import true_criterion
from rldg.classifiers.report import probabilities, write_report
from rldg.classifiers.windows import windows
from rldg.env.classifier import DESCRIPTION, WEIGHTS, Classifier, Positives, Weights, hash_of
from rldg.errors import DatasetError, TrainingError
from rldg.stage import file_hash, stage, write_durably, write_json
from rldg.tasks.task import Task

TASK_FILE = "task.yaml"
HELD_OUT = 0.2  # share of the episodes that are tested on
GUARD = 0.01  # m beyond the positives in which the classifier is asked at all
LOW_SCORE = 0.05  # quantile of the held-out positives' probabilities below which a success is doubtful


def train_classifier(
    task: Task,
    data: Sequence[Path],
    out: Path,
    config: ClassifierConfig | None = None,
    *,
    cameras: Sequence[str] = (),
    threshold: float = 0.85,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Trains a classifier in the run folder `out` and returns its report; a finished one is not trained again.

    The folder then holds `classifier.npz` and `classifier.json`, `report.html` and `report.json` on the held-out
    episodes, and `task.yaml`: the task as it is judged by this classifier, for `rldg train` and every other verb.

    Args:
        task: what the pictures are of.
        data: folders that `rldg classifier record` wrote.
        out: run folder.
        config: sizes and rates.
        cameras: through which it looks; by default all of the data.
        threshold: from which probability on it is a success.
        seed: of weights, batches and augmentation.
        overwrite: whether to replace another run in `out`.

    Raises:
        DatasetError: no data, or too little of one label.
        StageError: `out` holds another run or is in use.
        TrainingError: the loss is no number any more.
    """
    config = config or ClassifierConfig()
    about = {"task": task.name, "task_hash": task.hash, "cameras": list(cameras), "threshold": threshold}
    inputs = {str(folder): file_hash(folder) for folder in data if folder.is_dir()}
    configuration = about | dataclasses.asdict(config)
    with stage(out, "classifier train", configuration, seed=seed, inputs=inputs, overwrite=overwrite) as current:
        if current.finished:
            return current.result
        examples = read_examples(data, cameras)
        tested = held_out(examples, HELD_OUT)
        learned, tested = examples.where(~tested), examples.where(tested)
        _check(learned, "to learn from")
        _check(tested, "in the episodes that are held out to test on")
        classifier = _learned(task, learned, tested, config, seed)
        save_classifier(out, classifier)
        write_task(out / TASK_FILE, task, out, classifier, threshold)
        names = {"task": task.name, "classifier": str(out), "data": ", ".join(map(str, data)) + ", held-out episodes"}
        report = write_report(out, classifier, tested, threshold=threshold, about=names)
        counts = {"learned_positives": int(learned.label.sum()), "learned_negatives": int((~learned.label).sum())}
        current.result = counts | {name: value for name, value in report.items() if name not in ("sweep", "mistakes")}
    return current.result


def _check(examples: Examples, what: str) -> None:
    for name, count in (("positive", examples.label.sum()), ("negative", (~examples.label).sum())):
        if not count:
            raise DatasetError(f"There is no {name} {what}; record more episodes with `rldg classifier record`.")


def _learned(task: Task, examples: Examples, tested: Examples, config: ClassifierConfig, seed: int) -> Classifier:
    """The classifier that learned from `examples`; `tested` says which scores are low for a positive."""
    generator = np.random.default_rng([seed, 5])
    positives, negatives = (
        _some(np.flatnonzero(examples.label == label), most, generator)
        for label, most in ((True, config.positives), (False, config.negatives))
    )
    examples = examples.where(np.concatenate([positives, negatives]))
    places = examples.pose[examples.label]
    like = Positives(places.min(0), places.max(0), score=0.0)
    looking = Classifier(task.name, {}, examples.resolutions, like, "", windows(examples, config.crop, GUARD))
    seen = replace(examples, images=looking.looked_at(examples.images))
    weights = _weights(seen.where(seen.label), seen.where(~seen.label), config, seed)
    made = replace(looking, weights=weights, weight_hash=hash_of(weights))
    scores = probabilities(made, tested)[tested.label]
    return replace(made, positives=replace(like, score=float(np.quantile(scores, LOW_SCORE))))


def _weights(positives: Examples, negatives: Examples, config: ClassifierConfig, seed: int) -> Weights:
    learner = Learner(positives.resolutions, config, seed)
    with tqdm(range(config.steps), unit="update", desc="classifier", dynamic_ncols=True) as updates:
        for _ in updates:
            loss = learner.learn(positives, negatives)
            if not np.isfinite(loss):
                raise TrainingError(f"The loss is {loss} after {updates.n} updates; try a lower --learning-rate.")
            updates.set_postfix_str(f"loss {loss:.3f}", refresh=False)
    return {name: np.asarray(value) for name, value in learner.weights.items()}


def _some(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """All rows, or `most` of them by chance if that is not 0."""
    return generator.choice(rows, most, replace=False) if 0 < most < len(rows) else rows


def save_classifier(out: Path, classifier: Classifier) -> None:
    """Writes weights and description, each at once."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **classifier.weights)
    write_durably(out / WEIGHTS, stream.getvalue())
    like = classifier.positives
    description = {
        "task": classifier.task,
        "cameras": classifier.resolutions,
        "windows": classifier.windows,
        "positives": {"low": like.low.tolist(), "high": like.high.tolist(), "score": like.score},
        "weight_hash": classifier.weight_hash,
    }
    write_json(out / DESCRIPTION, description)


def write_task(path: Path, task: Task, folder: Path, classifier: Classifier, threshold: float) -> None:
    """Writes the task file in which the classifier in `folder` judges `task`, near where its positives were."""
    low, high = classifier.positives.low - GUARD, classifier.positives.high + GUARD
    bounds = zip("xyz", low.tolist(), high.tolist(), strict=False)
    guard = {axis: {"at_least": round(least, 4), "at_most": round(most, 4)} for axis, least, most in bounds}
    criterion = true_criterion(task)
    content = task.model_dump(mode="json", exclude_none=True) | {
        "name": f"{task.name}_classified",
        "success": {
            "kind": "classifier",
            "checkpoint": str(folder.resolve()),
            "weight_hash": classifier.weight_hash,
            "threshold": threshold,
            "guard": guard,
            **({} if criterion is None else {"truth": criterion.model_dump(mode="json")}),
        },
    }
    head = f"# {task.name}, judged by a reward classifier; written by `rldg classifier train`.\n"
    write_durably(path, (head + yaml.safe_dump(content, sort_keys=False, default_flow_style=None)).encode())

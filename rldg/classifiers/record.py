"""`record`: labelled pictures as an RLDS data set, to be interrupted, continued and extended at will.

Each step holds its label under `observation/label` (1 success, 0 none), and in simulation the truth under
`observation/truth`. Episodes do not end with success: they go on, so that there are many pictures of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rldg.classifiers.labels import Labelling, LabelSource
from rldg.data.manifest import MANIFEST, write_manifest
from rldg.data.reader import open_dataset
from rldg.data.views import column_values
from rldg.data.writer import DatasetWriter
from rldg.env.robot_env import RobotEnv
from rldg.env.types import Observation
from rldg.errors import DiscardedError, RldgError
from rldg.policies.base import Policy
from rldg.robots.base import Contact
from rldg.rollout import Episode, Subscriber, rollout
from rldg.stage import stage
from rldg.tasks.station import Station
from rldg.tasks.task import GroundTruth, JudgedApart, JudgedByOperator, JudgedByWorld, Task
from rldg.workers import episode_seed

LABEL, TRUTH = "observation/label", "observation/truth"
SLACK = 10  # times the episodes that the asked labels would fill, before it is given up


class _Never:
    """A judge that never sees a success: the recording's episodes end with time."""

    def reset(self) -> None:
        pass

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        return False


def true_criterion(task: Task) -> GroundTruth | None:
    """By what a simulator judges `task` at a single moment: what is to be held for some steps counts from the first."""
    own = task.success
    criterion = own.truth if isinstance(own, JudgedApart) else own
    if criterion is None or isinstance(criterion, JudgedByWorld):
        return None
    holds = "hold_steps" in type(criterion).model_fields
    return criterion.model_copy(update={"hold_steps": 1}) if holds else criterion


def recording_env(task: Task, steps: int, station: Station | None = None) -> RobotEnv:
    """`task` with its cameras, for `steps` control steps whatever happens, and with the truth where it is known."""
    success = JudgedByOperator(kind="operator", truth=true_criterion(task))
    lasting = task.model_copy(update={"success": success, "horizon": steps})
    return RobotEnv(lasting, station, judge=lambda look: _Never())


def record(
    env: RobotEnv,
    policy: Policy,
    source: LabelSource,
    out: Path,
    *,
    labels_by: str,
    positives: int = 200,
    negatives: int = 1000,
    seed: int = 0,
    operator: str = "",
    subscribers: Sequence[Subscriber] = (),
    overwrite: bool = False,
) -> dict[str, Any]:
    """Rolls `policy` out until `out` holds at least that many positives and negatives, and returns the counts.

    Args:
        env: what `recording_env` gives.
        policy: who acts; `rldg.classifiers.perturbed` makes near misses come up.
        source: who labels.
        out: folder of the data set.
        labels_by: how the source is called, for the record.
        positives: steps labelled as success.
        negatives: the others.
        seed: from which the episodes' seeds descend.
        operator: name of the person who labels or teleoperates, for the record.
        subscribers: watch the rollouts, such as a display for the person who labels.
        overwrite: empties the folder first.

    Returns:
        `episodes`, `positives`, `negatives`.

    Raises:
        StageError: the folder belongs to another recording, or is in use.
        RldgError: the source hardly ever gives one of the labels.
    """
    about = {"task": env.task.name, "task_hash": env.task.hash, "policy": policy.metadata.kind, "labels": labels_by}
    if env.station.name != "sim":
        about["station"] = env.station.name
    wanted = np.array([negatives, positives])
    with stage(out, "classifier record", about, seed=seed, overwrite=overwrite) as current:
        writer = DatasetWriter(out)
        counts = _counts(out) if writer.indices else np.zeros(2, int)
        most = len(writer.indices) + SLACK * (1 + (positives + negatives) // env.task.horizon)
        with tqdm(total=wanted.sum(), unit="label", desc=writer.name, dynamic_ncols=True) as bar:
            bar.update(np.minimum(counts, wanted).sum())
            while (counts < wanted).any():
                index = len(writer.indices)
                if index >= most:
                    raise RldgError(
                        f"{index} episodes in {out} hold {counts[1]} positives and {counts[0]} negatives of the "
                        f"{positives} and {negatives} asked for; let the policy reach, or miss, success more often."
                    )
                (out / MANIFEST).unlink(missing_ok=True)
                labelling = Labelling(source)
                try:
                    episode = rollout(
                        env,
                        policy,
                        episode_seed(seed, index),
                        episode_id=f"{env.task.name}-labels-{seed}-{index:05d}",
                        operator=operator,
                        subscribers=(*subscribers, labelling),
                    )
                except DiscardedError:  # the operator asks for another try
                    continue
                episode = labelled(episode, labelling, current.began)
                writer.write(index, episode)
                counts += np.bincount(episode.privileged["label"][:, 0].astype(int), minlength=2)
                bar.set_postfix_str(f"{counts[1]} positives, {counts[0]} negatives", refresh=False)
                bar.update(np.minimum(counts, wanted).sum() - bar.n)
        if not (out / MANIFEST).exists():
            write_manifest(out)
        negatives, positives = counts.tolist()
        current.result = {"episodes": len(writer.indices), "positives": positives, "negatives": negatives}
    return current.result


def labelled(episode: Episode, labelling: Labelling, began: str) -> Episode:
    """The episode with its labels, and with the truth if it was known, as privileged parts; `began` is for the record.

    So they go to disk as `observation/label` and `observation/truth`, (T, 1) float32.
    """
    known = {"label": labelling.labels} | ({} if None in labelling.truths else {"truth": labelling.truths})
    columns = {name: np.array(values[: len(episode)], np.float32)[:, None] for name, values in known.items()}
    metadata = replace(episode.metadata, time=began)
    return replace(episode, metadata=metadata, privileged=episode.privileged | columns)


def _counts(folder: Path) -> np.ndarray:
    """(2,) steps without success and with it."""
    labels = np.concatenate(list(column_values(open_dataset(folder), LABEL)))
    return np.bincount(labels.ravel().astype(int), minlength=2)

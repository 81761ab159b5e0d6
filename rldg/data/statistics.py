"""What Octo and OpenVLA keep in `dataset_statistics.json`: the numbers by which actions and states are normalised."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.reader import StoredEpisode
from rldg.errors import DatasetError
from rldg.stage import write_json

Statistics = dict[str, Any]


def column_statistics(values: np.ndarray) -> dict[str, list[float]]:
    """Statistics per dimension of (N, n): population standard deviation, quantiles interpolated linearly.

    In a dimension that never changes, `std` is exactly 0 and mean, bounds and quantiles are exactly its value.
    """
    values = np.asarray(values, np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    constant = low == high
    q01, q99 = np.quantile(values, [0.01, 0.99], axis=0)
    found = {
        "mean": np.where(constant, low, values.mean(axis=0)),
        "std": np.where(constant, 0.0, values.std(axis=0)),
        "min": low,
        "max": high,
        "q01": q01,
        "q99": q99,
    }
    return {name: column.tolist() for name, column in found.items()}


def compute_statistics(
    episodes: Iterable[StoredEpisode], action: str = "action", state: str = "observation/state"
) -> Statistics:
    """Statistics over all steps of `episodes`, in the units of the data set (see docs/data.md).

    `action["mask"]` says which dimensions are normalised: all but the gripper, the seventh, which both models take as
    it is (0 closed .. 1 open). `proprio` is absent where the episodes have no column `state`. Raises `DatasetError`
    when there is no episode, or none with the column `action`.
    """
    actions, states = [], []
    for episode in episodes:
        if action not in episode.steps:
            raise DatasetError(f"There is no column '{action}'; it has {', '.join(sorted(episode.steps))}.")
        actions.append(episode.steps[action])
        if state in episode.steps:
            states.append(episode.steps[state])
    if not actions:
        raise DatasetError("There is no episode to take statistics of.")
    every = np.concatenate(actions)
    statistics: Statistics = {
        "action": column_statistics(every) | {"mask": [dimension < 6 for dimension in range(every.shape[1])]},
        "num_transitions": len(every),
        "num_trajectories": len(actions),
    }
    if states:
        every = np.concatenate(states)
        statistics["proprio"] = column_statistics(every) | {"mask": [True] * every.shape[1]}
    return statistics


def save_statistics(path: Path, name: str, statistics: Statistics) -> None:
    """Writes {name: statistics}, the layout in which OpenVLA looks an `unnorm_key` up."""
    write_json(path, {name: statistics})

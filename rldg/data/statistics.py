"""The numbers by which actions and states are normalised, under the names that Octo and OpenVLA give them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rldg.data.reader import Dataset, StoredEpisode
from rldg.data.views import missing_column, with_columns
from rldg.errors import DatasetError
from rldg.stage import write_json

Statistics = dict[str, Any]

LOW, HIGH = 0.01, 0.99  # the quantiles
BLOCK = 16_384  # values that are taken in at once


class ColumnStatistics:
    """Statistics per dimension of numbers that come in pieces of shape (N, n).

    Memory holds the outermost percent of the values and a block, not all of them: nothing else can be a quantile, a
    minimum or a maximum of `most` values or fewer. Means and deviations are merged in double precision (Chan, Golub
    and LeVeque, The American Statistician 37:242, 1983).
    """

    def __init__(self, most: int) -> None:
        self.count = 0
        self._merged = 0
        self._keep = int(most * LOW) + 2  # beyond either quantile, with the neighbour to interpolate to
        self._waiting: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """Takes (N, n) numbers in."""
        self._waiting.append(np.asarray(values))
        self.count += len(values)
        if self.count - self._merged > max(BLOCK, self._keep):
            self._merge()

    def _merge(self) -> None:
        values = np.concatenate(self._waiting)
        self._waiting.clear()
        if not self._merged:
            self._mean = self._squares = np.zeros(values.shape[1])
            self._lowest = self._highest = values[:0]
        exact = values.astype(np.float64)
        share = len(values) / (self._merged + len(values))
        mean = exact.mean(axis=0)
        shift = mean - self._mean
        self._squares = self._squares + ((exact - mean) ** 2).sum(axis=0) + shift**2 * share * self._merged
        self._mean = self._mean + shift * share
        self._merged += len(values)
        self._lowest = np.sort(np.concatenate([self._lowest, values]), axis=0)[: self._keep]
        self._highest = np.sort(np.concatenate([self._highest, values]), axis=0)[-self._keep :]

    def result(self) -> dict[str, list[float]]:
        """`mean`, `std` (of the population), `min`, `max`, `q01` and `q99`, a number per dimension each.

        In a dimension that never changes, `std` is exactly 0 and all else exactly its value.
        """
        if self._waiting:
            self._merge()
        low, high = self._lowest[0], self._highest[-1]
        constant = low == high
        found = {
            "mean": np.where(constant, low, self._mean),
            "std": np.where(constant, 0.0, np.sqrt(self._squares / self.count)),
            "min": low,
            "max": high,
            "q01": self._quantile(LOW),
            "q99": self._quantile(HIGH),
        }
        return {name: column.tolist() for name, column in found.items()}

    def _quantile(self, share: float) -> np.ndarray:
        """What `numpy.quantile` gives for all values: its interpolation between the two that enclose the rank."""
        rank = (self.count - 1) * share
        below = int(rank)
        around = self._lowest[below : below + 2] if share < 0.5 else self._highest[below - self.count :][:2]
        return np.quantile(around, np.array(rank - below), axis=0)


def column_statistics(values: np.ndarray) -> dict[str, list[float]]:
    """Statistics per dimension of (N, n), see `ColumnStatistics.result`."""
    column = ColumnStatistics(len(values))
    column.add(values)
    return column.result()


def compute_statistics(
    episodes: Sequence[StoredEpisode], action: str = "action", state: str = "observation/state"
) -> Statistics:
    """Statistics over all steps of `episodes`, in the units of the data set (see docs/data.md).

    `action["mask"]` says which dimensions are normalised: all but the gripper, the seventh, which both models take as
    it is (0 closed .. 1 open). `proprio` is absent where the episodes have no column `state`. Of a `Dataset` nothing
    but these columns is decoded, and memory hardly grows with it.

    Raises `DatasetError` when there is no episode, none with the column `action`, no vector in it, or a value that is
    not finite.
    """
    if isinstance(episodes, Dataset):
        steps = episodes.steps
        episodes = with_columns(episodes, action, *([state] if f"steps/{state}" in episodes.fields else []))
    else:
        steps = sum(map(len, episodes))
    actions, states = ColumnStatistics(steps), ColumnStatistics(steps)
    for episode in tqdm(episodes, desc="statistics", unit="episode", delay=1, dynamic_ncols=True):
        if action not in episode.steps:
            raise missing_column(action, episode.steps)
        actions.add(_vectors(episode, action))
        if state in episode.steps:
            states.add(_vectors(episode, state))
    if not actions.count:
        raise DatasetError("There is no episode to take statistics of.")
    found = actions.result()
    statistics: Statistics = {
        "action": found | {"mask": [dimension < 6 for dimension in range(len(found["mean"]))]},
        "num_transitions": actions.count,
        "num_trajectories": len(episodes),
    }
    if states.count:
        found = states.result()
        statistics["proprio"] = found | {"mask": [True] * len(found["mean"])}
    return statistics


def _vectors(episode: StoredEpisode, column: str) -> np.ndarray:
    """(T, n) numbers, all finite."""
    values = episode.steps[column]
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        raise DatasetError(f"'{column}' holds no vector of numbers per step, so there are no statistics of it.")
    if not np.isfinite(values).all():
        name = episode.metadata.get("episode_id", "")
        raise DatasetError(
            f"'{column}' of episode '{name}' holds a value that is not finite; see `rldg data validate`."
        )
    return values


def save_statistics(path: Path, name: str, statistics: Statistics) -> None:
    """Writes {name: statistics}, the layout in which OpenVLA looks an `unnorm_key` up.

    Quantiles stand under OpenVLA's names, q01 and q99, and under Octo's, p01 and p99.
    """
    both = {
        part: {**numbers, "p01": numbers["q01"], "p99": numbers["q99"]} if isinstance(numbers, dict) else numbers
        for part, numbers in statistics.items()
    }
    write_json(path, {name: both})

"""Octo's normalisation of actions: mean and standard deviation per dimension, the gripper left as it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rldg.errors import CheckpointError


@dataclass(frozen=True)
class ActionStatistics:
    """Mean and deviation (A,) and which dimensions they apply to."""

    mean: np.ndarray
    std: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, statistics: dict[str, Any]) -> "ActionStatistics":
        """From one data set's entry of `dataset_statistics.json`; raises `CheckpointError` if it holds none."""
        try:
            action = statistics["action"]
            mean, std = np.array(action["mean"], np.float32), np.array(action["std"], np.float32)
            return cls(mean, std, np.array(action.get("mask", [True] * len(mean)), bool))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"The data set statistics hold no action mean and std: {error!r}.") from None

    def normalise(self, actions: np.ndarray) -> np.ndarray:
        """Metric (..., A) to float32 of mean 0 and deviation 1."""
        return np.where(self.mask, (actions - self.mean) / (self.std + 1e-8), actions).astype(np.float32)

    def restore(self, actions: np.ndarray) -> np.ndarray:
        """The inverse of `normalise`."""
        return np.where(self.mask, actions * self.std + self.mean, actions).astype(np.float32)

"""How a chunk of predicted actions is carried out, one action per control step."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from rldg.errors import UsageError

Predict = Callable[[], np.ndarray]  # the policy's chunk (H, 7) for the present observation


class ChunkExecution(Protocol):
    """Chooses the next action (7,); asks for a chunk when it needs one."""

    def reset(self) -> None:
        """Begins an episode."""
        ...

    def __call__(self, predict: Predict) -> np.ndarray:
        """The action (7,) of this control step."""
        ...


class RecedingHorizon:
    """Carries out the first `execute` actions of a chunk, then asks for another; None: the whole chunk."""

    def __init__(self, execute: int | None = None) -> None:
        if execute is not None and execute < 1:
            raise UsageError(f"At least one action of every chunk is carried out; got {execute}.")
        self._execute = execute
        self._left: deque[np.ndarray] = deque()

    def reset(self) -> None:
        """Forgets what is left of a chunk."""
        self._left.clear()

    def __call__(self, predict: Predict) -> np.ndarray:
        """The next action (7,)."""
        if not self._left:
            self._left.extend(predict()[: self._execute])
        return self._left.popleft()


class TemporalEnsemble:
    """Averages what the last chunks said of the present step (ACT, Zhao et al. 2023).

    A chunk is predicted at every step. Predictions are weighted by exp(-weight * i), i = 0 for the oldest, so that a
    positive `weight` trusts old ones, a negative one new ones, and 0 all alike.
    """

    def __init__(self, weight: float = 0.0) -> None:
        if not np.isfinite(weight):
            raise UsageError(f"The weight of temporal ensembling must be a finite number; got {weight}.")
        self._weight = weight
        self._chunks: deque[np.ndarray] = deque()

    def reset(self) -> None:
        """Forgets the chunks of the last episode."""
        self._chunks.clear()

    def __call__(self, predict: Predict) -> np.ndarray:
        """The next action (7,)."""
        self._chunks.append(predict())
        while len(self._chunks) > len(self._chunks[-1]):  # what is older says nothing of the present
            self._chunks.popleft()
        ages = range(len(self._chunks) - 1, -1, -1)
        said = np.stack([chunk[age] for age, chunk in zip(ages, self._chunks, strict=True)])
        weights = np.exp(-self._weight * np.arange(len(said)))
        return (weights[:, None] * said).sum(axis=0) / weights.sum()


def chunk_execution(execute: int | None = None, ensemble: float | None = None) -> ChunkExecution:
    """What the two options of a policy ask for; raises `UsageError` if both are given."""
    if execute is not None and ensemble is not None:
        raise UsageError("Temporal ensembling predicts anew at every step, so it does not go with a number to execute.")
    return RecedingHorizon(execute) if ensemble is None else TemporalEnsemble(ensemble)

"""The loss on held-out episodes, on the same batches with the same noise each time."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rldg.data.steps import StepSource
from rldg.generalists.octo.batches import open_loader
from rldg.generalists.octo.learner import Learner, TrainState

MOST = 16  # batches per measurement, as in Octo's own


class Validation:
    """Measures the loss of a state on `sources`; without any it measures nothing."""

    def __init__(self, learner: Learner, sources: Sequence[StepSource], place: Callable[[Any], Any]) -> None:
        """`place` brings a loader's batch onto the devices."""
        self._learner, self._place = learner, place
        self._loader = None
        if sources:
            self._loader = open_loader(sources, learner.model, learner.config, learner.seed, augment=False)
        self._count = min(MOST, math.ceil(sum(map(len, sources)) / learner.config.batch_size))

    def __call__(self, state: TrainState) -> dict[str, float]:
        """`validation_loss`, or nothing."""
        if self._loader is None:
            return {}
        batches = (self._place(self._loader.batch(number)) for number in range(self._count))
        return {"validation_loss": float(np.mean([self._learner.evaluate(state, batch) for batch in batches]))}

"""Loss and errors on held-out episodes, on the same pictures each time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rldg.data.loader import Loader
from rldg.generalists.openvla.learner import Batch, Learner

MOST = 16  # batches per measurement


class Validation:
    """Measures on batches of a `loader` of `frames` steps; without a loader it does nothing.

    `ready` makes a loader's batch one for the model.
    """

    def __init__(self, learner: Learner, loader: Loader | None, frames: int, ready: Callable[[Any], Batch]) -> None:
        self._learner, self._loader, self._ready = learner, loader, ready
        self._count = min(MOST, math.ceil(frames / learner.config.batch_size))

    def __call__(self) -> dict[str, float]:
        """`validation_loss`, `validation_action_accuracy`, ..., or nothing."""
        if self._loader is None:
            return {}
        found = [self._learner.evaluate(self._ready(self._loader.batch(number))) for number in range(self._count)]
        return {f"validation_{name}": float(np.mean([one[name] for one in found])) for name in found[0]}

"""The observations that a policy remembers, in the layout that the model reads."""

from collections import deque
from typing import Any

import numpy as np


class History:
    """The last `window` frames of an episode; before there are as many, the first one stands in for those missing.

    What stands in is marked in `timestep_pad_mask`, as it is at the start of an episode in training.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._frames: deque[dict[str, np.ndarray]] = deque(maxlen=window)
        self._count = 0

    def reset(self) -> None:
        """Begins an episode."""
        self._frames.clear()
        self._count = 0

    def append(self, frame: dict[str, np.ndarray]) -> None:
        """Takes the frame of one control step: entry of the observation -> array, images as the model sees them."""
        self._frames.extend([frame] * (1 if self._frames else self._window))
        self._count += 1

    def observation(self) -> dict[str, Any]:
        """Every entry as (1, window, ...), and the `timestep_pad_mask` (1, window)."""
        real = np.arange(self._window) >= self._window - self._count
        stacked = {name: np.stack([frame[name] for frame in self._frames])[None] for name in self._frames[-1]}
        return stacked | {"timestep_pad_mask": real[None]}

"""Numbers of an action as the last ids of the vocabulary: 256 bins over [-1, 1], the highest number first."""

from functools import cached_property

import numpy as np

from rldg.generalists.openvla.config import OpenVLAConfig


class ActionTokenizer:
    """Between actions in [-1, 1] and token ids; what decodes are the centres of the bins."""

    def __init__(self, config: OpenVLAConfig) -> None:
        self._end, self._bins = config.text_vocabulary, config.bins

    @cached_property
    def edges(self) -> np.ndarray:
        """(256,) float64, -1 .. 1."""
        return np.linspace(-1.0, 1.0, self._bins)

    @cached_property
    def centres(self) -> np.ndarray:
        """(255,) float64."""
        return (self.edges[:-1] + self.edges[1:]) / 2

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Ids, int64 of the same shape; what lies outside [-1, 1] is clipped."""
        return self._end - np.digitize(np.clip(actions, -1.0, 1.0), self.edges)

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Actions, float64 of the same shape; any id gives one: the nearest bin's."""
        return self.centres[np.clip(self._end - np.asarray(ids) - 1, 0, len(self.centres) - 1)]

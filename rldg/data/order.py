"""In which order steps are read: which one stands at which place of an endless stream, without reading up to there.

Every source is a stream of its own, permuted anew in each epoch over all its steps. Streams are mixed by laying sample
j of a source with share w at (j + 1/2) / w and reading from the left: any stretch of the mixture holds each source's
share, to a sample.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

_ENDLESS = 1 << 53  # places; beyond it a float64 no longer counts


class Order:
    """Rows (numbers of steps, all sources numbered through) by place.

    Args:
        lengths: steps of each source.
        weights: share of each source, in any unit.
        seed: of the permutations; None reads each source from its first step to its last.
        epochs: passes over each source; None for no end. The mixture ends where the first source does.
    """

    def __init__(self, lengths: Sequence[int], weights: Sequence[float], seed: int | None, epochs: int | None) -> None:
        self._lengths = np.array(lengths)
        self._starts = np.cumsum([0, *lengths[:-1]])
        self._weights = np.array(weights, float) / sum(weights)
        self._seed = seed
        self._length = _ENDLESS
        if epochs is not None:
            ends = self._lengths * epochs
            reach = ((ends + 0.5) / self._weights).min()  # where the first sample lies that is not there
            self._length = int(np.minimum(ends, np.ceil(self._weights * reach - 0.5)).sum())
        # Each source is in one epoch, or on its way to the next.
        self._permutation = lru_cache(2 * len(lengths))(self._permuted)

    def __len__(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        """What the permutations take in memory, at most, in bytes."""
        return 0 if self._seed is None else 2 * 8 * int(self._lengths.sum())

    def rows(self, first: int, last: int) -> np.ndarray:
        """The rows at the places first .. last - 1."""
        source, sample = self._mixed(first, last)
        epoch, row = np.divmod(sample, self._lengths[source])
        for number, turn in set(zip(source.tolist(), epoch.tolist(), strict=True)):
            here = (source == number) & (epoch == turn)
            if self._seed is not None:
                row[here] = self._permutation(number, turn)[row[here]]
        return row + self._starts[source]

    def _mixed(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """The source and the number within its stream of the samples at the places first .. last - 1."""
        # A sample lies less than half a place per source from where it is read: a stretch that much longer has all.
        slack = len(self._lengths)
        low = np.floor(self._weights * (first - slack)).astype(int).clip(0)
        high = np.ceil(self._weights * (last + slack)).astype(int) + 1
        source = np.repeat(np.arange(slack), high - low)
        sample = np.concatenate([np.arange(*bounds) for bounds in zip(low, high, strict=True)])
        order = np.lexsort((source, (sample + 0.5) / self._weights[source]))[first - low.sum() : last - low.sum()]
        return source[order], sample[order]

    def _permuted(self, source: int, epoch: int) -> np.ndarray:
        assert self._seed is not None
        return np.random.default_rng([self._seed, source, epoch]).permutation(self._lengths[source])

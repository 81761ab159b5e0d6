"""Intervals and tests for measurements that come in groups, such as the steps of episodes, which resemble each other.

Groups are what is drawn, never single measurements: those of one group say little more than one of them.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.distance import cdist

from rldg.evaluation.statistics import CONFIDENCE

DRAWS = 1000
LEAST_GROUPS = 8  # with measurements, on either side; fewer tell nothing of how much groups differ
Groups = Sequence[np.ndarray]  # each (n, d), n may be 0


def grouped_difference(
    a: Groups, b: Groups, measure: Callable[[np.ndarray], float], seed: int = 0
) -> tuple[float, float, float]:
    """`measure` of all of `a` minus that of all of `b`, with its 95 % interval.

    The interval is that of the percentile bootstrap over groups (Efron and Tibshirani, 1993, chapter 8). It is endless
    where fewer than `LEAST_GROUPS` groups of a side hold measurements. Draws in which either side is empty are left
    out. The difference is not a number where a side holds none.
    """
    generator = np.random.default_rng(seed)

    def drawn(groups: Groups) -> float:
        return measure(np.concatenate([groups[i] for i in generator.integers(len(groups), size=len(groups))]))

    middle = measure(np.concatenate(a)) - measure(np.concatenate(b))
    if min(sum(len(group) > 0 for group in side) for side in (a, b)) < LEAST_GROUPS:
        return middle, float("-inf"), float("inf")
    differences = [drawn(a) - drawn(b) for _ in range(DRAWS)]
    outside = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(differences, [outside, 1 - outside])
    return middle, float(low), float(high)


def same_distribution(a: Groups, b: Groups, seed: int = 0) -> float:
    """p-value of the permutation test of equal distributions by the energy distance (Székely and Rizzo, 2013).

    Whole groups are exchanged between the sides. Not a number where a side holds no measurement.
    """
    if not sum(map(len, a)) or not sum(map(len, b)):
        return float("nan")
    groups = [*a, *b]
    pooled = np.concatenate(groups)
    apart = cdist(pooled, pooled)
    group = np.repeat(np.arange(len(groups)), [len(one) for one in groups])

    def statistic(first: np.ndarray) -> float:
        """Squared energy distance, weighted, of the groups marked in `first` from the others."""
        side = first[group].astype(float)
        count, rest = side.sum(), len(side) - side.sum()
        if not count or not rest:
            return 0.0
        to_first, to_rest = apart @ side, apart @ (1 - side)
        between, within, beyond = side @ to_rest, side @ to_first, (1 - side) @ to_rest
        square = 2 * between / (count * rest) - within / count**2 - beyond / rest**2
        return float(square * count * rest / len(side))

    sides = np.arange(len(groups)) < len(a)
    observed = statistic(sides)
    generator = np.random.default_rng(seed)
    reached = sum(statistic(generator.permutation(sides)) >= observed for _ in range(DRAWS))
    return (reached + 1) / (DRAWS + 1)

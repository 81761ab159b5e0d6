"""Intervals and tests over episodes: what is there is found, chance is not, and steps of an episode count as one."""

import numpy as np
import pytest

from rldg.evaluation.grouped import grouped_difference, same_distribution


def mean(values):
    return float(values.mean()) if len(values) else float("nan")


def groups(generator, count, centre, spread=0.3, size=8):
    """Episodes whose measurements hardly differ within an episode: (size, 2) each, some episodes empty."""
    centres = generator.normal(centre, spread, size=(count, 2))
    return [np.zeros((0, 2)), *(one + generator.normal(0, 0.01, (size, 2)) for one in centres)]


def test_a_planted_difference_is_found():
    generator = np.random.default_rng(0)
    a, b = groups(generator, 40, 0.5), groups(generator, 40, 0.0)
    middle, low, high = grouped_difference(a, b, mean)
    assert 0 < low < middle < high and low < 0.5 < high
    assert same_distribution(a, b) < 0.01


def test_chance_is_called_a_difference_as_rarely_as_promised():
    """Were single steps drawn in place of episodes, most of these would be called different."""
    generator = np.random.default_rng(1)
    excluded, rejected = 0, 0
    for _ in range(30):
        a, b = groups(generator, 20, 0.0), groups(generator, 20, 0.0)
        _, low, high = grouped_difference(a, b, mean)
        excluded += not low <= 0 <= high
        rejected += same_distribution(a, b) < 0.05
    assert excluded <= 5 and rejected <= 5  # 1.5 expected of each


def test_nothing_is_said_of_nothing():
    empty, one = [np.zeros((0, 2))], [np.ones((1, 2))]
    assert np.isnan(grouped_difference(empty, one, mean)[0])
    few = [np.ones((50, 2))] * 7 + empty * 20
    assert grouped_difference(few, [np.zeros((50, 2))] * 30, mean) == (1, -np.inf, np.inf)
    assert np.isnan(same_distribution(one, empty))
    assert same_distribution(one, one) == pytest.approx(1)

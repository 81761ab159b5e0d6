"""Verdicts on planted worlds: how often a difference is found, and how seldom a null is taken for one.

A world has training seeds that are good or bad as a whole, scenes that are hard or easy for everybody, and trials that
are drawn from both; what the experiments measure of it goes through the rules that they use.
"""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from pipelines.paper.measure import mean
from pipelines.paper.verdict import AtLeast, Exceeds, Matches, Rule, Verdict
from rldg.evaluation.statistics import paired_difference, success_interval

SEEDS, SCENES, WORLDS = 3, 150, 300  # as `connectors` has seeds and scenes
SPREAD, HARDNESS = 0.3, 1.0  # standard deviation of seeds and of scenes, in logits


def outcomes(level: float, hardness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outcomes (scenes, seeds) of one arm."""
    logits = level + SPREAD * rng.normal(size=SEEDS) + hardness[:, None]
    return rng.random((len(hardness), SEEDS)) < expit(logits)


def verdicts(rule: Rule, first: float, second: float) -> Counter[Verdict]:
    """Verdicts on the difference of two arms of these levels [logits], by world."""
    found: Counter[Verdict] = Counter()
    for world in range(WORLDS):
        rng = np.random.default_rng(world)
        hardness = HARDNESS * rng.normal(size=SCENES)
        difference = paired_difference(*(outcomes(level, hardness, rng) for level in (first, second)))
        found[rule(difference.low, difference.high)] += 1
    return found


def test_a_planted_difference_is_found() -> None:
    found = verdicts(Exceeds(0.0, relevant=0.05), 2.5, 0.5)  # about 88 % against 60 %
    assert found[Verdict.AGREES] >= 0.8 * WORLDS
    assert found[Verdict.DIFFERS] == 0


@pytest.mark.parametrize("level", [0.0, 1.5, 3.5])
def test_a_planted_null_is_not_taken_for_a_difference(level: float) -> None:
    found = verdicts(Exceeds(0.0, relevant=0.05), level, level)
    assert found[Verdict.AGREES] <= 0.04 * WORLDS  # 2.5 %, and what 300 worlds may miss it by


def test_a_planted_opposite_is_never_agreed_with() -> None:
    found = verdicts(Exceeds(0.0, relevant=0.05), 0.5, 2.5)
    assert found[Verdict.AGREES] == 0
    assert found[Verdict.DIFFERS] >= 0.9 * WORLDS


def test_equality_is_found_where_seeds_agree_and_never_where_there_is_a_difference() -> None:
    same = verdicts(Matches(0.0, margin=0.15), 3.5, 3.5)
    assert same[Verdict.AGREES] >= 0.8 * WORLDS
    assert same[Verdict.DIFFERS] == 0
    assert verdicts(Matches(0.0, margin=0.1), 2.5, 0.5)[Verdict.AGREES] <= 0.03 * WORLDS


def test_one_good_seed_among_bad_ones_agrees_with_nothing() -> None:
    rng = np.random.default_rng(0)
    first = rng.random((SCENES, 3)) < [0.95, 0.5, 0.5]
    second = rng.random((SCENES, 3)) < [0.5, 0.5, 0.5]
    difference = paired_difference(first, second)
    assert difference.mean > 0.1
    assert Exceeds()(difference.low, difference.high) is Verdict.INCONCLUSIVE


def test_a_specialist_that_always_succeeds_reaches_a_rate_and_one_that_does_not_misses_it() -> None:
    always, seldom = np.ones((150, 3)), np.random.default_rng(0).random((150, 3)) < 0.7
    assert AtLeast(0.95)(*success_interval(always)) is Verdict.AGREES
    assert AtLeast(0.95)(*success_interval(seldom)) is Verdict.DIFFERS


def test_intervals_of_times_cover_the_truth_though_seeds_and_scenes_differ_and_failures_leave_gaps() -> None:
    covered = 0
    for world in range(WORLDS):
        rng = np.random.default_rng(world)
        logs = 0.3 + 0.1 * rng.normal(size=3) + 0.2 * rng.normal(size=(100, 1)) + 0.3 * rng.normal(size=(100, 3))
        logs[rng.random(logs.shape) < 0.2] = np.nan
        found = mean(logs, "ratio")
        covered += found.low <= 0.3 <= found.high
    assert covered >= 0.92 * WORLDS


ends = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted)
rules = st.one_of(
    st.builds(Exceeds, st.floats(-0.5, 0.5), st.floats(0, 0.3)),
    st.builds(AtLeast, st.floats(-0.5, 0.5)),
    st.builds(Matches, st.floats(-0.5, 0.5), st.floats(0, 0.3)),
)


@given(rules, ends, st.floats(0, 1), st.floats(0, 1))
def test_more_evidence_never_takes_a_verdict_back(rule, interval, below, above):
    low, high = interval
    narrow, wide = rule(low, high), rule(low - below, high + above)
    assert wide is not Verdict.AGREES or narrow is Verdict.AGREES
    assert wide is Verdict.INCONCLUSIVE or narrow is not Verdict.INCONCLUSIVE


@given(rules)
def test_nothing_known_is_inconclusive(rule):
    assert rule(float("-inf"), float("inf")) is Verdict.INCONCLUSIVE

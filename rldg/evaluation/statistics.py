"""Intervals: Wilson for a success rate, and a paired one for the difference of two policies on the same scenes."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """Difference of two success rates (first minus second) and its 95 % interval, all as fractions."""

    mean: float
    low: float
    high: float
    scenes: int  # locked scenes that both policies were tried on


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson score 95 % interval of a success rate, as fractions; (0, 1) when nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def success_interval(arm: np.ndarray) -> tuple[float, float]:
    """95 % interval of the success rate of (scenes, runs) outcomes; a run is one training seed.

    Wilson's for one run. For several see `paired_difference`: the same scenes and seeds are not independent trials.
    """
    arm = np.asarray(arm, dtype=float).reshape(len(arm), -1)
    variance, by_run = _variance(arm)
    _, low, high = _score_interval(arm, variance, _quantile(variance, [(by_run, arm.shape[1])]))
    return low, high


def paired_difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Difference in success between two arms that were tried on the same scenes.

    Args:
        a: outcomes (scenes, runs) of the first arm, 0 or 1; a run is one training seed. (scenes,) counts as one run.
        b: the same for the second arm: the same scenes in the same order; it may have another number of runs.

    The interval is the square-and-add of two Wilson score intervals with the correlation between the arms (Newcombe,
    Statistics in Medicine 17:2635, 1998), which holds its coverage near 0 and 1 where the usual ones collapse to zero
    width. With one run per arm it is exactly that. With several runs the trials are no longer independent: the same
    scene comes back in every run, and a training seed may be good or bad as a whole. Each arm's trial count is then
    replaced by the number of independent trials of the same variance, taking the variance by scene and by run
    (two-way clusters: Cameron, Gelbach and Miller, 2011), and the normal quantile by Student's, whose degrees of
    freedom (Satterthwaite) say how well so few runs can tell the variance between them.
    """
    a, b = (np.asarray(arm, dtype=float).reshape(len(arm), -1) for arm in (a, b))
    if len(a) != len(b):
        raise ValueError(f"Both arms need the same scenes; got {len(a)} and {len(b)}.")
    if len(a) == 0:
        raise ValueError("At least one scene is needed.")
    variance_a, runs_a = _variance(a)
    variance_b, runs_b = _variance(b)
    scene_a, scene_b = a.mean(axis=1), b.mean(axis=1)
    covariance = float(np.mean((scene_a - scene_a.mean()) * (scene_b - scene_b.mean()))) / len(a)
    scale = np.sqrt(variance_a * variance_b)
    correlation = float(np.clip(covariance / scale, -1, 1)) if scale > 0 else 0.0
    total = variance_a + variance_b - 2 * covariance
    quantile = _quantile(total, [(runs_a, a.shape[1]), (runs_b, b.shape[1])])

    rate_a, low_a, high_a = _score_interval(a, variance_a, quantile)
    rate_b, low_b, high_b = _score_interval(b, variance_b, quantile)
    mean = rate_a - rate_b
    below = _hypotenuse(rate_a - low_a, high_b - rate_b, correlation)
    above = _hypotenuse(high_a - rate_a, rate_b - low_b, correlation)
    return Difference(mean, max(mean - below, -1.0), min(mean + above, 1.0), len(a))


def _quantile(total: float, by_runs: list[tuple[float, int]]) -> float:
    """Student's quantile; `by_runs` are the parts of the variance `total` that were estimated from so many runs."""
    uncertainty = sum(part**2 / (runs - 1) for part, runs in by_runs if runs > 1)
    freedom = max(total**2 / uncertainty, 1.0) if uncertainty > 0 else np.inf
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _variance(arm: np.ndarray) -> tuple[float, float]:
    """Variance of the mean of (scenes, runs) outcomes, and the part of it that the runs contribute."""
    scenes, runs = arm.shape
    by_scene = float(arm.mean(axis=1).var()) / scenes
    if runs == 1 or scenes == 1:
        return by_scene, 0.0
    by_run = float(arm.mean(axis=0).var(ddof=1)) / runs
    residual = arm - arm.mean(axis=1, keepdims=True) - arm.mean(axis=0) + arm.mean()
    single = float((residual**2).sum()) / ((scenes - 1) * (runs - 1)) / arm.size
    independent = float(arm.mean() * (1 - arm.mean())) / arm.size
    return max(by_scene + by_run - single, independent), by_run


def _score_interval(arm: np.ndarray, variance: float, quantile: float) -> tuple[float, float, float]:
    """Rate, lower and upper end of Wilson's interval for as many independent trials as have `variance`."""
    rate = float(arm.mean())
    # A rate of 0 or 1 has no variance to compare with: count every scene once, as if its runs could only agree.
    trials = rate * (1 - rate) / variance if variance > 0 else len(arm)
    square = quantile**2 / trials
    centre = (rate + square / 2) / (1 + square)
    half = np.sqrt(square * (rate * (1 - rate) + square / 4)) / (1 + square)
    return rate, min(centre - half, rate), max(centre + half, rate)


def _hypotenuse(x: float, y: float, correlation: float) -> float:
    return float(np.sqrt(max(x**2 - 2 * correlation * x * y + y**2, 0.0)))

"""From finished evaluation cells to numbers with intervals that take scenes and training seeds into account."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from pipelines.curve import read_curve
from pipelines.paper.cell import Cell
from pipelines.paper.findings import Quantity
from rldg.evaluation.compare import Evaluation, compare, find_evaluations, outcome_table
from rldg.evaluation.statistics import CONFIDENCE, success_interval
from rldg.evaluation.trials import Trial

Measure = Callable[[Trial], float]


def evaluations(cells: Iterable[Cell], tasks: Iterable[str] = ()) -> list[Evaluation]:
    """What evaluation cells hold, of all tasks or of some: one arm of a comparison, a run per policy."""
    kept = set(tasks)
    found = [one for cell in cells for one in find_evaluations(cell.folder)]
    return [one for one in found if not kept or one.summary.task in kept]


def success(arm: Sequence[Evaluation]) -> Quantity:
    """Rate of success."""
    _, outcomes = outcome_table(arm)
    low, high = success_interval(outcomes)
    share = float(outcomes.mean())
    return Quantity(share, low, high, "share", outcomes.size, "trials", outcomes.shape[1], int(outcomes.sum()))


def difference(a: Sequence[Evaluation], b: Sequence[Evaluation]) -> Quantity:
    """Success of `a` minus success of `b`, on the same scenes."""
    comparison = compare(a, b)
    found = comparison.difference
    return Quantity(found.mean, found.low, found.high, "points", found.scenes, "scenes", min(comparison.runs))


def steps(arm: Sequence[Evaluation]) -> Quantity:
    """Control steps of the successes, mean over the runs."""
    return mean(_table(arm, lambda trial: trial.steps), "steps")


def seconds(arm: Sequence[Evaluation]) -> Quantity:
    """Seconds of the successes, mean over the runs."""
    return mean(_table(arm, lambda trial: trial.seconds), "seconds")


def ratio(a: Sequence[Evaluation], b: Sequence[Evaluation], measure: Measure) -> Quantity:
    """How many times as much of `measure` (steps, seconds) a success of `a` takes as one of `b` in the same scene.

    The geometric mean over the scenes in which both succeeded. Arms with equally many runs are paired run by run, in
    the order of their evaluations; otherwise each run of `a` is set beside the mean of those of `b`.
    """
    logs = [{scene: np.log(row) for scene, row in _rows(arm, measure).items()} for arm in (a, b)]
    common = sorted(logs[0].keys() & logs[1].keys())
    first, second = (np.array([log[scene] for scene in common]) for log in logs)
    if first.size and first.shape != second.shape:
        second = np.nanmean(second, axis=1, keepdims=True)
    found = mean(first - second, "ratio")
    value, low, high = np.exp([found.value, found.low, found.high]).tolist()
    return replace(found, value=value, low=low, high=high, of="scenes")


def mean(values: np.ndarray, unit: Any) -> Quantity:
    """Mean of (scenes, runs) values, NaN where there is none, with an interval over scenes and runs.

    As in `rldg.evaluation.statistics`: the variance by scene plus that by run less what is counted twice, and Student's
    quantile with the degrees of freedom (Satterthwaite) that so few runs leave. Infinite where one value or none is
    all there is.
    """
    values = np.asarray(values, float).reshape(len(values), -1)
    values = values[~np.isnan(values).all(axis=1)]
    count, runs = int((~np.isnan(values)).sum()), values.shape[1]
    if count == 0:
        return Quantity(float("nan"), float("-inf"), float("inf"), unit, 0, "successes", runs)
    centre = float(np.nanmean(values))
    by_scene = np.nanmean(values, axis=1)
    variance = float(by_scene.var(ddof=1)) / len(by_scene) if len(by_scene) > 1 else float("inf")
    freedom = len(by_scene) - 1.0
    by_run = np.nanmean(values, axis=0)
    by_run = by_run[~np.isnan(by_run)]
    if len(by_run) > 1:
        part = float(by_run.var(ddof=1)) / len(by_run)
        rest = values - np.nanmean(values, axis=1, keepdims=True) - np.nanmean(values, axis=0) + centre
        twice = float(np.nanvar(rest)) / count
        variance = max(variance + part - twice, variance, part)
        freedom = max(variance**2 / (part**2 / (len(by_run) - 1)), 1.0) if part > 0 else freedom
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, max(freedom, 1.0))) * float(np.sqrt(variance))
    return Quantity(centre, centre - half, centre + half, unit, count, "successes", runs)


def _table(arm: Sequence[Evaluation], measure: Measure) -> np.ndarray:
    return np.array(list(_rows(arm, measure).values())).reshape(-1, _runs(arm))


def _rows(arm: Sequence[Evaluation], measure: Measure) -> dict[Any, list[float]]:
    """Scene -> `measure` of each run's success there, NaN for a failure; run k of a task is its k-th evaluation."""
    rows: dict[Any, list[float]] = {}
    runs = _runs(arm)
    counts: dict[str, int] = {}
    for one in arm:
        run = counts[one.summary.task] = counts.get(one.summary.task, -1) + 1
        for trial in one.trials:
            row = rows.setdefault((one.summary.task, trial.seed), [float("nan")] * runs)
            row[run] = measure(trial) if trial.success else float("nan")
    return rows


def _runs(arm: Sequence[Evaluation]) -> int:
    counts = [sum(other.summary.task == one.summary.task for other in arm) for one in arm]
    return max(counts, default=1)


def still_rises(curve: Cell) -> bool:
    """Whether a generalist still did better at the end of its training than half-way, on the same scenes.

    It is taken to if the whole 95 % interval of the difference lies above zero: the sign of a training that was too
    short. With few scenes only a clear rise is seen.
    """
    points = read_curve(curve.folder)
    half, last = points[len(points) // 2 - 1], points[-1]
    arms = [find_evaluations(curve.folder / str(point["updates"])) for point in (last, half)]
    return compare(arms[0], arms[1]).difference.low > 0

"""The figures of a classifier's report."""

from collections.abc import Sequence

import numpy as np

from rldg.classifiers.metrics import Quality
from rldg.evaluation.figures import ARM_COLORS, MUTED, percent_axis, svg

PRECISION, RECALL = ARM_COLORS["rl"], ARM_COLORS["teleoperator"]
POSITIVE, NEGATIVE = ARM_COLORS["specialist"], ARM_COLORS["teleoperator"]


def threshold_sweep(sweep: Sequence[Quality], threshold: float) -> str:
    """Precision and recall against the threshold; the one that is used is marked."""
    with svg(4.0, 2.5) as drawing:
        axes = drawing.axes
        for name, color in (("precision", PRECISION), ("recall", RECALL)):
            points = [(one.threshold, share) for one in sweep if (share := getattr(one, name)) is not None]
            axes.plot(*np.array(points).reshape(-1, 2).T, color=color, marker=".", label=name)
        axes.axvline(threshold, color=MUTED, linewidth=0.9, linestyle=":")
        percent_axis(axes)
        axes.set_xlim(0, 1)
        axes.set_xlabel("threshold")
        axes.legend(frameon=False, loc="lower left", labelcolor="linecolor")
    return drawing.markup


def score_histogram(scores: np.ndarray, label: np.ndarray, threshold: float) -> str:
    """How the probabilities of positives and of negatives are spread, on a logarithmic scale of counts."""
    edges = np.linspace(0, 1, 21)
    with svg(4.0, 2.5) as drawing:
        axes = drawing.axes
        for name, chosen, color in (("positives", label, POSITIVE), ("negatives", ~label, NEGATIVE)):
            axes.hist(scores[chosen], edges, color=color, alpha=0.55, label=name)
        axes.axvline(threshold, color=MUTED, linewidth=0.9, linestyle=":")
        axes.set_yscale("symlog", linthresh=1)
        axes.set(xlim=(0, 1), xlabel="probability of success", ylabel="pictures")
        axes.tick_params(length=0)
        axes.legend(frameon=False, loc="upper center", labelcolor="linecolor")
    return drawing.markup

"""How well a classifier's verdicts agree with labels, and with the simulator's truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rldg.evaluation.statistics import wilson

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Quality:
    """Counts of verdicts at one threshold, by whether they were right."""

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def of(cls, threshold: float, scores: np.ndarray, label: np.ndarray) -> "Quality":
        """Of probabilities (N,) against what is right, bool (N,)."""
        verdict = scores >= threshold
        counts = [verdict & label, verdict & ~label, ~verdict & label, ~verdict & ~label]
        return cls(threshold, *(int(count.sum()) for count in counts))

    @property
    def precision(self) -> float | None:
        """Share of the verdicts "success" that were right; None if there was none."""
        called = self.true_positives + self.false_positives
        return self.true_positives / called if called else None

    @property
    def recall(self) -> float | None:
        """Share of the successes that were found; None if there was none."""
        there = self.true_positives + self.false_negatives
        return self.true_positives / there if there else None

    @property
    def agreement(self) -> float:
        """Share of all verdicts that were right."""
        total = self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
        return (self.true_positives + self.true_negatives) / total

    def summary(self) -> dict[str, Any]:
        """Counts, shares, and their Wilson 95 % intervals. Neighbouring pictures are alike, so these are optimistic."""
        found = self.true_positives
        return {
            **vars(self),
            "precision": self.precision,
            "precision_wilson95": list(wilson(found, found + self.false_positives)),
            "recall": self.recall,
            "recall_wilson95": list(wilson(found, found + self.false_negatives)),
            "agreement": self.agreement,
        }


def sweep(scores: np.ndarray, label: np.ndarray) -> list[Quality]:
    """The quality at every one of `THRESHOLDS`."""
    return [Quality.of(threshold, scores, label) for threshold in THRESHOLDS]

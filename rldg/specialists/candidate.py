"""Which weights are kept: a candidate is held still and tried in fresh scenes until it fails or has proved itself.

Stopping at the first good evaluation would flatter: of many policies that are nearly good, one gets lucky.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rldg.specialists.arrays import Arrays, Tree, from_named_arrays, named_arrays, part, prefixed


@dataclass
class Tried:
    """Weights, the update they are from, and how they fared: successes in a row and steps per success."""

    actor: Tree
    updates: int
    lengths: list[int] = field(default_factory=list)

    def arrays(self, prefix: str) -> Arrays:
        """For a checkpoint."""
        return prefixed(f"{prefix}.actor.", named_arrays(self.actor)) | {
            f"{prefix}.updates": np.array(self.updates),
            f"{prefix}.lengths": np.array(self.lengths, np.int64),
        }

    @classmethod
    def restore(cls, prefix: str, arrays: Mapping[str, np.ndarray]) -> "Tried":
        """Inverse of `arrays`."""
        weights = from_named_arrays(part(f"{prefix}.actor.", arrays))
        return cls(weights, int(arrays[f"{prefix}.updates"]), arrays[f"{prefix}.lengths"].tolist())


@dataclass
class Selection:
    """The candidate on trial, and the best one before it."""

    candidate: Tried
    best: Tried
    trials: int = 0  # episodes so far, over all candidates

    def record(self, tried: int, lengths: list[int], successor: Tried) -> None:
        """Takes in a round's trials; if one failed, or there was none, `successor` becomes the candidate."""
        self.trials += tried
        self.candidate.lengths += lengths
        if len(self.candidate.lengths) >= len(self.best.lengths):
            self.best = self.candidate
        if len(lengths) < tried or not tried:
            self.candidate = successor

    def arrays(self) -> Arrays:
        """For a checkpoint."""
        return self.candidate.arrays("candidate") | self.best.arrays("best") | {"trials": np.array(self.trials)}

    @classmethod
    def restore(cls, arrays: Mapping[str, np.ndarray]) -> "Selection":
        """Inverse of `arrays`."""
        candidate, best = Tried.restore("candidate", arrays), Tried.restore("best", arrays)
        return cls(candidate, candidate if candidate.updates == best.updates else best, int(arrays["trials"]))

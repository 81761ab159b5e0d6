"""Which weights are kept: a candidate is held still and tried in fresh scenes until it fails or has proved itself.

Stopping at the first good evaluation would flatter: of many policies that are nearly good, one gets lucky.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rldg.specialists.networks import Layers, from_named_arrays, named_arrays

Arrays = dict[str, np.ndarray]


@dataclass
class Tried:
    """Weights, the update they are from, and how they fared: successes in a row and steps per success."""

    actor: Layers
    updates: int
    lengths: list[int] = field(default_factory=list)

    def arrays(self, prefix: str) -> Arrays:
        """For a checkpoint."""
        weights = {f"{prefix}.actor.{name}": value for name, value in named_arrays(self.actor).items()}
        return weights | {
            f"{prefix}.updates": np.array(self.updates),
            f"{prefix}.lengths": np.array(self.lengths, np.int64),
        }

    @classmethod
    def restore(cls, prefix: str, arrays: Mapping[str, np.ndarray]) -> "Tried":
        """Inverse of `arrays`."""
        start = f"{prefix}.actor."
        weights = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
        return cls(from_named_arrays(weights), int(arrays[f"{prefix}.updates"]), arrays[f"{prefix}.lengths"].tolist())


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

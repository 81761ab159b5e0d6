"""`Judging`: what judges a training's steps anew as it learns from them, so that rewards in the replay keep up."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from rldg.specialists.arrays import Arrays
from rldg.specialists.replay import Replay


class Judging(Protocol):
    """Part of the learner's side of a training. It depends on rounds alone, never on seconds, and is checkpointed."""

    step_bytes: int  # that it has kept of each step in the replay

    def message(self) -> Arrays:
        """What actors are told with each round, so that they judge by the same."""
        ...

    def learn(self, number: int, replay: Replay) -> Mapping[str, float]:
        """Takes in what round `number` brought, judges steps in the replay anew, and returns metrics."""
        ...

    def arrays(self) -> Arrays:
        """For a checkpoint."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray], replay: Replay) -> None:
        """Inverse of `arrays`; the replay is as it was, with the rewards that its steps were given at first."""
        ...


class AsJudged:
    """Rewards stay what they were when they were given."""

    step_bytes = 0

    def message(self) -> Arrays:
        """Nothing."""
        return {}

    def learn(self, number: int, replay: Replay) -> Mapping[str, float]:
        """Changes nothing."""
        return {}

    def arrays(self) -> Arrays:
        """Nothing."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray], replay: Replay) -> None:
        """Changes nothing."""

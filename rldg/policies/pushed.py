"""`Pushed`: a policy that is pushed off its way now and then, so that its data shows how to come back."""

from collections import deque
from dataclasses import replace

import numpy as np

from rldg.env.types import Observation
from rldg.errors import UsageError
from rldg.policies.base import Policy, Verdict
from rldg.tasks.task import Task

LENGTH = 0.5  # s that a push lasts
STREAM = 4  # keeps these draws apart from the scene's and the policy's, which descend from the same seed


class Pushed(Policy):
    """At random moments the arm is moved at full speed in a random direction; then `base` goes on from there.

    Noise in the demonstrator's way shows states that it would not come to by itself (DART: Laskey et al., 2017). What
    is recorded is the push: relabel the data with `base`'s actions before training on it.

    Args:
        base: acts in between.
        rate: pushes per second, on average, while there is none.
    """

    def __init__(self, base: Policy, rate: float) -> None:
        if not 0 <= rate < np.inf:
            raise UsageError(f"There are 0 or more pushes per second, not {rate:g}.")
        self.base, self.rate, self.real_time = base, rate, base.real_time
        self.metadata = replace(base.metadata, kind=f"{base.metadata.kind}:pushes={rate:g}")

    @property
    def verdict(self) -> Verdict | None:
        """What a person who is pushed says of the episode."""
        return self.base.verdict

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode; when and where to it is pushed descends from `seed`."""
        self._random = np.random.default_rng([seed, STREAM])
        self._steps = max(1, round(LENGTH * task.rate))
        self._chance = min(1.0, self.rate / task.rate)
        self._left, self._push = 0, np.zeros(3)
        self._planned: deque[np.ndarray] = deque()  # what is left of the base's chunk
        self.base.reset(task, instruction, seed)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7): the base's, its translation replaced during a push."""
        if not self._planned:
            self._planned.extend(self.base.act(observation))
        action = np.array(self._planned.popleft())
        if not self._left and self._random.random() < self._chance:
            direction = self._random.normal(size=3)
            self._left, self._push = self._steps, direction / np.abs(direction).max()
        if self._left:
            self._left -= 1
            action[:3] = self._push
        return action[None]

    def session(self) -> "Pushed":
        """The base in an episode of its own, pushed as often."""
        return Pushed(self.base.session(), self.rate)

    def warm_up(self, sessions: int = 1) -> None:
        """Warms the base up."""
        self.base.warm_up(sessions)

    def close(self) -> None:
        """Lets go of what the base holds."""
        self.base.close()

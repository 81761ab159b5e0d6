"""`Perturbed`: a policy that is led astray now and then, so that near misses come up, not only successes."""

from dataclasses import dataclass, replace

import numpy as np

from rldg.env.types import ACTION_DIMENSION, Observation
from rldg.policies.base import Policy
from rldg.tasks.task import Task

STREAM = 3  # keeps these draws apart from the scene's and the policy's, which descend from the same seed


@dataclass(frozen=True)
class Perturbation:
    """How a policy is disturbed. An episode is cut into spells of random length, each of one kind."""

    spell: float = 6.0  # control steps, mean length
    misled: float = 0.55  # share of spells in which the policy believes the target to be elsewhere
    pushed: float = 0.2  # share in which it does not act, and the tool is pushed one way
    resting: float = 0.05  # share in which nothing moves
    sideways: float = 0.006  # m, deviation of a believed target that lies beside the true one
    short: float = 0.016  # m, at most, that a believed target lies short of the true one, along the insertion


class Perturbed(Policy):
    """`base`, perturbed: it stops short, ends up beside, is pushed out and comes back. Grippers let go now and then.

    Every draw descends from reset's seed. It says of itself what the base says, under a kind of its own.
    """

    def __init__(self, base: Policy, perturbation: Perturbation | None = None) -> None:
        self._base, self._amount = base, perturbation or Perturbation()
        self.metadata = replace(base.metadata, kind=f"perturbed {base.metadata.kind}")

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode undisturbed."""
        self._random = np.random.default_rng([seed, STREAM])
        self._base.reset(task, instruction, seed)
        self._kind, self._offset, self._push = "faithful", np.zeros(3), np.zeros(ACTION_DIMENSION, np.float32)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7)."""
        if self._random.random() < 1 / self._amount.spell:
            self._begin_spell()
        if self._kind in ("pushed", "resting"):
            return self._push[None]
        believed = observation["privileged"]["tcp_in_target"].copy()
        believed[:3] -= self._offset
        privileged = observation["privileged"] | {"tcp_in_target": believed}
        return self._base.act(observation | {"privileged": privileged})[:1]

    def _begin_spell(self) -> None:
        amount, random = self._amount, self._random
        shares = [amount.misled, amount.pushed, amount.resting]
        self._kind = random.choice(["misled", "pushed", "resting", "faithful"], p=[*shares, 1 - sum(shares)])
        self._offset = np.zeros(3)
        self._push = np.zeros(ACTION_DIMENSION, np.float32)
        if self._kind == "misled":
            beside = random.random() < 0.5
            self._offset[:2] = random.normal(0, amount.sideways, 2) * beside
            self._offset[2] = -random.uniform(0, amount.short)
        elif self._kind == "pushed":
            self._push[:3] = random.uniform(-0.5, 0.5, 3)
            self._push[6] = random.choice([-1.0, 1.0])

"""The `Policy` interface: everything that acts implements it."""

import copy
from dataclasses import dataclass, field

import numpy as np

from rldg.env.types import ActionContract, Observation
from rldg.tasks.task import Task


@dataclass(frozen=True)
class PolicyMetadata:
    """What a policy says of itself; recorded with every episode and checked against the task before it acts."""

    kind: str  # "expert", "teleoperator", "specialist", "octo", ...
    action_contract: ActionContract | None = None  # None: it adapts to any task
    image_sizes: dict[str, int] = field(default_factory=dict)  # camera -> pixels (square; 0: any)
    statistics_key: str = ""
    weight_hash: str = ""
    checkpoint_step: int = 0
    stochastic: bool = False  # whether it samples its actions


@dataclass(frozen=True)
class Verdict:
    """What an operator says of an episode, which ends with it."""

    success: bool
    reason: str = ""  # of a failure

    def __post_init__(self) -> None:
        assert self.success == (not self.reason), "a failure has a reason, a success has none"


class Policy:
    """Acts on observations. Subclasses set `metadata` and implement `act`; `reset` begins an episode."""

    metadata: PolicyMetadata
    intervening: bool = False  # whether the last chunk came from a person who took over
    real_time: bool = False  # whether a person is at it, for whom control steps must not go by faster than they should

    @property
    def verdict(self) -> Verdict | None:
        """What the operator has said of this episode; None while it goes on."""
        return None

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode. Every random draw of the episode descends from `seed`."""

    def act(self, observation: Observation) -> np.ndarray:
        """Normalised actions float32 (chunk, 7) in [-1, 1] to be carried out one after the other."""
        raise NotImplementedError

    def session(self) -> "Policy":
        """A policy that acts as this one does, in an episode of its own, at the same time, in another thread.

        A plain copy; policies with weights worth sharing share them and answer sessions together.
        """
        return copy.deepcopy(self)

    def warm_up(self, sessions: int = 1) -> None:
        """Does beforehand what would make the first answers slow when so many sessions ask, such as compiling."""

    def close(self) -> None:
        """Lets go of what it holds beyond memory, such as a connection."""

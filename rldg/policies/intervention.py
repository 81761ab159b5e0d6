"""`Intervention`: a policy that acts, and an operator who takes over where it does not get on."""

import copy
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rldg.env.types import Observation
from rldg.policies.base import Policy, Verdict
from rldg.tasks.task import Task


def distance(observation: Observation) -> float:
    """How far [m] things are from their end.

    For a tool that holds its object for good, the tool's way to its target. Where something has to be grasped, the
    tool's way to the object and the object's way to its target together: the one shrinks on reaching, the other on
    carrying.
    """
    privileged = observation["privileged"]
    ways = ("object_in_tcp", "object_in_target") if "object_in_target" in privileged else ("tcp_in_target",)
    return float(sum(np.linalg.norm(privileged[way][:3]) for way in ways))


class TakeoverRule(Protocol):
    """Says at every control step who acts."""

    def reset(self, task: Task) -> None:
        """Begins an episode."""
        ...

    def takes_over(self, observation: Observation) -> bool:
        """Whether the operator acts on this observation."""
        ...


@dataclass
class NoProgress:
    """Takes over once things have come no nearer to their end for a while; hands back once they are clearly nearer.

    It sees the privileged `distance`, so it is for simulation.
    """

    patience: float = 1.0  # s without progress until the operator takes over
    progress: float = 0.001  # m nearer than ever before that count as progress
    relief: float = 0.005  # m nearer than where the operator took over at which the policy goes on

    def reset(self, task: Task) -> None:
        """Begins an episode, with the policy acting."""
        self._patience = max(1, round(self.patience * task.rate))  # control steps
        self._nearest = np.inf
        self._idle = 0  # control steps
        self._hand_back: float | None = None  # distance; None while the policy acts

    def takes_over(self, observation: Observation) -> bool:
        """Whether the operator acts on this observation."""
        left = distance(observation)
        if self._hand_back is not None and left < self._hand_back:
            self._hand_back, self._nearest, self._idle = None, left, 0
        if left < self._nearest - self.progress:
            self._nearest, self._idle = left, 0
        else:
            self._idle += 1
        if self._hand_back is None and self._idle >= self._patience:
            self._hand_back = left - self.relief
        return self._hand_back is not None


class Intervention(Policy):
    """`base` acts; whenever `rule` says so, `operator` does, and `intervening` is true.

    The rule is asked at every control step, so a chunk of the base is cut short where the operator takes over. Each
    time the operator begins afresh. What it says of itself (contract, weights, step) is what the base says; the kind
    names both.
    """

    def __init__(self, base: Policy, operator: Policy, rule: TakeoverRule | None = None) -> None:
        self.base, self.operator, self.rule = base, operator, rule or NoProgress()
        self.metadata = replace(base.metadata, kind=f"{base.metadata.kind}+{operator.metadata.kind}")
        self.real_time = base.real_time or operator.real_time

    @property
    def verdict(self) -> Verdict | None:
        """What the operator says of the episode."""
        return self.operator.verdict

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode, with the base acting."""
        self._task, self._instruction = task, instruction
        self._seeds = np.random.SeedSequence(seed)
        self._planned: deque[np.ndarray] = deque()  # what is left of the base's chunk
        self.intervening = False
        self.rule.reset(task)
        self.base.reset(task, instruction, seed)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7), of whoever is in charge."""
        before, self.intervening = self.intervening, self.rule.takes_over(observation)
        if self.intervening:
            if not before:
                self._planned.clear()
                (fresh,) = self._seeds.spawn(1)
                self.operator.reset(self._task, self._instruction, int(fresh.generate_state(1)[0]))
            return self.operator.act(observation)[:1]
        if not self._planned:
            self._planned.extend(self.base.act(observation))
        return self._planned.popleft()[None]

    def session(self) -> "Intervention":
        """Policy and operator in an episode of their own."""
        return Intervention(self.base.session(), self.operator.session(), copy.deepcopy(self.rule))

    def warm_up(self, sessions: int = 1) -> None:
        """Warms the policy up."""
        self.base.warm_up(sessions)

    def close(self) -> None:
        """Lets go of what the two hold."""
        self.base.close()
        self.operator.close()

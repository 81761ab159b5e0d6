"""Whole episodes of an agent in several environments at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rldg.env.types import Observation, StepInfo
from rldg.irevla.agent import Agent
from rldg.irevla.ppo import Params
from rldg.irevla.vector import VectorEnv
from rldg.policies.base import Policy, PolicyMetadata
from rldg.rollout.loop import Transition

NOISE = 4  # the stream of an episode's seed that exploration draws from, not that of the scene


class Explorer(Policy):
    """Stands in an episode's record for the agent that acted."""

    def __init__(self, agent: Agent, iteration: int) -> None:
        trunk = agent.trunk
        self.metadata = PolicyMetadata(
            kind="irevla",
            action_contract=trunk.contract,
            image_sizes=trunk.image_sizes,
            weight_hash=trunk.weight_hash,
            checkpoint_step=iteration,
            stochastic=True,
        )


@dataclass
class Played:
    """One episode: T steps, and T + 1 inputs of the network, the last of them of what the last step led to."""

    seed: int
    seen: list[Any] = field(default_factory=list)
    action: list[np.ndarray] = field(default_factory=list)  # (A,), as the head's are normalised
    transitions: list[Transition] = field(default_factory=list)

    def __len__(self) -> int:
        """Steps."""
        return len(self.action)

    @property
    def success(self) -> bool:
        """Whether it was judged a success."""
        return self.transitions[-1].after.success


@dataclass
class _Running:
    """An episode in the making."""

    played: Played
    noise: np.random.Generator
    observation: Observation
    before: StepInfo


def play(envs: VectorEnv, agent: Agent, params: Params, seeds: Sequence[int], *, explore: bool = True) -> list[Played]:
    """An episode from the scene of each seed, in their order, with an action drawn at every step.

    The network sees as many rows as there are environments at every step, whether all of them still have something to
    do: what an episode holds does not depend on how long the others take. Without `explore` the mean action is taken.
    """
    running: dict[int, _Running] = {}
    finished: dict[int, Played] = {}
    waiting = list(enumerate(seeds))[::-1]
    order: dict[int, int] = {}  # environment -> which of the seeds
    while True:
        fresh = {}
        for number in range(envs.count):
            if number not in running and waiting:
                order[number], fresh[number] = waiting.pop()
        for number, (observation, info) in (envs.reset(fresh) if fresh else {}).items():
            noise = np.random.default_rng([fresh[number], NOISE])
            running[number] = _Running(Played(fresh[number]), noise, observation, info)
        if not running:
            return [finished[index] for index in range(len(seeds))]
        actions = _act(envs, agent, params, running, explore)
        for number, after in envs.step(actions).items():
            one = running[number]
            one.played.transitions.append(
                Transition(
                    index=len(one.played.transitions),
                    observation=one.observation,
                    action=actions[number],
                    next_observation=after.observation,
                    reward=float(after.reward),
                    terminated=after.terminated,
                    truncated=after.truncated,
                    before=one.before,
                    after=after.info,
                    intervention=False,
                )
            )
            one.observation, one.before = after.observation, after.info
            if after.terminated or after.truncated:
                # What follows an end by itself is worth nothing, and so need not be looked at.
                last = agent.see([after.observation] * envs.count)[0] if after.truncated else one.played.seen[-1]
                one.played.seen.append(last)
                finished[order[number]] = running.pop(number).played


def _act(
    envs: VectorEnv, agent: Agent, params: Params, running: dict[int, _Running], explore: bool
) -> dict[int, np.ndarray]:
    """The next action of each running episode, normalised as environments take it."""
    numbers = sorted(running)
    filled = numbers + numbers[:1] * (envs.count - len(numbers))
    seen = agent.see([running[number].observation for number in filled])
    width = agent.trunk.head_config.action_dim
    noise = np.zeros((envs.count, width), np.float32)
    for row, number in enumerate(numbers):
        if explore:
            noise[row] = running[number].noise.standard_normal(width, np.float32)
    drawn, executed = agent.act(params, agent.stacked(seen), noise)
    for row, number in enumerate(numbers):
        running[number].played.seen.append(seen[row])
        running[number].played.action.append(drawn[row])
    return {number: executed[row] for row, number in enumerate(numbers)}

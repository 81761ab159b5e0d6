"""What learns online: PPO in simulation. `rldg.irevla.sacfd` has the other, for robots."""

from collections.abc import Sequence
from typing import Any, Protocol

import jax
import numpy as np

from rldg.irevla import ppo
from rldg.irevla.agent import Agent
from rldg.irevla.config import OnlineConfig
from rldg.irevla.episodes import Played
from rldg.irevla.gae import advantages
from rldg.irevla.ppo import Learned, Network, Params, Samples
from rldg.irevla.vector import VectorEnv
from rldg.specialists.arrays import Arrays

ROWS = 256  # steps whose values are computed together


class OnlineLearner(Protocol):
    """Learns from whole episodes that its agent has played."""

    @property
    def agent(self) -> Agent:
        """What acts."""
        ...

    @property
    def params(self) -> Params:
        """By which it acts now."""
        ...

    def begin(self, envs: VectorEnv) -> None:
        """What has to be done once, before the first iteration."""
        ...

    def learn(self, played: Sequence[Played], generator: np.random.Generator) -> dict[str, float]:
        """Takes the episodes of one iteration; returns figures of it."""
        ...

    def save(self, folder: Any, step: int) -> None:
        """Writes the generalist that stage 2 goes on from."""
        ...

    def arrays(self) -> Arrays:
        """Everything that changes, by name."""
        ...

    def restore(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        ...


class PPOLearner:
    """`OnlineLearner` by PPO; what it learns is the generalist itself."""

    def __init__(self, agent: Agent, config: OnlineConfig, seed: int) -> None:
        self.agent, self._config = agent, config.ppo
        self._learned = ppo.start(config.ppo, agent.init(seed, config.initial_std))

    @property
    def params(self) -> Params:
        """By which it acts now."""
        return self._learned.params

    def begin(self, envs: VectorEnv) -> None:
        """Nothing."""

    def learn(self, played: Sequence[Played], generator: np.random.Generator) -> dict[str, float]:
        """One iteration of PPO."""
        data = samples(self.agent, self.params, played, self._config)
        self._learned, figures = ppo.update(self._config, self.agent.network, self._learned, data, generator)
        return figures

    def save(self, folder: Any, step: int) -> None:
        """The generalist with what has been learned."""
        self.agent.save(folder, self.params, step)

    def arrays(self) -> Arrays:
        """Parameters and moments."""
        return leaves(self._learned)

    def restore(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        self._learned = Learned(*with_leaves(self._learned, arrays))


def samples(agent: Agent, params: Params, played: Sequence[Played], config: ppo.PPOConfig) -> Samples:
    """The steps of whole episodes as PPO takes them; no picture is looked at again."""
    seen = agent.stacked([row for one in played for row in one.seen])
    action = np.concatenate([np.stack([*one.action, one.action[-1]]) for one in played])
    log_prob, value = judged(agent.network, params, seen, action)
    # Every episode has a row more than it has steps.
    last = np.concatenate([np.arange(len(one) + 1) == len(one) for one in played])
    before, after = np.flatnonzero(~last), np.flatnonzero(~last) + 1
    steps = [transition for one in played for transition in one.transitions]
    reward = np.array([step.reward for step in steps], np.float32)
    terminal = np.array([step.terminated for step in steps])
    found = advantages(reward, value[before], value[after], terminal, last[after], config.discount, config.trace)
    taken = jax.tree.map(lambda leaf: leaf[before], seen)
    return Samples(taken, action[before], log_prob[before], value[before], found, found + value[before])


def judged(network: Network, params: Params, seen: Any, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of actions, and values, (n,) each; in parts of one size, compiled once."""
    count = len(action)
    parts = []
    for first in range(0, count, ROWS):
        rows = np.minimum(np.arange(first, first + ROWS), count - 1)
        parts.append(_judged(network, params, jax.tree.map(lambda leaf, rows=rows: leaf[rows], seen), action[rows]))
    log_prob, value = (np.concatenate([np.asarray(part[index]) for part in parts])[:count] for index in (0, 1))
    return log_prob, value


def _judge(network: Network, params: Params, seen: Any, action: Any) -> tuple[Any, Any]:
    policy, value = network(params, seen)
    return policy.log_prob(action), value


_judged = jax.jit(_judge, static_argnums=0)


def leaves(tree: Any) -> Arrays:
    """The arrays of a tree, by their place in it."""
    return {f"{number:05d}": np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(tree))}


def with_leaves(tree: Any, arrays: Arrays) -> Any:
    """A tree of the same structure with the arrays of `leaves`."""
    found = [jax.numpy.asarray(arrays[name]) for name in sorted(arrays)]
    return jax.tree.unflatten(jax.tree.structure(tree), found)

"""SACfD on latents, for robots: every step is used many times, beside the generalist's own first successes.

The set-up is SERL's, through the specialists' agent: what it observes is a latent instead of poses, and each batch is
half demonstrations. Its actor is a small network of its own; what it finds reaches the generalist in stage 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from rldg.env.types import Observation
from rldg.errors import TrainingError
from rldg.irevla.agent import LatentAgent
from rldg.irevla.config import OnlineConfig, SACfDConfig
from rldg.irevla.episodes import Played, play
from rldg.irevla.learner import leaves, with_leaves
from rldg.irevla.ppo import Params
from rldg.irevla.trunk import Trunk, active
from rldg.irevla.vector import VectorEnv
from rldg.specialists.agent import AgentState, compiled_update, init_state
from rldg.specialists.arrays import Arrays, part, prefixed
from rldg.specialists.batches import draw
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.networks import gaussian
from rldg.specialists.replay import Replay
from rldg.specialists.spec import FEATURES, AgentSpec
from rldg.workers import episode_seed

AGENT, REPLAY, UPDATES = "agent.", "replay.", "updates"
DEMONSTRATION = 2**30  # from this number on, episodes' seeds are those of demonstrations
ATTEMPTS = 20  # per demonstration that is asked for


@dataclass(frozen=True)
class LatentSpec(AgentSpec):
    """An agent that observes so many numbers of a latent."""

    latent: int = 0

    @property
    def features_size(self) -> int:
        """Length of the part `features`."""
        return self.latent


class SACfDAgent:
    """`Agent` that acts by the actor of SACfD; without parameters, by the generalist's own head."""

    def __init__(self, trunk: Trunk) -> None:
        self.trunk = trunk
        self._generalist = LatentAgent(trunk)
        self.network = self._generalist.network
        self._head = self._generalist.init(0, 1.0)
        self.active = np.flatnonzero(active(trunk.statistics, trunk.contract))
        width = trunk.head_config.action_dim
        self._rest = trunk.contract.to_normalized(trunk.statistics.restore(np.zeros(width, np.float32)))

    def init(self, seed: int, initial_std: float) -> Params:
        """None: the generalist's own head acts."""
        del seed, initial_std

    def see(self, observations: Sequence[Observation]) -> list[Any]:
        """Latents (m, D)."""
        return self._generalist.see(observations)

    def stacked(self, seen: Sequence[Any]) -> Any:
        """(n, m, D)."""
        return np.stack(seen)

    def act(self, params: Params, seen: Any, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Twice the same actions (n, 7), as environments take them; what the task has no use for stays at rest."""
        if params is None:
            executed = self._generalist.act(self._head, seen, np.zeros_like(noise))[1]
        else:
            mean, log_std = gaussian(params, seen.reshape(len(seen), -1))
            executed = np.tile(self._rest, (len(seen), 1))
            executed[:, self.active] = np.tanh(mean + np.exp(log_std) * noise[:, self.active])
        return executed, executed

    def save(self, folder: Any, params: Params, step: int) -> None:
        """The generalist as it was."""
        del params
        self.trunk.save(folder, self.trunk.head, step)


class SACfDLearner:
    """`OnlineLearner` by SACfD. Demonstrations are successes of the generalist as it comes."""

    def __init__(self, agent: SACfDAgent, config: OnlineConfig, seed: int) -> None:
        self.agent, self._seed = agent, seed
        self._config, self._how = config.sacfd, specialist_config(config.sacfd)
        latent = agent.trunk.latent_size
        self._spec = LatentSpec(len(agent.active), latent=latent)
        self._state: AgentState = init_state(self._how, self._spec, seed)
        self._replay = Replay()
        self._update = compiled_update(self._how, self._spec)
        self._due = 0  # critic updates that are owed

    @property
    def params(self) -> Params:
        """Layers of the actor, as NumPy arrays."""
        return jax.tree.map(np.asarray, self._state.actor["trunk"])

    def begin(self, envs: VectorEnv) -> None:
        """Records the demonstrations.

        Raises `TrainingError` if the generalist succeeds too rarely to give any.
        """
        found = 0
        for first in range(0, self._config.demonstrations * ATTEMPTS, envs.count):
            numbers = range(DEMONSTRATION + first, DEMONSTRATION + first + envs.count)
            for one in play(envs, self.agent, None, [episode_seed(self._seed, number) for number in numbers]):
                if one.success and found < self._config.demonstrations:
                    self._replay.add(self._columns(one), prior=True)
                    found += 1
            if found == self._config.demonstrations:
                return
        raise TrainingError(
            f"The generalist succeeded {found} times in {self._config.demonstrations * ATTEMPTS} attempts at "
            f"'{envs.task.name}', and {self._config.demonstrations} demonstrations are asked for; lower "
            f"online.sacfd.demonstrations, or start from a generalist that has seen a task more alike."
        )

    def learn(self, played: Sequence[Played], generator: np.random.Generator) -> dict[str, float]:
        """As many updates as the new steps call for."""
        for one in played:
            self._replay.add(self._columns(one), prior=False)
        self._due += self._config.updates_per_step * sum(map(len, played))
        figures: dict[str, Any] = {}
        while self._due >= self._how.updates_per_call:
            batch = draw(self._how, self._spec, self._replay, generator)
            self._state, figures = self._update(self._state, {}, batch)
            self._due -= self._how.updates_per_call
        return {name: float(value) for name, value in figures.items()}

    def save(self, folder: Any, step: int) -> None:
        """The generalist as it was: stage 2 teaches it what was found."""
        self.agent.save(folder, None, step)

    def arrays(self) -> Arrays:
        """Agent, replay and what is owed."""
        replay = prefixed(REPLAY, self._replay.arrays())
        return prefixed(AGENT, leaves(self._state)) | replay | {UPDATES: np.array(self._due)}

    def restore(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        self._state = AgentState(*with_leaves(self._state, part(AGENT, arrays)))
        self._replay, self._due = Replay(part(REPLAY, arrays)), int(arrays[UPDATES])

    def _columns(self, one: Played) -> Arrays:
        """See `rldg.specialists.replay.transitions`."""

        def padded(column: Any) -> np.ndarray:
            column = np.asarray(column)
            return np.concatenate([column, np.zeros_like(column[:1])])

        steps = one.transitions
        return {
            FEATURES: np.stack(one.seen).reshape(len(one) + 1, -1),
            "action": padded(np.stack(one.action)[:, self.agent.active].astype(np.float32)),
            "reward": padded(np.array([step.reward for step in steps], np.float32)),
            "continues": padded(np.array([not step.terminated for step in steps], np.float32)),
            "intervention": padded(np.zeros(len(one), bool)),
            "last": np.arange(len(one) + 1) == len(one),
        }


def specialist_config(config: SACfDConfig) -> SpecialistConfig:
    """The same in the words of the specialists' agent."""
    return SpecialistConfig(
        algorithm="sac",
        hidden=config.hidden,
        batch_size=config.batch_size,
        discount=config.discount,
        learning_rate=config.learning_rate,
        updates_per_step=config.updates_per_step,
        updates_per_call=config.updates_per_call,
    )

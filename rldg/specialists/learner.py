"""The learner: agent, buffers and random state, everything that one more update depends on."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from rldg.specialists import agent, cloning
from rldg.specialists.arrays import Arrays, Tree
from rldg.specialists.batches import draw, staged
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.frozen import frozen_weights
from rldg.specialists.replay import Replay
from rldg.specialists.spec import AgentSpec

AGENT = "agent"  # prefix of the agent's arrays


class Learner:
    """Learns from prior data and from the agent's own transitions, so many updates per environment step.

    Args:
        config: sizes and rates.
        spec: what the agent sees and does.
        seed: of the first weights and all draws.
    """

    def __init__(self, config: SpecialistConfig, spec: AgentSpec, seed: int) -> None:
        self.config, self.spec = config, spec
        self.updates = 0
        self.replay = Replay()
        kind = cloning if config.clones else agent
        self._state: Any = kind.init_state(config, spec, seed)
        self._generator = np.random.default_rng([seed, 1])
        weights = {} if spec.cached else frozen_weights(config.encoder, config.encoder_weights)
        self._frozen = jax.tree.map(jax.numpy.array, weights)
        self._update = kind.compiled_update(config, spec)

    @property
    def env_steps(self) -> int:
        """The agent's own transitions so far."""
        return len(self.replay.online)

    @property
    def prior_steps(self) -> int:
        """Transitions of prior data so far: demonstrations, and steps that an operator took over."""
        return len(self.replay.prior)

    @property
    def acting(self) -> Any:
        """The state of the agent that acts."""
        return self._state

    @property
    def actor(self) -> Tree:
        """The current policy, as NumPy arrays."""
        return jax.tree.map(np.array, self.acting.actor)

    @property
    def average(self) -> Tree:
        """The slow average of the policies, as NumPy arrays."""
        return jax.tree.map(np.array, self.acting.average)

    def add(self, transitions: Arrays, prior: bool) -> None:
        """Takes in the `transitions` of whole episodes; steps that an operator took over are prior data as well."""
        self.replay.add(transitions, prior)

    def learn(self) -> dict[str, float]:
        """Does the updates that the environment steps so far allow, in whole calls; returns their mean metrics.

        So many updates per step, whatever the hardware; of those before the first step, a round's worth at a time.
        """
        config = self.config
        allowed = config.pretrain_updates + self.env_steps * config.updates_per_step - self.updates
        if not self.env_steps:
            allowed = min(allowed, max(config.round_steps * config.updates_per_step, config.updates_per_call))
        allowed //= config.updates_per_call
        collected = []
        for drawn in staged(allowed, self._draw):
            collected.append(self._call(drawn))
            self.updates += config.updates_per_call
        if not collected:
            return {}
        return {name: float(np.mean([metrics[name] for metrics in collected])) for name in collected[0]}

    def _draw(self) -> Any:
        """What one call takes."""
        return draw(self.config, self.spec, self.replay, self._generator)

    def _call(self, drawn: Any) -> dict[str, Any]:
        """One call of `updates_per_call` updates; returns its metrics."""
        self._state, metrics = self._update(self._state, self._frozen, drawn)
        return metrics

    def arrays(self) -> Arrays:
        """Everything to go on from but the replay's arrays, by name."""
        return saved(AGENT, self._state) | {
            "updates": np.array(self.updates),
            "generator": np.array(json.dumps(self._generator.bit_generator.state)),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Goes back to what `arrays()` and `replay.arrays()` returned."""
        self._state = restored(AGENT, self._state, arrays)
        self.replay = Replay(arrays)
        self.updates = int(arrays["updates"])
        self._generator.bit_generator.state = json.loads(str(arrays["generator"]))


def saved(prefix: str, state: Any) -> Arrays:
    """The leaves of an agent's state by name."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {f"{prefix}{jax.tree_util.keystr(path)}": np.array(leaf) for path, leaf in leaves}


def restored(prefix: str, state: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Inverse of `saved`, for a state like `state`."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.numpy.array(arrays[f"{prefix}{jax.tree_util.keystr(path)}"]), state
    )

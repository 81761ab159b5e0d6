"""The learner: agent, buffers and random state, everything that one more update depends on."""

import json
from collections.abc import Mapping

import jax
import numpy as np

from rldg.specialists.agent import AgentState, Batch, compiled_update, init_state
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.networks import Layers
from rldg.specialists.replay import ReplayBuffer, symmetric_sample

Arrays = dict[str, np.ndarray]


class Learner:
    """Learns from `prior` and `online` transitions, so many updates per environment step.

    Args:
        config: sizes and rates.
        observations: length of a feature vector.
        actions: length of an action.
        seed: of the first weights and all draws.
    """

    def __init__(self, config: SpecialistConfig, observations: int, actions: int, seed: int) -> None:
        self.config = config
        self.updates = 0
        self._sizes = (observations, actions)
        self._state = init_state(config, observations, actions, seed)
        self._generator = np.random.default_rng([seed, 1])
        empty = np.empty((0, 2 * observations + actions + 2), np.float32)
        self.prior, self.online = ReplayBuffer(empty), ReplayBuffer(empty)
        self._update = compiled_update(config, observations, actions)

    @property
    def actor(self) -> Layers:
        """The current policy, as NumPy arrays."""
        return jax.tree.map(np.array, self._state.actor)

    @property
    def average(self) -> Layers:
        """The slow average of the policies, as NumPy arrays."""
        return jax.tree.map(np.array, self._state.average)

    def learn(self) -> dict[str, float]:
        """Does the updates that the environment steps so far allow, in whole calls; returns their mean metrics."""
        config = self.config
        allowed = (len(self.online) * config.updates_per_step - self.updates) // config.updates_per_call
        collected = []
        for _ in range(allowed):
            self._state, metrics = self._update(self._state, self._batches())
            collected.append(metrics)
            self.updates += config.updates_per_call
        if not collected:
            return {}
        return {name: float(np.mean([metrics[name] for metrics in collected])) for name in collected[0]}

    def _batches(self) -> Batch:
        config, (n, m) = self.config, self._sizes
        shape = (config.updates_per_call // config.actor_period, config.actor_period, config.batch_size)
        rows = symmetric_sample(self._generator, self.prior, self.online, config.updates_per_call, config.batch_size)
        rows = rows.reshape(*shape, -1)
        noise = self._generator.standard_normal((2, *shape, m), np.float32)
        observation, action, following, rest = np.split(rows, [n, n + m, 2 * n + m], axis=-1)
        return Batch(observation, action, rest[..., 0], rest[..., 1], following, noise[0], noise[1])

    def arrays(self) -> Arrays:
        """Everything to go on from, by name."""
        leaves = jax.tree_util.tree_leaves_with_path(self._state)
        state = {f"agent{jax.tree_util.keystr(path)}": np.array(leaf) for path, leaf in leaves}
        return state | {
            "prior": self.prior.rows,
            "online": self.online.rows,
            "updates": np.array(self.updates),
            "generator": np.array(json.dumps(self._generator.bit_generator.state)),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Goes back to what `arrays()` returned."""
        self._state: AgentState = jax.tree_util.tree_map_with_path(
            lambda path, _: jax.numpy.array(arrays[f"agent{jax.tree_util.keystr(path)}"]), self._state
        )
        self.prior, self.online = ReplayBuffer(arrays["prior"]), ReplayBuffer(arrays["online"])
        self.updates = int(arrays["updates"])
        self._generator.bit_generator.state = json.loads(str(arrays["generator"]))

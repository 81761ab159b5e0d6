"""A learner whose critics see exact poses, and whose actor sees pictures (Pinto et al. 2017); for simulation.

Pictures are what costs. So the critics are those of an agent that sees exact poses alone and is learned beside, at a
hundredth of the price: its own actor never acts, it only says what comes next when the critics learn. The actor that
acts sees pictures, and climbs those critics' values.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rldg.specialists.agent import AgentState, Metrics, frozen_example, init_state, update_actor
from rldg.specialists.arrays import Arrays, Tree
from rldg.specialists.batches import Batch, draw, example
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.frozen import frozen_weights
from rldg.specialists.learner import Learner, restored, saved
from rldg.specialists.spec import AgentSpec

SEEING = "seeing"  # prefix of the seeing actor's arrays


class AsymmetricLearner(Learner):
    """Learns the agent of exact poses as `Learner` does, and the actor that sees pictures from its critics.

    Args:
        config: sizes and rates; `picture_period` critic updates go with an update of the seeing actor.
        spec: what the seeing agent sees and does.
        seed: of the first weights and all draws.
    """

    def __init__(self, config: SpecialistConfig, spec: AgentSpec, seed: int) -> None:
        super().__init__(config, AgentSpec(spec.actions, spec.observe_force, spec.grasps), seed)
        self._seeing_spec, self._seeing_config = spec, _single(config)
        self._seeing = _without_critics(init_state(config, spec, seed))
        weights = {} if spec.cached else frozen_weights(config.encoder, config.encoder_weights)
        self._pictures_frozen = jax.tree.map(jnp.array, weights)
        self._update_seeing = _compiled(self._seeing_config, spec)

    @property
    def acting(self) -> AgentState:
        """The state of the agent that acts."""
        return self._seeing

    def _draw(self) -> tuple[Batch, list[Batch]]:
        replay, generator, config = self.replay, self._generator, self._seeing_config
        of_poses = draw(self.config, self.spec, replay, generator)
        count = self.config.updates_per_call // self.config.picture_period
        return of_poses, [_single_batch(draw(config, self._seeing_spec, replay, generator)) for _ in range(count)]

    def _call(self, drawn: tuple[Batch, list[Batch]]) -> dict[str, Any]:
        of_poses, of_pictures = drawn
        metrics = super()._call(of_poses)
        for batch in of_pictures:
            self._seeing, seen = self._update_seeing(self._seeing, self._state.critics, self._pictures_frozen, batch)
            metrics |= {f"picture_{name}": value for name, value in seen.items()}
        return metrics

    def arrays(self) -> Arrays:
        """Everything to go on from but the replay's arrays, by name."""
        return super().arrays() | saved(SEEING, self._seeing)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Goes back to what `arrays()` and `replay.arrays()` returned."""
        super().restore(arrays)
        self._seeing = restored(SEEING, self._seeing, arrays)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _update(
    config: SpecialistConfig, spec: AgentSpec, state: AgentState, critics: Tree, frozen: Tree, batch: Batch
) -> tuple[AgentState, Metrics]:
    state, metrics = update_actor(config, spec, state._replace(critics=critics), frozen, batch)
    return _without_critics(state), metrics


@cache
def _compiled(config: SpecialistConfig, spec: AgentSpec) -> Any:
    whole = jax.eval_shape(lambda: init_state(config, spec, seed=0))
    batch = _single_batch(example(config, spec))
    return _update.lower(config, spec, _without_critics(whole), whole.critics, frozen_example(spec), batch).compile()


def _single(config: SpecialistConfig) -> SpecialistConfig:
    return replace(config, batch_size=config.picture_batch, updates_per_call=1, actor_period=1, picture_period=1)


def _single_batch(batch: Batch) -> Batch:
    """The one batch of a call of one update, without what the actor's update does not read."""
    return jax.tree.map(lambda leaf: leaf[0, 0], batch._replace(next_observation={}))


def _without_critics(state: AgentState) -> AgentState:
    return state._replace(critics={}, targets={}, critic_optimizer=())

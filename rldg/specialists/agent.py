"""The learner's state and its jitted update: SAC with layer-normed critics (RLPD), as in SERL's `sac.py`."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rldg.specialists.config import SpecialistConfig
from rldg.specialists.networks import Layers, forward, gaussian, init_layers
from rldg.specialists.spec import AgentSpec

LOG_2PI = float(np.log(2 * np.pi))

Array = jax.Array | np.ndarray


class AgentState(NamedTuple):
    """Everything an update reads and writes."""

    actor: Layers
    critics: list[Layers]
    log_temperature: Any  # float32 scalar
    targets: list[Layers]
    average: Layers  # slow average of the actor: evaluated and kept
    actor_optimizer: optax.OptState
    critic_optimizer: optax.OptState
    temperature_optimizer: optax.OptState


class Batch(NamedTuple):
    """Transitions, and the standard normal noise that the update uses in place of a random key."""

    observation: Mapping[str, Array]  # each part (batch, ...)
    action: Array  # (batch, m)
    reward: Array  # (batch,)
    continues: Array  # (batch,) 0 where the episode ended by itself, 1 elsewhere (time-outs too)
    next_observation: Mapping[str, Array]
    next_noise: Array  # (batch, m)
    noise: Array  # (batch, m)


def init_state(config: SpecialistConfig, spec: AgentSpec, seed: int) -> AgentState:
    """A fresh agent."""
    (observations,), actions = spec.shapes()["features"], spec.actions
    generator = np.random.default_rng(seed)
    actor = init_layers(generator, (observations, *config.hidden, 2 * actions))
    critics = [init_layers(generator, (observations + actions, *config.hidden, 1)) for _ in range(config.critics)]
    log_temperature = np.float32(np.log(config.initial_temperature))
    adam = optax.adam(config.learning_rate)
    optimizers = adam.init(actor), adam.init(critics), adam.init(log_temperature)
    state = AgentState(actor, critics, log_temperature, critics, actor, *optimizers)
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)


def sample(actor: Layers, observation: Array, noise: Array) -> tuple[jax.Array, jax.Array]:
    """Actions (batch, m) of the squashed Gaussian and their log-densities (batch,)."""
    mean, log_std = gaussian(actor, observation)
    before = mean + jnp.exp(log_std) * noise
    squash = 2 * (jnp.log(2.0) - before - jax.nn.softplus(-2 * before))  # log of tanh's derivative, stable form
    return jnp.tanh(before), (-0.5 * noise**2 - log_std - 0.5 * LOG_2PI - squash).sum(-1)


def values(critics: list[Layers], observation: Array, action: Array) -> jax.Array:
    """Each critic's value, (critics, batch)."""
    x = jnp.concatenate([observation, action], axis=-1)
    return jnp.stack([forward(critic, x)[:, 0] for critic in critics])


def update_critics(config: SpecialistConfig, state: AgentState, batch: Batch) -> tuple[AgentState, jax.Array]:
    """One step of the critics and their targets; returns the loss. The backup holds no entropy, as in SERL."""
    action, _ = sample(state.actor, batch.next_observation["features"], batch.next_noise)
    following = values(state.targets, batch.next_observation["features"], action).min(0)
    # A single reward of 1 ends an episode, so that no true value lies outside [0, 1].
    target = batch.reward + config.discount * batch.continues * following.clip(0, 1)

    def loss(critics: list[Layers]) -> jax.Array:
        return ((values(critics, batch.observation["features"], batch.action) - target) ** 2).mean()

    value, gradient = jax.value_and_grad(loss)(state.critics)
    step, optimizer = optax.adam(config.learning_rate).update(gradient, state.critic_optimizer)
    critics: Any = optax.apply_updates(state.critics, step)
    targets = optax.incremental_update(critics, state.targets, config.target_rate)
    return state._replace(critics=critics, targets=targets, critic_optimizer=optimizer), value


def update_actor(config: SpecialistConfig, state: AgentState, batch: Batch) -> tuple[AgentState, dict[str, jax.Array]]:
    """One step of the actor, its average and the temperature."""
    temperature = jnp.exp(state.log_temperature)

    def loss(actor: Layers) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        action, log_density = sample(actor, batch.observation["features"], batch.noise)
        value = values(state.critics, batch.observation["features"], action).mean()
        return temperature * log_density.mean() - value, (-log_density.mean(), value)

    (actor_loss, (entropy, value)), gradient = jax.value_and_grad(loss, has_aux=True)(state.actor)
    adam = optax.adam(config.learning_rate)
    step, actor_optimizer = adam.update(gradient, state.actor_optimizer)
    actor: Any = optax.apply_updates(state.actor, step)
    missing = -batch.action.shape[-1] / 2 - entropy
    step, temperature_optimizer = adam.update(-missing, state.temperature_optimizer)
    state = state._replace(
        actor=actor,
        average=optax.incremental_update(actor, state.average, 1 / config.average_updates),
        actor_optimizer=actor_optimizer,
        log_temperature=optax.apply_updates(state.log_temperature, step),
        temperature_optimizer=temperature_optimizer,
    )
    return state, {"actor_loss": actor_loss, "entropy": entropy, "value": value, "temperature": temperature}


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(config: SpecialistConfig, state: AgentState, batches: Batch) -> tuple[AgentState, dict[str, jax.Array]]:
    """Many updates in one call. Leaves of `batches` are (groups, actor_period, batch, ...); returns mean metrics."""

    def group(state: AgentState, batches: Batch) -> tuple[AgentState, dict[str, jax.Array]]:
        losses = []
        singly = [jax.tree.map(lambda leaf, i=i: leaf[i], batches) for i in range(config.actor_period)]
        for batch in singly:
            state, loss = update_critics(config, state, batch)
            losses.append(loss)
        state, metrics = update_actor(config, state, singly[-1])
        return state, metrics | {"critic_loss": jnp.stack(losses).mean()}

    state, metrics = jax.lax.scan(group, state, batches)
    return state, jax.tree.map(jnp.mean, metrics)


@cache
def compiled_update(
    config: SpecialistConfig, spec: AgentSpec
) -> Callable[[AgentState, Batch], tuple[AgentState, dict[str, jax.Array]]]:
    """`update`, compiled ahead of its first call, once per process and kind of agent."""
    shape = (config.updates_per_call // config.actor_period, config.actor_period, config.batch_size)
    seen = {name: np.zeros(shape + part, np.float32) for name, part in spec.shapes().items()}
    acted, scalar = np.zeros((*shape, spec.actions), np.float32), np.zeros(shape, np.float32)
    batches = Batch(seen, acted, scalar, scalar, seen, acted, acted)
    return update.lower(config, init_state(config, spec, seed=0), batches).compile()

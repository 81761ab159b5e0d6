"""The learner's state and its jitted update: SAC with layer-normed critics (RLPD), as in SERL's `sac.py`."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rldg.specialists import grasp
from rldg.specialists.arrays import Tree, from_named_arrays
from rldg.specialists.batches import Batch, example
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.encoders import make_encoder
from rldg.specialists.networks import Layers, forward, gaussian, init_layers
from rldg.specialists.sight import init_encoder, seen_by, viewed, width
from rldg.specialists.spec import AgentSpec

LOG_2PI = float(np.log(2 * np.pi))

Array = jax.Array | np.ndarray
Metrics = dict[str, jax.Array]


class AgentState(NamedTuple):
    """Everything an update reads and writes.

    `actor` holds what acts: the `trunk`, an `encoder` if it sees pictures, and the `grasp` critic if it grasps.
    `critics` holds the `ensemble`, and encoder and grasp critic likewise. Where actor and critics see the same, these
    two are the critics', and the actor has copies.
    """

    actor: Tree
    critics: Tree
    log_temperature: Any  # float32 scalar
    targets: Tree
    average: Tree  # slow average of the actor: evaluated and kept
    actor_optimizer: optax.OptState
    critic_optimizer: optax.OptState
    temperature_optimizer: optax.OptState


def init_state(config: SpecialistConfig, spec: AgentSpec, seed: int) -> AgentState:
    """A fresh agent."""
    generator = np.random.default_rng(seed)
    seen, judged = width(spec, bool(spec.cameras)), width(spec, bool(spec.cameras) and not spec.asymmetric)
    actor: Tree = {"trunk": init_layers(generator, (seen, *config.hidden, 2 * spec.actions))}
    sizes = (judged + spec.actions, *config.hidden, 1)
    critics: Tree = {"ensemble": [init_layers(generator, sizes) for _ in range(config.critics)]}
    if spec.grasps:
        critics["grasp"] = init_layers(generator, (judged, *config.hidden, grasp.CHOICES))
    if spec.cameras and not spec.asymmetric:
        critics["encoder"] = init_encoder(generator, spec)
    if spec.asymmetric:
        actor["encoder"] = init_encoder(generator, spec)
        if spec.grasps:
            actor["grasp"] = init_layers(generator, (seen, *config.hidden, grasp.CHOICES))
    adam = optax.adam(config.learning_rate)
    log_temperature = np.float32(np.log(config.initial_temperature))
    optimizers = adam.init(actor), adam.init(critics), adam.init(log_temperature)
    actor |= _shared(spec, critics)
    state = AgentState(actor, critics, log_temperature, critics, actor, *optimizers)
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)


def _shared(spec: AgentSpec, critics: Tree) -> Tree:
    """What of the critics is the actor's as well."""
    return {} if spec.asymmetric else {name: critics[name] for name in ("encoder", "grasp") if name in critics}


def sample(trunk: Layers, x: Array, noise: Array) -> tuple[jax.Array, jax.Array]:
    """Actions (batch, m) of the squashed Gaussian and their log-densities (batch,)."""
    mean, log_std = gaussian(trunk, x)
    before = mean + jnp.exp(log_std) * noise
    squash = 2 * (jnp.log(2.0) - before - jax.nn.softplus(-2 * before))  # log of tanh's derivative, stable form
    return jnp.tanh(before), (-0.5 * noise**2 - log_std - 0.5 * LOG_2PI - squash).sum(-1)


def values(ensemble: list[Layers], x: Array, action: Array) -> jax.Array:
    """Each critic's value, (critics, batch)."""
    x = jnp.concatenate([x, action], axis=-1)
    return jnp.stack([forward(critic, x)[:, 0] for critic in ensemble])


def update_critics(
    config: SpecialistConfig, spec: AgentSpec, state: AgentState, frozen: Tree, batch: Batch
) -> tuple[AgentState, Metrics]:
    """One step of the critics and their targets; returns the losses. The backup holds no entropy, as in SERL."""
    columns = batch.columns
    here = viewed(spec, frozen, batch.observation, batch.random.get("shift"))
    there = viewed(spec, frozen, batch.next_observation, batch.random.get("next_shift"))
    action, _ = sample(state.actor["trunk"], seen_by(spec, state.actor, there), batch.random["next_noise"])
    x_targets = seen_by(spec, state.targets, there)
    following = values(state.targets["ensemble"], x_targets, action).min(0)
    # A single reward of 1 ends an episode, so that no true value lies outside [0, 1].
    target = columns["reward"] + config.discount * columns["continues"] * following.clip(0, 1)
    grasp_target = None
    if spec.grasps:
        online = forward(state.critics["grasp"], seen_by(spec, state.critics, there))
        later = forward(state.targets["grasp"], x_targets)
        grasp_target = grasp.target(columns, online, later, config.discount, config.grasp_penalty)

    def loss(critics: Tree) -> tuple[jax.Array, Metrics]:
        x = seen_by(spec, critics, here)
        value = ((values(critics["ensemble"], x, columns["action"]) - target) ** 2).mean()
        if grasp_target is None:
            return value, {"critic_loss": value}
        grasped = grasp.of_choice(forward(critics["grasp"], x), columns["grasp"])
        grasp_loss = ((grasped - grasp_target) ** 2).mean()
        return value + grasp_loss, {"critic_loss": value, "grasp_loss": grasp_loss}

    (_, losses), gradient = jax.value_and_grad(loss, has_aux=True)(state.critics)
    step, optimizer = optax.adam(config.learning_rate).update(gradient, state.critic_optimizer)
    critics: Any = optax.apply_updates(state.critics, step)
    targets = optax.incremental_update(critics, state.targets, config.target_rate)
    return state._replace(critics=critics, targets=targets, critic_optimizer=optimizer), losses


def update_actor(
    config: SpecialistConfig, spec: AgentSpec, state: AgentState, frozen: Tree, batch: Batch
) -> tuple[AgentState, Metrics]:
    """One step of the actor, its average and the temperature."""
    temperature = jnp.exp(state.log_temperature)
    here = viewed(spec, frozen, batch.observation, batch.random.get("shift"))
    judged = seen_by(spec, state.critics, here)
    shared = _shared(spec, state.critics)

    def loss(learned: Tree) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        x = seen_by(spec, shared | learned, here)
        action, log_density = sample(learned["trunk"], x, batch.random["noise"])
        value = values(state.critics["ensemble"], judged, action).mean()
        total = temperature * log_density.mean() - value
        if "grasp" in learned:  # it sees less than the critic that learned from rewards, and learns from that
            total += ((forward(learned["grasp"], x) - forward(state.critics["grasp"], judged)) ** 2).mean()
        return total, (-log_density.mean(), value)

    learned = {name: weights for name, weights in state.actor.items() if name not in shared}
    (actor_loss, (entropy, value)), gradient = jax.value_and_grad(loss, has_aux=True)(learned)
    adam = optax.adam(config.learning_rate)
    step, actor_optimizer = adam.update(gradient, state.actor_optimizer)
    learned: Any = optax.apply_updates(learned, step)
    actor = learned | shared
    missing = -batch.columns["action"].shape[-1] / 2 - entropy
    step, temperature_optimizer = adam.update(-missing, state.temperature_optimizer)
    state = state._replace(
        actor=actor,
        average=optax.incremental_update(actor, state.average, 1 / config.average_updates),
        actor_optimizer=actor_optimizer,
        log_temperature=optax.apply_updates(state.log_temperature, step),
        temperature_optimizer=temperature_optimizer,
    )
    return state, {"actor_loss": actor_loss, "entropy": entropy, "value": value, "temperature": temperature}


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def update(
    config: SpecialistConfig, spec: AgentSpec, state: AgentState, frozen: Tree, batches: Batch
) -> tuple[AgentState, Metrics]:
    """Many updates in one call. Leaves of `batches` are (groups, actor_period, batch, ...); returns mean metrics."""

    def group(state: AgentState, batches: Batch) -> tuple[AgentState, Metrics]:
        losses = []
        singly = [jax.tree.map(lambda leaf, i=i: leaf[i], batches) for i in range(config.actor_period)]
        for batch in singly:
            state, loss = update_critics(config, spec, state, frozen, batch)
            losses.append(loss)
        state, metrics = update_actor(config, spec, state, frozen, singly[-1])
        return state, metrics | jax.tree.map(lambda *each: jnp.stack(each).mean(), *losses)

    if not spec.cameras:
        state, metrics = jax.lax.scan(group, state, batches)
    else:  # on CPUs, XLA's convolutions are ten times as slow within a scan
        each = []
        for index in range(len(batches.columns["reward"])):
            state, metrics = group(state, jax.tree.map(lambda leaf, i=index: leaf[i], batches))
            each.append(metrics)
        metrics = jax.tree.map(lambda *values: jnp.stack(values), *each)
    return state, jax.tree.map(jnp.mean, metrics)


@cache
def compiled_update(
    config: SpecialistConfig, spec: AgentSpec
) -> Callable[[AgentState, Tree, Batch], tuple[AgentState, Metrics]]:
    """`update`, compiled ahead of its first call, once per process and kind of agent."""
    state = jax.eval_shape(lambda: init_state(config, spec, seed=0))
    return update.lower(config, spec, state, frozen_example(spec), example(config, spec)).compile()


def frozen_example(spec: AgentSpec) -> Tree:
    """Frozen weights of nothing, for their shapes."""
    shapes = {} if spec.cached or not spec.cameras else make_encoder(spec.encoder).frozen
    return from_named_arrays({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})

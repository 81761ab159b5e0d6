"""Behaviour cloning, the baseline beside reinforcement learning: the actor alone, fitted to what the operator did.

Its sizes are those of HIL-SERL's baselines (behaviour cloning and HG-DAgger). The likelihood that it maximises is that
of the squashed Gaussian that `SpecialistPolicy` samples from; of the gripper, that of the choice the operator made.
"""

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
from rldg.specialists.networks import forward, gaussian, init_layers
from rldg.specialists.sight import init_encoder, seen_by, viewed, width
from rldg.specialists.spec import AgentSpec

LARGEST = 0.99  # of an action in size, before the inverse of the tanh, which has none at 1

Metrics = dict[str, jax.Array]


class CloneState(NamedTuple):
    """Everything an update reads and writes."""

    actor: Tree  # the `trunk`, an `encoder` if it sees pictures, and `grasp` if it grasps
    average: Tree  # slow average of the actor: evaluated and kept
    optimizer: optax.OptState
    step: Any  # int32 scalar: which dropout comes next


def init_state(config: SpecialistConfig, spec: AgentSpec, seed: int) -> CloneState:
    """A fresh clone."""
    generator, seen = np.random.default_rng(seed), width(spec, bool(spec.cameras))
    actor: Tree = {"trunk": init_layers(generator, (seen, *config.hidden, 2 * spec.actions))}
    if spec.grasps:
        actor["grasp"] = init_layers(generator, (seen, *config.hidden, grasp.CHOICES))
    if spec.cameras:
        actor["encoder"] = init_encoder(generator, spec)
    state = CloneState(actor, actor, optax.adam(config.learning_rate).init(actor), np.int32(0))
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)


def update_clone(
    config: SpecialistConfig, spec: AgentSpec, state: CloneState, frozen: Tree, batch: Batch
) -> tuple[CloneState, Metrics]:
    """One step of the actor and its average."""
    here = viewed(spec, frozen, batch.observation, batch.random.get("shift"))
    wanted = jnp.arctanh(batch.columns["action"].clip(-LARGEST, LARGEST))
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), state.step), len(config.hidden))
    shape, kept = batch.columns["reward"].shape, 1 - config.dropout
    masks = [jax.random.bernoulli(key, kept, (*shape, n)) / kept for key, n in zip(keys, config.hidden, strict=True)]

    def loss(actor: Tree) -> tuple[jax.Array, Metrics]:
        x = seen_by(spec, actor, here)
        mean, log_std = gaussian(actor["trunk"], x, masks)
        arm = (0.5 * ((wanted - mean) / jnp.exp(log_std)) ** 2 + log_std).sum(-1).mean()
        if not spec.grasps:
            return arm, {"clone_loss": arm}
        logits = forward(actor["grasp"], x, masks)
        gripper = optax.softmax_cross_entropy_with_integer_labels(logits, batch.columns["grasp"]).mean()
        return arm + gripper, {"clone_loss": arm, "grasp_loss": gripper}

    (_, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(state.actor)
    step, optimizer = optax.adam(config.learning_rate).update(gradient, state.optimizer)
    actor: Any = optax.apply_updates(state.actor, step)
    average = optax.incremental_update(actor, state.average, 1 / config.average_updates)
    return CloneState(actor, average, optimizer, state.step + 1), metrics


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def update(
    config: SpecialistConfig, spec: AgentSpec, state: CloneState, frozen: Tree, batches: Batch
) -> tuple[CloneState, Metrics]:
    """Many updates in one call. Leaves of `batches` are (groups, actor_period, batch, ...); returns mean metrics."""
    batches = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batches)
    if not spec.cameras:
        state, metrics = jax.lax.scan(lambda s, batch: update_clone(config, spec, s, frozen, batch), state, batches)
        return state, jax.tree.map(jnp.mean, metrics)
    each = []  # on CPUs, XLA's convolutions are ten times as slow within a scan
    for index in range(config.updates_per_call):
        state, metrics = update_clone(config, spec, state, frozen, jax.tree.map(lambda leaf, i=index: leaf[i], batches))
        each.append(metrics)
    return state, jax.tree.map(lambda *values: jnp.stack(values).mean(), *each)


@cache
def compiled_update(
    config: SpecialistConfig, spec: AgentSpec
) -> Callable[[CloneState, Tree, Batch], tuple[CloneState, Metrics]]:
    """`update`, compiled ahead of its first call, once per process and kind of agent."""
    state = jax.eval_shape(lambda: init_state(config, spec, seed=0))
    shapes = {} if spec.cached or not spec.cameras else make_encoder(spec.encoder).frozen
    frozen = from_named_arrays({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    return update.lower(config, spec, state, frozen, example(config, spec)).compile()

"""Proximal policy optimisation (Schulman et al. 2017): the update, for any network over any kind of input.

With the ingredients that matter in practice (Huang et al. 2022, "The 37 implementation details"): advantages normalised
by minibatch, clipped values, one norm limit for all gradients, Adam's epsilon at 1e-5, epochs that end early once the
policy has moved too far.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rldg.irevla.config import PPOConfig
from rldg.irevla.distributions import Distribution

Params = Any


class Network(Protocol):
    """A policy and a critic as a function; hashable, since programs are compiled for it."""

    def __call__(self, params: Params, seen: Any) -> tuple[Distribution, jax.Array]:
        """What the policy draws from and the values (n,), for inputs `seen`, a tree of arrays (n, ...)."""
        ...


class Samples(NamedTuple):
    """Steps that a policy took, as NumPy arrays with a common first axis."""

    seen: Any  # what the network took, a tree
    action: np.ndarray
    log_prob: np.ndarray  # of the action, when it was taken
    value: np.ndarray  # estimated when it was taken
    advantage: np.ndarray
    target: np.ndarray  # of the value: the return


class Learned(NamedTuple):
    """Everything that an update changes."""

    params: Params
    optimizer: optax.OptState


def optimizer(config: PPOConfig) -> optax.GradientTransformation:
    """Of the direction; the learning rate comes later, so that a schedule needs no other program."""
    return optax.chain(optax.clip_by_global_norm(config.clip_gradient), optax.scale_by_adam(eps=1e-5))


def start(config: PPOConfig, params: Params) -> Learned:
    """Before the first update."""
    params = jax.tree.map(jnp.asarray, params)
    return Learned(params, optimizer(config).init(params))


def loss(config: PPOConfig, network: Network, params: Params, batch: Samples) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What an update lowers, and figures of it."""
    policy, value = network(params, batch.seen)
    moved = policy.log_prob(batch.action) - batch.log_prob
    ratio = jnp.exp(moved)
    advantage = batch.advantage
    if config.normalise:
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - config.clip, 1 + config.clip) * advantage)
    error = jnp.square(value - batch.target)
    if config.clip_value:
        near = batch.value + jnp.clip(value - batch.value, -config.clip_value, config.clip_value)
        error = jnp.maximum(error, jnp.square(near - batch.target))
    policy_loss, value_loss, entropy = -gain.mean(), 0.5 * error.mean(), policy.entropy().mean()
    total = policy_loss + config.value_weight * value_loss - config.entropy_weight * entropy
    figures = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "kl": (ratio - 1 - moved).mean(),  # an estimate of little variance
        "clipped": (jnp.abs(ratio - 1) > config.clip).mean(),
    }
    return total, figures


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _step(
    config: PPOConfig, network: Network, learned: Learned, batch: Samples, rate: float
) -> tuple[Learned, dict[str, jax.Array]]:
    (_, figures), gradient = jax.value_and_grad(partial(loss, config, network), has_aux=True)(learned.params, batch)
    direction, state = optimizer(config).update(gradient, learned.optimizer)
    params = jax.tree.map(lambda weight, by: weight - rate * by, learned.params, direction)
    return Learned(params, state), figures


def update(
    config: PPOConfig,
    network: Network,
    learned: Learned,
    samples: Samples,
    generator: np.random.Generator,
    rate: float | None = None,
) -> tuple[Learned, dict[str, float]]:
    """The epochs of one iteration; `learned` is used up. Returns what came of it, and mean figures of the last epoch.

    `rate` is the learning rate, if not the configuration's. An epoch that carried the policy beyond `target_kl` is the
    last one.
    """
    learned = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), learned)
    figures: dict[str, float] = {}
    for epoch in range(config.epochs):
        each = []
        for rows in minibatches(len(samples.action), config.minibatch, generator):
            batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], samples)
            learned, found = _step(config, network, learned, batch, config.learning_rate if rate is None else rate)
            each.append(found)
        figures = {name: float(np.mean([float(found[name]) for found in each])) for name in each[0]}
        figures["epochs"] = epoch + 1.0
        if config.target_kl and figures["kl"] > config.target_kl:
            break
    return learned, figures


def minibatches(count: int, size: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of one epoch in random order, in parts of one size, for which the update is compiled once.

    What is left over of an epoch is left out of it; fewer rows than `size` are filled up by drawing some twice.
    """
    order = generator.permutation(count)
    if count < size:
        yield np.concatenate([order, generator.integers(count, size=size - count)])
        return
    for first in range(0, count - size + 1, size):
        yield order[first : first + size]

"""The distributions that policies draw actions from. Draws are made outside, so that acting follows from a seed."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

LOG_2PI = float(np.log(2 * np.pi))

Array = jax.Array | np.ndarray


class Distribution(Protocol):
    """What PPO asks of a distribution over n actions."""

    def log_prob(self, action: Array) -> jax.Array:
        """Of each action, (n,)."""
        ...

    def entropy(self) -> jax.Array:
        """Of each, (n,)."""
        ...


class Gaussian(NamedTuple):
    """Independent numbers with a deviation that does not depend on the state.

    Only `active` numbers count: the others (a gripper that is fixed, rotations that a task has none of) do nothing, and
    would add nothing but noise to the gradient.
    """

    mean: Array  # (n, A)
    log_std: Array  # (A,)
    active: Array  # (A,) of 0 and 1

    def sample(self, noise: Array) -> Array:
        """Actions (n, A) for standard normal `noise` (n, A)."""
        return self.mean + self.active * jnp.exp(self.log_std) * noise

    def log_prob(self, action: Array) -> jax.Array:
        """Of each action (n, A)."""
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return ((-0.5 * jnp.square(z) - self.log_std - 0.5 * LOG_2PI) * self.active).sum(-1)

    def entropy(self) -> jax.Array:
        """The same for every state, (n,)."""
        one = ((self.log_std + 0.5 + 0.5 * LOG_2PI) * self.active).sum()
        return jnp.broadcast_to(one, self.mean.shape[:-1])


class Categorical(NamedTuple):
    """One of several choices."""

    logits: Array  # (n, choices)

    def sample(self, noise: Array) -> jax.Array:
        """Choices (n,) int for standard Gumbel `noise` (n, choices)."""
        return jnp.argmax(self.logits + noise, axis=-1)

    def log_prob(self, action: Array) -> jax.Array:
        """Of each choice (n,) int."""
        return jnp.take_along_axis(jax.nn.log_softmax(self.logits), action[:, None], axis=-1)[:, 0]

    def entropy(self) -> jax.Array:
        """Of each, (n,)."""
        log_share = jax.nn.log_softmax(self.logits)
        return -(jnp.exp(log_share) * log_share).sum(-1)

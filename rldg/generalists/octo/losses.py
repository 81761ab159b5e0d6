"""Errors of actions, masked and scaled as in the original."""

import jax
import jax.numpy as jnp


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """The mean of `values` where `mask`, which is broadcast to them, holds."""
    mask = jnp.broadcast_to(mask, values.shape)
    return (values * mask).mean() / jnp.clip(mask.mean(), 1e-5)


def action_error(
    predicted: jax.Array, wanted: jax.Array, mask: jax.Array, kind: str, action_dim: int
) -> dict[str, jax.Array]:
    """The `kind` of error, "mse" or "l1", as "loss", and "mse"; means over `mask`, times the action dimension."""
    error = predicted - wanted
    squared = masked_mean(jnp.square(error), mask) * action_dim
    return {"loss": squared if kind == "mse" else masked_mean(jnp.abs(error), mask) * action_dim, "mse": squared}

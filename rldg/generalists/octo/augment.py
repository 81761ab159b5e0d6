"""Photometric augmentation. Shifts, crops and mirrors are left out: they change which action an image calls for."""

import jax
import jax.numpy as jnp

from rldg.generalists.octo.recipes import FinetuneConfig


def jitter(key: jax.Array, images: jax.Array, config: FinetuneConfig) -> jax.Array:
    """Changes contrast, brightness and colour balance of each image (B, ..., C) by one random draw each.

    Takes and returns 0..255, float32 on return, not rounded.
    """
    draw = jax.random.uniform(key, (images.shape[0], images.shape[-1] + 2), minval=-1.0, maxval=1.0)
    draw = draw.reshape(draw.shape[0], *[1] * (images.ndim - 2), -1)
    gain = (1 + config.contrast * draw[..., :1]) * (1 + config.color * draw[..., 2:])
    offset = 127.5 + 255 * config.brightness * draw[..., 1:2]
    return jnp.clip((images.astype(jnp.float32) - 127.5) * gain + offset, 0, 255)

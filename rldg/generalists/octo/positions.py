"""Positions of image patches that start as waves instead of noise, for training from scratch on few frames."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def sine_positions(patches: int, width: int) -> np.ndarray:
    """2-d sine-cosine positions (patches, width) of a square grid in row-major order, unit amplitude."""
    side = round(patches**0.5)
    frequency = np.pi * 0.5 * 1.5 ** np.arange(width // 4)
    place = (np.arange(side) + 0.5) / side
    phase = place[:, None] * frequency.clip(max=np.pi * side / 2)
    waves = np.concatenate([np.sin(phase), np.cos(phase)], axis=-1)
    grid = np.concatenate([np.repeat(waves, side, axis=0), np.tile(waves, (side, 1))], axis=-1)
    return np.pad(grid, ((0, 0), (0, width - grid.shape[-1])))


def wave_init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """An initialiser for (..., patches, width): `sine_positions`, repeated over the leading axes; draws nothing."""
    return jnp.broadcast_to(jnp.asarray(sine_positions(shape[-2], shape[-1]), dtype), tuple(shape))

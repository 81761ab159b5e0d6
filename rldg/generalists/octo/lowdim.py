"""Tokens of plain numbers, such as proprioception."""

import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rldg.generalists.octo.bins import Binning
from rldg.generalists.octo.config import LowdimConfig


class LowdimTokenizer(nn.Module):
    """Every number is a token: of width 1 as it is, or one-hot over the bins."""

    config: LowdimConfig

    def __call__(self, observation: dict[str, Any]) -> jax.Array | None:
        """Entries (B, W, n) whose name begins with one of the patterns to tokens (B, W, sum of n, 1 or bins)."""
        config = self.config
        found = [
            observation[name] for pattern in config.keys for name in sorted(observation) if re.match(pattern, name)
        ]
        if not found:
            return None
        values = jnp.concatenate(found, axis=-1)
        if not config.discretize:
            return values[..., None]
        return jax.nn.one_hot(Binning(config.bins, config.bin_type, config.low, config.high)(values), config.bins)

"""The head that predicts bins of actions."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.generalists.octo.bins import Binning
from rldg.generalists.octo.config import DiscreteConfig
from rldg.generalists.octo.losses import masked_mean
from rldg.generalists.octo.pooling import Pooling
from rldg.generalists.octo.transformer import TokenGroup


class DiscreteActionHead(nn.Module):
    """Logits over the bins of every number of an action chunk."""

    config: DiscreteConfig

    def setup(self) -> None:
        """Pooling into one token per `token_per`, and the dense layer."""
        config = self.config
        horizon, dim = config.action_horizon, config.action_dim
        tokens = {"": 1, "action_horizon": horizon, "action_dim_and_action_horizon": horizon * dim}[config.token_per]
        self.map_head = Pooling(tokens, kind=config.pooling)
        self.vocab_proj = nn.Dense(horizon * dim * config.bins // tokens)
        self.binning = Binning(config.bins, config.bin_type)

    def __call__(self, readout: TokenGroup, train: bool = False) -> jax.Array:
        """Readout tokens (B, W, n, D) to logits (B, W, H, A, bins)."""
        logits = self.vocab_proj(self.map_head(readout, train))
        shape = (self.config.action_horizon, self.config.action_dim, self.config.bins)
        return logits.reshape(*readout.tokens.shape[:2], *shape)

    def loss(
        self, readout: TokenGroup, actions: jax.Array, mask: jax.Array, draws: dict[str, jax.Array], train: bool
    ) -> dict[str, jax.Array]:
        """Cross-entropy; of the likeliest bins, squared error times the action dimension, and share of right ones."""
        del draws
        logits = self(readout, train)
        wanted, likeliest = self.binning(actions), jnp.argmax(logits, axis=-1)
        surprise = -jnp.take_along_axis(jax.nn.log_softmax(logits), wanted[..., None], axis=-1)[..., 0]
        error = jnp.square(self.binning.decode(likeliest) - actions)
        return {
            "loss": masked_mean(surprise, mask),
            "mse": masked_mean(error, mask) * self.config.action_dim,
            "accuracy": masked_mean(likeliest == wanted, mask),
        }

    def sample(self, readout: TokenGroup, draws: dict[str, jax.Array], valid: np.ndarray | None = None) -> jax.Array:
        """Actions (..., B, W, H, A): the bin of the largest sum of logit and draw (Gumbel's trick)."""
        del valid
        return self.binning.decode(jnp.argmax(self(readout) + draws["gumbel"], axis=-1))


def sample_draws(config: DiscreteConfig, shape: tuple[int, ...], rng: np.random.Generator | None) -> dict[str, Any]:
    """Gumbel noise (*shape, H, A, bins); zeros, the likeliest bin, without `rng`."""
    size = (*shape, config.action_horizon, config.action_dim, config.bins)
    return {"gumbel": np.zeros(size, np.float32) if rng is None else rng.gumbel(size=size).astype(np.float32)}

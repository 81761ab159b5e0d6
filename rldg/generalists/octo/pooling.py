"""Pooling of tokens: their mean, or by attention of learned queries that look at them (Lee et al. 2019)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rldg.errors import CheckpointError
from rldg.generalists.octo.transformer import MlpBlock, TokenGroup


class MAPHead(nn.Module):
    """Multi-head attention pooling: `num_readouts` learned probes attend to the tokens, then an MLP."""

    num_readouts: int = 1
    num_heads: int = 8

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array | None = None, train: bool = False) -> jax.Array:
        """`tokens` (..., n, D), `mask` bool (..., n), false where nobody looks, to (..., num_readouts, D)."""
        *batch, count, width = tokens.shape
        initialiser = nn.initializers.xavier_uniform()
        probe = self.param("probe", initialiser, (1, self.num_readouts, width))
        flat = tokens.reshape(-1, count, width)
        seen = None if mask is None else mask.reshape(-1, 1, 1, count).astype(bool)
        queries = jnp.broadcast_to(probe, (flat.shape[0], *probe.shape[1:])).astype(tokens.dtype)
        attention = nn.MultiHeadDotProductAttention(self.num_heads, kernel_init=initialiser)
        pooled = attention(queries, flat, mask=seen)
        # The original's dropout of 0.1, which no configuration reaches.
        pooled = pooled + MlpBlock(4 * width, dropout_rate=0.1)(nn.LayerNorm()(pooled), train)
        return pooled.reshape(*batch, self.num_readouts, width)


class TokenLearner(nn.Module):
    """Pools tokens into fewer (Ryoo et al. 2021), by `MAPHead` over tokens with positions."""

    num_tokens: int

    @nn.compact
    def __call__(self, tokens: jax.Array, train: bool = False) -> jax.Array:
        """(..., n, D) to (..., num_tokens, D)."""
        position = self.param("pos_embed", nn.initializers.normal(0.02), tokens.shape[-2:])
        return MAPHead(self.num_tokens)(nn.LayerNorm()(tokens + position), train=train)


class Pooling(MAPHead):
    """From the readout's tokens to the embeddings that a head reads; has parameters with "attention" only."""

    kind: str = "mean"

    def __call__(self, readout: TokenGroup, train: bool = False) -> jax.Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Tokens (B, W, n, D) to (B, W, num_readouts, D)."""
        if self.kind == "attention":
            return super().__call__(readout.tokens, readout.mask, train)
        tokens = readout.tokens
        if self.num_readouts == 1:
            return tokens.mean(axis=-2, keepdims=True)
        if tokens.shape[-2] != self.num_readouts:
            raise CheckpointError(
                f"The action head needs {self.num_readouts} readout tokens, or attention pooling; the model has "
                f"{tokens.shape[-2]}."
            )
        return tokens

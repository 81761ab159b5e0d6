"""The block-causal transformer: which token may attend to which, and the pre-norm ViT that obeys it."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.generalists.octo.config import TransformerConfig


@dataclass(frozen=True)
class TokenGroup:
    """Tokens that enter together. `tokens` (B, n, D) for a task, (B, W, n, D) for what every timestep has."""

    name: str  # "task_*", "obs_*" or "readout_*": decides what it attends to
    tokens: jax.Array
    mask: jax.Array  # bool, shape of `tokens` without the last axis; false: nobody attends to it

    @property
    def per_timestep(self) -> bool:
        """Whether there is one set of these tokens per timestep."""
        return self.tokens.ndim == 4


def attends(query: str, query_time: int, key: str, key_time: int) -> bool:
    """Whether a token of group `query` may look at one of group `key`; tasks have time -1.

    Tasks see tasks; observations see tasks and observations up to their own time; readouts see these and their own
    group. Nothing but a readout sees a readout, so that adding one changes no other token.
    """
    if key_time > query_time:
        return False
    if key.startswith("readout_"):
        return key == query
    return key.startswith("task_") or not query.startswith("task_")


def attention_rules(groups: list[tuple[str, int, int]]) -> np.ndarray:
    """Bool (N, N), rows are queries, for consecutive blocks of (group name, time, number of tokens)."""
    blocks = np.array([[attends(q, tq, k, tk) for k, tk, _ in groups] for q, tq, _ in groups])
    sizes = [size for _, _, size in groups]
    return blocks.repeat(sizes, axis=0).repeat(sizes, axis=1)


class MlpBlock(nn.Module):
    """Two dense layers with GELU (tanh form)."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(..., D) to (..., D)."""
        kernel, bias = nn.initializers.xavier_uniform(), nn.initializers.normal(1e-6)
        drop = nn.Dropout(self.config.dropout_rate, deterministic=not train)
        hidden = drop(nn.gelu(nn.Dense(self.config.mlp_dim, kernel_init=kernel, bias_init=bias)(x)))
        return drop(nn.Dense(x.shape[-1], kernel_init=kernel, bias_init=bias)(hidden))


class EncoderBlock(nn.Module):
    """Attention and MLP, each behind a LayerNorm and added to its input."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool, rows: np.ndarray | None = None) -> jax.Array:
        """`x` (B, N, D), `mask` bool (B, 1, N, N). Only the outputs of `rows` are computed; None: of all."""
        config = self.config
        attention = nn.MultiHeadDotProductAttention(
            config.num_attention_heads,
            kernel_init=nn.initializers.xavier_uniform(),
            dropout_rate=config.attention_dropout_rate,
            deterministic=not train,
        )
        keys = nn.LayerNorm()(x)
        queries = keys
        if rows is not None:
            x, queries, mask = x[:, rows], keys[:, rows], mask[:, :, rows]
        attended = attention(queries, keys, mask=mask)
        x = x + nn.Dropout(config.dropout_rate, deterministic=not train)(attended)
        return x + MlpBlock(config)(nn.LayerNorm()(x), train)


class Transformer(nn.Module):
    """The stack of blocks and the final norm."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool, rows: np.ndarray | None = None) -> jax.Array:
        """`x` (B, N, D), `mask` bool (B, 1, N, N). The last block is computed for `rows` only; None: for all."""
        last = self.config.num_layers - 1
        for index in range(self.config.num_layers):
            block = EncoderBlock(self.config, name=f"encoderblock_{index}")
            x = block(x, mask, train, rows if index == last else None)
        return nn.LayerNorm(name="encoder_norm")(x)


class BlockTransformer(nn.Module):
    """Lays groups out as [tasks][timestep 0: every group][timestep 1: ...], runs the transformer, takes them apart."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, groups: list[TokenGroup], train: bool, wanted: str | None = None) -> dict[str, jax.Array]:
        """Name of each group to its output tokens, in the shape they came in; of `wanted` alone if that is given."""
        tasks = [group for group in groups if not group.per_timestep]
        timesteps = [group for group in groups if group.per_timestep]
        window = timesteps[0].tokens.shape[1]
        layout = [(g.name, -1, g.tokens.shape[1]) for g in tasks]
        layout += [(g.name, time, g.tokens.shape[2]) for time in range(window) for g in timesteps]

        def sequence(field: str) -> jax.Array:
            steps = jnp.concatenate([getattr(g, field) for g in timesteps], axis=2)
            steps = steps.reshape(steps.shape[0], -1, *steps.shape[3:])
            return jnp.concatenate([*[getattr(g, field) for g in tasks], steps], axis=1)

        mask = jnp.asarray(attention_rules(layout))[None, None] & sequence("mask")[:, None, None, :]
        owner = np.repeat([name for name, _, _ in layout], [size for _, _, size in layout])
        rows = np.arange(len(owner)) if wanted is None else np.flatnonzero(owner == wanted)
        output = Transformer(self.config, name="Transformer_0")(
            sequence("tokens"), mask, train, None if wanted is None else rows
        )
        shapes = {group.name: group.tokens.shape for group in groups}
        return {
            name: output[:, np.flatnonzero(owner[rows] == name)].reshape(shapes[name])
            for name in shapes
            if wanted in (None, name)
        }

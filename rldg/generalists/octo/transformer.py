"""The block-causal transformer: which token may attend to which, and the pre-norm ViT that obeys it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rldg.generalists.octo.config import TransformerConfig


class TokenGroup(struct.PyTreeNode):
    """Tokens that enter together. `tokens` (B, n, D) for a task, (B, W, n, D) for what every timestep has."""

    tokens: jax.Array
    mask: jax.Array  # bool, shape of `tokens` without the last axis; false: nobody attends to it
    name: str = struct.field(pytree_node=False)  # "task_*", "obs_*" or "readout_*": decides what it attends to

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


def attention_rules(groups: list[tuple[str, int, int]], correct: bool = True) -> np.ndarray:
    """Bool (N, N), rows are queries, for consecutive blocks of (group name, time, number of tokens).

    Not `correct`: the first token of a group goes by the rules of the group before it at that time, as it did in Octo's
    models of 2023, whose weights are used to it.
    """
    owners = [group[:2] for group in groups for _ in range(group[2])]
    if not correct:
        pairs = zip(owners[:1] + owners[:-1], owners, strict=True)
        owners = [before if before[1] == owner[1] else owner for before, owner in pairs]
    kinds = list(dict.fromkeys(owners))
    rules = np.array([[attends(*query, *key) for key in kinds] for query in kinds])
    rows = np.array([kinds.index(owner) for owner in owners])
    return rules[np.ix_(rows, rows)]


class MlpBlock(nn.Module):
    """Two dense layers with GELU (tanh form)."""

    mlp_dim: int
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(..., D) to (..., D)."""
        kernel, bias = nn.initializers.xavier_uniform(), nn.initializers.normal(1e-6)
        hidden = nn.gelu(nn.Dense(self.mlp_dim, kernel_init=kernel, bias_init=bias)(x))
        hidden = nn.Dropout(self.dropout_rate, deterministic=not train)(hidden)
        hidden = nn.Dense(x.shape[-1], kernel_init=kernel, bias_init=bias)(hidden)
        return nn.Dropout(self.dropout_rate, deterministic=not train)(hidden)


class EncoderBlock(nn.Module):
    """Attention and MLP, each behind a LayerNorm and added to its input."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool, rows: tuple[int, ...] | None = None) -> jax.Array:
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
            chosen = np.array(rows)
            x, queries, mask = x[:, chosen], keys[:, chosen], mask[:, :, chosen]
        attended = attention(queries, keys, mask=mask)
        x = x + nn.Dropout(config.dropout_rate, deterministic=not train)(attended)
        return x + MlpBlock(config.mlp_dim, config.dropout_rate)(nn.LayerNorm()(x), train)


class Transformer(nn.Module):
    """The stack of blocks and the final norm. `remat`: the backward pass computes every block's inside once more."""

    config: TransformerConfig
    remat: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool, rows: tuple[int, ...] | None = None) -> jax.Array:
        """`x` (B, N, D), `mask` bool (B, 1, N, N). The last block is computed for `rows` only; None: for all."""
        last = self.config.num_layers - 1
        block = nn.remat(EncoderBlock, static_argnums=(3, 4)) if self.remat else EncoderBlock
        for index in range(self.config.num_layers):
            wanted = rows if index == last else None
            x = block(self.config, name=f"encoderblock_{index}")(x, mask, train, wanted)
        return nn.LayerNorm(name="encoder_norm")(x)


class BlockTransformer(nn.Module):
    """Lays groups out as [tasks][timestep 0: every group][timestep 1: ...], runs the transformer, takes them apart."""

    config: TransformerConfig
    use_correct_attention: bool = True
    remat: bool = False

    @nn.compact
    def __call__(self, groups: list[TokenGroup], train: bool, wanted: str | None = None) -> dict[str, TokenGroup]:
        """Every group by name with its output tokens, in the shape they came in; `wanted` alone if that is given."""
        tasks = [group for group in groups if not group.per_timestep]
        timesteps = [group for group in groups if group.per_timestep]
        window = timesteps[0].tokens.shape[1]
        layout = [(g.name, -1, g.tokens.shape[1]) for g in tasks]
        layout += [(g.name, time, g.tokens.shape[2]) for time in range(window) for g in timesteps]

        def sequence(field: str) -> jax.Array:
            steps = jnp.concatenate([getattr(g, field) for g in timesteps], axis=2)
            steps = steps.reshape(steps.shape[0], -1, *steps.shape[3:])
            return jnp.concatenate([*[getattr(g, field) for g in tasks], steps], axis=1)

        rules = attention_rules(layout, self.use_correct_attention)
        mask = jnp.asarray(rules)[None, None] & sequence("mask")[:, None, None, :]
        owner = np.repeat([name for name, _, _ in layout], [size for _, _, size in layout])
        rows = np.arange(len(owner)) if wanted is None else np.flatnonzero(owner == wanted)
        kept = None if wanted is None else tuple(rows.tolist())
        output = Transformer(self.config, self.remat, name="Transformer_0")(sequence("tokens"), mask, train, kept)
        return {
            group.name: group.replace(
                tokens=output[:, np.flatnonzero(owner[rows] == group.name)].reshape(group.tokens.shape)
            )
            for group in groups
            if wanted in (None, group.name)
        }

"""T5's encoder (Raffel et al. 2020) as a function of its parameters.

The parameters lie in the tree of Hugging Face's Flax T5, which Octo's checkpoints hold and which is no longer shipped.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rldg.generalists.octo.config import T5Config

Params = dict[str, Any]


def init_t5(key: jax.Array, config: T5Config) -> Params:
    """Random weights at T5's own scales."""
    width, inner = config.width, config.num_attention_heads * config.head_dim
    keys = iter(jax.random.split(key, 2 + 8 * config.num_layers))

    def matrix(rows: int, columns: int, scale: float) -> Params:
        return {"kernel": scale * jax.random.normal(next(keys), (rows, columns))}

    def block(index: int) -> Params:
        attention = {
            "q": matrix(width, inner, (width * config.head_dim) ** -0.5),
            "k": matrix(width, inner, width**-0.5),
            "v": matrix(width, inner, width**-0.5),
            "o": matrix(inner, width, inner**-0.5),
        }
        if index == 0:
            shape = (config.buckets, config.num_attention_heads)
            attention["relative_attention_bias"] = {"embedding": width**-0.5 * jax.random.normal(next(keys), shape)}
        ways_in = ("wi_0", "wi_1") if config.gated else ("wi",)
        dense = {name: matrix(width, config.mlp_dim, width**-0.5) for name in ways_in}
        dense["wo"] = matrix(config.mlp_dim, width, config.mlp_dim**-0.5)
        return {
            "layer": {
                "0": {"SelfAttention": attention, "layer_norm": {"weight": jnp.ones(width)}},
                "1": {"DenseReluDense": dense, "layer_norm": {"weight": jnp.ones(width)}},
            }
        }

    embedding = jax.random.normal(next(keys), (config.vocabulary_size, width))
    blocks = {str(index): block(index) for index in range(config.num_layers)}
    return {
        "shared": {"embedding": embedding},
        "encoder": {"block": blocks, "final_layer_norm": {"weight": jnp.ones(width)}},
    }


def encode(params: Params, config: T5Config, input_ids: jax.Array, attention_mask: jax.Array) -> jax.Array:
    """Token ids and their mask, both int (B, L), to embeddings (B, L, width)."""
    x = params["shared"]["embedding"][input_ids]
    blocks = params["encoder"]["block"]
    table = blocks["0"]["layer"]["0"]["SelfAttention"]["relative_attention_bias"]["embedding"]
    bias = table[position_buckets(input_ids.shape[1], config)].transpose(2, 0, 1)[None]
    bias += jnp.where(attention_mask[:, None, None, :] > 0, 0.0, jnp.finfo(x.dtype).min).astype(x.dtype)
    for index in range(config.num_layers):
        layer = blocks[str(index)]["layer"]
        x = x + _attention(layer["0"]["SelfAttention"], config, _norm(layer["0"], x), bias)
        x = x + _mlp(layer["1"]["DenseReluDense"], _norm(layer["1"], x), config.gated)
    return _rms(x, params["encoder"]["final_layer_norm"]["weight"])


def position_buckets(length: int, config: T5Config) -> np.ndarray:
    """(length, length) int: which bucket the way from a query (row) to a key (column) falls into.

    Half of the buckets are for keys after the query; half of each half are exact, the rest widens logarithmically.
    """
    way = np.arange(length)[None, :] - np.arange(length)[:, None]
    half = config.buckets // 2
    exact = half // 2
    distance = np.abs(way)
    share = np.log(np.maximum(distance, 1).astype(np.float32) / exact) / np.log(config.max_distance / exact)
    far = np.minimum(exact + (share * (half - exact)).astype(np.int32), half - 1)
    return np.where(way > 0, half, 0) + np.where(distance < exact, distance, far)


def _attention(params: Params, config: T5Config, x: jax.Array, bias: jax.Array) -> jax.Array:
    def heads(name: str) -> jax.Array:
        return (x @ params[name]["kernel"]).reshape(*x.shape[:2], config.num_attention_heads, config.head_dim)

    # T5 has no 1 / sqrt(head_dim): its initialisation takes that place.
    scores = jnp.einsum("bqhd,bkhd->bhqk", heads("q"), heads("k")) + bias
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, axis=-1), heads("v"))
    return mixed.reshape(*x.shape[:2], -1) @ params["o"]["kernel"]


def _mlp(params: Params, x: jax.Array, gated: bool) -> jax.Array:
    if gated:
        hidden = jax.nn.gelu(x @ params["wi_0"]["kernel"]) * (x @ params["wi_1"]["kernel"])
    else:
        hidden = jax.nn.relu(x @ params["wi"]["kernel"])
    return hidden @ params["wo"]["kernel"]


def _norm(layer: Params, x: jax.Array) -> jax.Array:
    return _rms(x, layer["layer_norm"]["weight"])


def _rms(x: jax.Array, weight: jax.Array) -> jax.Array:
    variance = jnp.square(x.astype(jnp.float32)).mean(-1, keepdims=True)
    return (x * jax.lax.rsqrt(variance + 1e-6)).astype(x.dtype) * weight

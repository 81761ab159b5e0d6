"""Computing the transformer in bfloat16 with weights in float32, around a model that knows nothing of it.

The action head stays in float32: it is small, and diffusion times as sines of large angles need the digits.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rldg.generalists.octo.freezing import Weights

TRUNK = "octo_transformer"


@contextmanager
def activations_in(dtype: str) -> Iterator[None]:
    """Within it, floating-point arrays enter every module of the transformer as `dtype`.

    Flax's norms keep taking their statistics in float32.
    """

    def cast(next_fun: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        inside = context.method_name == "__call__" and context.module.path[:1] == (TRUNK,)
        return next_fun(*_as(args, dtype), **_as(kwargs, dtype)) if inside else next_fun(*args, **kwargs)

    with nn.intercept_methods(cast):
        yield


def trunk_as(weights: Mapping[str, Any], dtype: str) -> Weights:
    """The weights, those of the transformer as `dtype`; their gradients come back in the precision they had."""
    return {path: _as(leaf, dtype) if path.startswith(TRUNK + "/") else leaf for path, leaf in weights.items()}


def _as(tree: Any, dtype: str) -> Any:
    def cast(leaf: Any) -> Any:
        floats = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if floats else leaf

    return jax.tree.map(cast, tree)

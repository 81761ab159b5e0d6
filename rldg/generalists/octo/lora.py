"""Low-rank adapters (LoRA, Hu et al. 2021) on the kernels of the transformer's blocks.

An adapter is a pair (in, rank) and (rank, out), whose scaled product is added to the kernel, seen as a matrix. It lives
beside the weights, not in the model: what is saved is the sum, an ordinary checkpoint.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rldg.errors import UsageError
from rldg.generalists.octo.freezing import Weights
from rldg.generalists.octo.recipes import FinetuneConfig

_PREFIX = "lora/"
_BLOCK = "encoderblock_"


def init_adapters(key: jax.Array, weights: Mapping[str, Any], config: FinetuneConfig) -> Weights:
    """An adapter for the kernel of each of `config.lora_layers` in each block; their products start as zeros.

    Raises `UsageError` if the blocks have no layer of a name.
    """
    kernels = {path: leaf for path, leaf in weights.items() if _BLOCK in path and path.endswith("/kernel")}
    names = dict.fromkeys(_layer(path) for path in kernels)
    unknown = [name for name in config.lora_layers if name not in names]
    if unknown:
        raise UsageError(f"lora_layers: the blocks have no layer {', '.join(unknown)}; they have {', '.join(names)}.")
    adapters: Weights = {}
    for number, (path, kernel) in enumerate(sorted(kernels.items())):
        if _layer(path) in config.lora_layers:
            rows, columns = _matrix(path, kernel.shape)
            draw = jax.random.normal(jax.random.fold_in(key, number), (rows, config.lora_rank))
            adapters[f"{_PREFIX}{path}/in"] = draw / math.sqrt(rows)
            adapters[f"{_PREFIX}{path}/out"] = jnp.zeros((config.lora_rank, columns))
    return adapters


def merged(weights: Mapping[str, Any], scale: float) -> Weights:
    """The model's own weights: those of `weights` that are no adapters, with `scale` times the adapters' products."""
    plain = {path: leaf for path, leaf in weights.items() if not path.startswith(_PREFIX)}
    for path in weights:
        if path.startswith(_PREFIX) and path.endswith("/in"):
            name = path.removeprefix(_PREFIX).removesuffix("/in")
            product = weights[path] @ weights[f"{_PREFIX}{name}/out"]
            plain[name] = plain[name] + scale * product.reshape(plain[name].shape)
    return plain


def _layer(path: str) -> str:
    return path.split("/")[-2]


def _matrix(path: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of a layer: attention's "out" takes (heads, width of a head), the others give that."""
    split = len(shape) - 1 if _layer(path) == "out" else 1
    return math.prod(shape[:split]), math.prod(shape[split:])

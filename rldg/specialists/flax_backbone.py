"""`FlaxBackbone`: any Flax module as an encoder, named `module:Class`; learned from scratch, or frozen with weights.

    --encoder my_lab.nets:Backbone                                   # learned with the agent
    --encoder frozen:my_lab.nets:Backbone --encoder-weights FILE     # given, and never changed

The class is made without arguments. It is called with pictures, float (n, size, size, 3) between -0.5 and 0.5, and
returns any float (n, ...); a frozen one returns maps (n, h, w, c). It has parameters only: no running statistics, no
dropout. FILE is what `rldg.specialists.arrays.write_arrays(path, named_arrays(params))` writes.
"""

import importlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.errors import UsageError
from rldg.specialists.arrays import Tree, named_arrays
from rldg.specialists.networks import init_normalised, normalised

FROZEN = "frozen:"
SIZE = 64  # pixels of the pictures for which a frozen module's weights are shaped, which must not depend on it


class FlaxBackbone:
    """Does what `rldg.specialists.encoders.Encoder` says: the module, then a layer, layer norm and tanh."""

    frozen: Mapping[str, tuple[int, ...]] = {}
    width = 128

    def __init__(self, name: str) -> None:
        self._name, self._module = name, find(name)

    def maps_shape(self, size: int) -> tuple[int, int, int]:
        """The picture itself."""
        return size, size, 3

    def maps(self, frozen: Tree, pictures: Any) -> jax.Array:
        """Pictures between -0.5 and 0.5."""
        return jnp.asarray(pictures, jnp.float32) / 255 - 0.5

    def init(self, generator: np.random.Generator, size: int) -> Tree:
        """The module's own initial weights, and those of the layer."""
        seed = int(generator.integers(1 << 31))
        with jax.ensure_compile_time_eval():  # also where only shapes are asked for
            key, picture = jax.random.key(seed), jnp.zeros((1, size, size, 3))
            seen, variables = self._module.init_with_output(key, picture)
            params = jax.tree.map(np.array, parameters(self._name, variables))
        outputs = int(np.prod(np.shape(seen)[1:]))
        return {"module": params, "dense": init_normalised(generator, outputs, self.width)}

    def encode(self, weights: Tree, maps: Any) -> jax.Array:
        """Float (n, width)."""
        seen: Any = self._module.apply({"params": weights["module"]}, maps)
        return jnp.tanh(normalised(weights["dense"], seen.reshape(len(maps), -1)))


class FrozenFlaxBackbone(FlaxBackbone):
    """The module without gradient, then a layer over all places of its maps."""

    @cached_property
    def frozen(self) -> Mapping[str, tuple[int, ...]]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Shapes of the module's weights."""
        shapes = jax.eval_shape(lambda: self._module.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3))))
        found = parameters(self._name, shapes)
        named = named_arrays(jax.tree.map(lambda leaf: np.empty(leaf.shape, np.bool_), found))
        return {name: value.shape for name, value in named.items()}

    def maps_shape(self, size: int) -> tuple[int, int, int]:
        """(h, w, c) of what the module returns. Raises `UsageError` if these are no maps."""
        picture = jnp.zeros((1, size, size, 3))
        seen = jax.eval_shape(lambda: self._module.init_with_output(jax.random.key(0), picture)[0])
        if len(seen.shape) != 4:
            raise UsageError(f"The frozen encoder '{self._name}' must return maps (n, h, w, c), not {seen.shape}.")
        return seen.shape[1], seen.shape[2], seen.shape[3]

    def maps(self, frozen: Tree, pictures: Any) -> jax.Array:
        """What the module makes of pictures, without gradient."""
        seen: Any = self._module.apply({"params": frozen}, super().maps(frozen, pictures))
        return jax.lax.stop_gradient(seen)

    def init(self, generator: np.random.Generator, size: int) -> Tree:
        """The layer's weights."""
        return init_normalised(generator, int(np.prod(self.maps_shape(size))), self.width)

    def encode(self, weights: Tree, maps: Any) -> jax.Array:
        """Float (n, width)."""
        return jnp.tanh(normalised(weights, maps.reshape(len(maps), -1)))


def backbone(name: str) -> FlaxBackbone:
    """The encoder of a name with a colon. Raises `UsageError` if there is no such Flax module."""
    if name.startswith(FROZEN):
        return FrozenFlaxBackbone(name.removeprefix(FROZEN))
    return FlaxBackbone(name)


def find(name: str) -> nn.Module:
    """The module of a class named `module:Class`, made without arguments. Raises `UsageError`."""
    place, _, attribute = name.partition(":")
    try:
        made = getattr(importlib.import_module(place), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"The encoder '{name}' cannot be made: {error}; give MODULE:CLASS of a Flax module.") from None
    if not isinstance(made, nn.Module):
        raise UsageError(f"The encoder '{name}' is no flax.linen.Module.")
    return made


def parameters(name: str, variables: Any) -> Any:
    """The parameters among a module's variables. Raises `UsageError` if there is anything else, or nothing."""
    if variables.keys() != {"params"}:
        raise UsageError(
            f"The encoder '{name}' has {sorted(variables)}; it may have parameters only, such as group or layer norm "
            f"in place of batch norm."
        )
    return variables["params"]

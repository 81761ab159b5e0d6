"""Encoders: how a picture becomes numbers. Any network that does what `Encoder` says will do."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from rldg.errors import UnknownNameError
from rldg.specialists import resnet
from rldg.specialists.arrays import Tree
from rldg.specialists.networks import init_normalised, normalised

Array = jax.Array | np.ndarray


class Encoder(Protocol):
    """A part without gradient, whose result may be stored instead of the picture, then a learned one."""

    frozen: Mapping[str, tuple[int, ...]]  # shapes of the first part's weights, which are given and never change
    width: int  # numbers that come out

    def maps_shape(self, size: int) -> tuple[int, int, int]:
        """Shape of what the first part makes of a picture of `size` pixels."""
        ...

    def maps(self, frozen: Tree, pictures: Array) -> jax.Array:
        """Float (n, h, w, c) of pictures uint8 (n, size, size, 3); without gradient."""
        ...

    def init(self, generator: np.random.Generator, size: int) -> Tree:
        """Weights of the learned part, for pictures of `size` pixels."""
        ...

    def encode(self, weights: Tree, maps: Array) -> jax.Array:
        """Float (n, width)."""
        ...


class Small:
    """Patches of 4 x 4 pixels, then two convolutions of stride 2, and a layer of 128 over all places.

    Its cost on a CPU is what it was made for: a third of four convolutions of stride 2.
    """

    frozen: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    width = 128
    patch, channels = 4, (32, 64, 64)

    def maps_shape(self, size: int) -> tuple[int, int, int]:
        """The picture itself."""
        return size, size, 3

    def maps(self, frozen: Tree, pictures: Array) -> jax.Array:
        """Pictures between -0.5 and 0.5."""
        return jnp.asarray(pictures, jnp.float32) / 255 - 0.5

    def init(self, generator: np.random.Generator, size: int) -> Tree:
        """Weights of variance 2 / inputs."""
        first, second, third = self.channels
        places = (-(-size // (4 * self.patch))) ** 2
        return {
            "patch": _kernel(generator, self.patch, 3, first),
            "convolutions": [_kernel(generator, 3, first, second), _kernel(generator, 3, second, third)],
            "dense": init_normalised(generator, places * third, self.width),
        }

    def encode(self, weights: Tree, maps: Array) -> jax.Array:
        """As the class says; layer norm and tanh at the end."""
        n, size, _, channels = maps.shape
        side = size // self.patch
        x = maps.reshape(n, side, self.patch, side, self.patch, channels).transpose(0, 1, 3, 2, 4, 5)
        kernel = weights["patch"]
        x = x.reshape(n, side, side, -1) @ kernel["weight"].reshape(-1, self.channels[0]) + kernel["bias"]
        for kernel in weights["convolutions"]:
            x = resnet.convolution(jax.nn.relu(x), kernel["weight"], stride=2) + kernel["bias"]
        return jnp.tanh(normalised(weights["dense"], jax.nn.relu(x).reshape(n, -1)))


class ResNet10:
    """HIL-SERL's: a frozen ResNet-10, then 8 learned weightings of all places for each of its 512 channels."""

    frozen: Mapping[str, tuple[int, ...]] = MappingProxyType(resnet.shapes())
    width = 256
    embeddings, stride, channels = 8, 32, 512

    def maps_shape(self, size: int) -> tuple[int, int, int]:
        """(4, 4, 512) for 128 pixels."""
        return -(-size // self.stride), -(-size // self.stride), self.channels

    def maps(self, frozen: Tree, pictures: Array) -> jax.Array:
        """The last feature map."""
        return resnet.feature_map(frozen, pictures)

    def init(self, generator: np.random.Generator, size: int) -> Tree:
        """Weights of variance 1 / inputs."""
        height, width, channels = self.maps_shape(size)
        spatial = generator.standard_normal((height, width, channels, self.embeddings)) / np.sqrt(height * width)
        dense = init_normalised(generator, channels * self.embeddings, self.width)
        return {"spatial": spatial.astype(np.float32), "dense": dense}

    def encode(self, weights: Tree, maps: Array) -> jax.Array:
        """Spatial learned embeddings, a layer of 256, layer norm and tanh."""
        x = jnp.einsum("nhwc,hwce->nce", maps, weights["spatial"])
        return jnp.tanh(normalised(weights["dense"], x.reshape(len(x), -1)))


ENCODERS: dict[str, Callable[[], Encoder]] = {"small": Small, "resnet10": ResNet10}


@cache
def make_encoder(name: str) -> Encoder:
    """The encoder of that name, or of a Flax module named `module:Class`; raises `UsageError` for any other."""
    if ":" in name:
        from rldg.specialists.flax_backbone import backbone

        return backbone(name)
    if name not in ENCODERS:
        raise UnknownNameError("encoder", name, ["none", *ENCODERS, "MODULE:CLASS"])
    return ENCODERS[name]()


def _kernel(generator: np.random.Generator, side: int, inputs: int, outputs: int) -> dict[str, Any]:
    weight = generator.standard_normal((side, side, inputs, outputs)) * np.sqrt(2 / (side * side * inputs))
    return {"weight": weight.astype(np.float32), "bias": np.zeros(outputs, np.float32)}

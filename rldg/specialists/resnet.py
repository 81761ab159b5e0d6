"""ResNet-10 as SERL pre-trained it (`resnetv1-10-frozen`), its weights under SERL's names, in plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np

from rldg.specialists.arrays import Tree

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)  # of ImageNet
FILTERS = (64, 128, 256, 512)  # of the four stages, one block each
GROUPS, EPSILON = 4, 1e-5


def feature_map(weights: Tree, pictures: jax.Array | np.ndarray) -> jax.Array:
    """The last feature map (n, h, w, 512), a 32nd of the size, of pictures uint8 (n, H, W, 3)."""
    x = (jnp.asarray(pictures, jnp.float32) / 255 - MEAN) / STD
    x = convolution(x, weights["conv_init"]["kernel"], stride=2, padding=((3, 3), (3, 3)))
    x = jax.nn.relu(group_norm(x, weights["norm_init"]))
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    for stage in range(len(FILTERS)):
        x = _block(x, weights[f"ResNetBlock_{stage}"], stride=1 if stage == 0 else 2)
    return jax.lax.stop_gradient(x)


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every weight, by its flat name."""
    found = {"conv_init.kernel": (7, 7, 3, 64), **_norm("norm_init", 64)}
    before = 64
    for stage, filters in enumerate(FILTERS):
        block = f"ResNetBlock_{stage}"
        found |= {f"{block}.Conv_0.kernel": (3, 3, before, filters), **_norm(f"{block}.MyGroupNorm_0", filters)}
        found |= {f"{block}.Conv_1.kernel": (3, 3, filters, filters), **_norm(f"{block}.MyGroupNorm_1", filters)}
        if filters != before:
            found |= {f"{block}.conv_proj.kernel": (1, 1, before, filters), **_norm(f"{block}.norm_proj", filters)}
        before = filters
    return found


def convolution(
    x: jax.Array, kernel: jax.Array, stride: int = 1, padding: str | tuple[tuple[int, int], ...] = "SAME"
) -> jax.Array:
    """Of pictures (n, h, w, c) with a kernel (height, width, in, out)."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def group_norm(x: jax.Array, weights: Tree) -> jax.Array:
    """Over places and a quarter of the channels each."""
    n, height, width, channels = x.shape
    groups = x.reshape(n, height * width, GROUPS, channels // GROUPS)
    mean, variance = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    x = ((groups - mean) * jax.lax.rsqrt(variance + EPSILON)).reshape(x.shape)
    return x * weights["scale"] + weights["bias"]


def _block(x: jax.Array, weights: Tree, stride: int) -> jax.Array:
    y = convolution(x, weights["Conv_0"]["kernel"], stride)
    y = jax.nn.relu(group_norm(y, weights["MyGroupNorm_0"]))
    y = group_norm(convolution(y, weights["Conv_1"]["kernel"]), weights["MyGroupNorm_1"])
    if "conv_proj" in weights:
        x = group_norm(convolution(x, weights["conv_proj"]["kernel"], stride), weights["norm_proj"])
    return jax.nn.relu(x + y)


def _norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.scale": (channels,), f"{name}.bias": (channels,)}

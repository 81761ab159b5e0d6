"""Image tokens: Octo's convolutional stem (after Xiao et al. 2021, "Early convolutions help transformers")."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rldg.generalists.octo.config import ImageConfig, PatchConfig, StemConfig
from rldg.generalists.octo.pooling import TokenLearner


class StdConv(nn.Module):
    """A convolution whose kernel is standardised to mean 0 and deviation 1 per output channel."""

    features: int
    kernel_size: int
    stride: int
    padding: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, H', W', features)."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        kernel = standardised(kernel)
        padding = [(self.padding, self.padding)] * 2
        strides = (self.stride, self.stride)
        return (
            jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias
        )


def standardised(kernel: jax.Array) -> jax.Array:
    """A kernel (h, w, in, out) of mean 0 and deviation 1 per output channel."""
    mean, deviation = kernel.mean((0, 1, 2)), kernel.std((0, 1, 2))
    return (kernel - mean) / (deviation + 1e-5)


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """(B, H, W, C) to (B, H / block, W / block, block * block * C)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // block, block, width // block, block, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height // block, width // block, -1)


class GroupNorm(nn.Module):
    """flax's `nn.GroupNorm` with the sums taken per channel first, which a CPU does three times as fast."""

    groups: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C), normalised per image and group of channels."""
        batch, channels = x.shape[0], x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (channels,))
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,))

        def per_channel(moments: jax.Array) -> jax.Array:
            grouped = moments.reshape(batch, self.groups, -1).mean(-1)
            return jnp.repeat(grouped, channels // self.groups, axis=1)[:, None, None]

        mean = per_channel(x.mean((1, 2)))
        variance = per_channel(jnp.square(x).mean((1, 2))) - jnp.square(mean)
        return (x - mean) * (jax.lax.rsqrt(variance + 1e-6) * scale) + bias


class FilmConditioning(nn.Module):
    """Scales and shifts every channel by what a condition says (Perez et al. 2018); at first by nothing."""

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        """`x` (B, H, W, C), `condition` (B, D)."""
        zeros = nn.initializers.zeros_init()
        scale = nn.Dense(x.shape[-1], kernel_init=zeros, name="Dense_0")(condition)[:, None, None]
        shift = nn.Dense(x.shape[-1], kernel_init=zeros, name="Dense_1")(condition)[:, None, None]
        return x * (1 + scale) + shift


class SmallStem(nn.Module):
    """Convolutions, each followed by GroupNorm and ReLU, then the patch embedding."""

    config: StemConfig

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """(B, H, W, C) in 0..255 to patch features (B, H', W', num_features)."""
        config = self.config
        x = space_to_depth(scaled(images, config.colours), config.block)
        layers = zip(config.features, config.kernel_sizes, config.strides, config.padding, strict=True)
        for index, (features, kernel_size, stride, padding) in enumerate(layers):
            x = StdConv(features, kernel_size, stride, padding, name=f"StdConv_{index}")(x)
            x = nn.relu(GroupNorm(config.groups, name=f"GroupNorm_{index}")(x))
        size = (config.embedding_kernel, config.embedding_kernel)
        x = nn.Conv(config.num_features, size, size, "VALID", name="embedding")(x)
        return x if condition is None else FilmConditioning(name="FilmConditioning_0")(x, condition)


class PatchEncoder(nn.Module):
    """Cuts images into patches and embeds each (Dosovitskiy et al. 2021)."""

    config: PatchConfig

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """(B, H, W, C) in 0..255 to patch features (B, H', W', num_features)."""
        size = (self.config.patch_size, self.config.patch_size)
        x = nn.Conv(self.config.num_features, size, size, "VALID", name="embedding")(
            scaled(images, self.config.colours)
        )
        return x if condition is None else FilmConditioning(name="FilmConditioning_0")(x, condition)


def scaled(images: jax.Array, colours: str) -> jax.Array:
    """Pixels 0..255 in the range that a stem was trained on: [-1, 1], or by ImageNet's mean and deviation."""
    images = images.astype(jnp.float32)
    if colours == "default":
        return images / 127.5 - 1.0
    pictures = images.shape[-1] // 3
    mean, deviation = jnp.tile(jnp.array(_MEAN), pictures), jnp.tile(jnp.array(_DEVIATION), pictures)
    return (images / 255 - mean) / deviation


_CACHED = 2**16  # pixels whose activations a core's cache holds
_MOST_PARTS = 16  # each is compiled

# Of ImageNet's colours, red, green and blue.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageTokenizer(nn.Module):
    """Turns one camera's images, with the goal image stacked behind each, into tokens."""

    config: ImageConfig

    @nn.compact
    def __call__(
        self, images: jax.Array, goal: jax.Array | None = None, condition: jax.Array | None = None, train: bool = False
    ) -> jax.Array:
        """`images` (B, W, H, W', 3) and `goal` (B, H, W', 3) in 0..255 to tokens (B, W, patches, num_features).

        `condition` (B, D) is what a stem with FiLM is conditioned on.
        """
        batch, window = images.shape[:2]
        if self.config.goal:
            # Octo's stem always has six channels: an absent goal is black.
            goals = jnp.zeros_like(images) if goal is None else jnp.broadcast_to(goal[:, None], images.shape)
            images = jnp.concatenate([images, goals], axis=-1)
        if condition is not None:
            condition = jnp.repeat(condition, window, axis=0)
        stem, name = self.config.stem, f"{self.config.stem.module}_0"
        encoder = SmallStem(stem, name=name) if isinstance(stem, StemConfig) else PatchEncoder(stem, name=name)
        flat = images.reshape(-1, *images.shape[2:])
        count = _parts(flat)
        parts = jnp.array_split(flat, count)
        conditions = [None] * count if condition is None else jnp.array_split(condition, count)
        features = jnp.concatenate([encoder(*part) for part in zip(parts, conditions, strict=True)])
        tokens = features.reshape(batch, window, -1, features.shape[-1])
        if not self.config.learned_tokens:
            return tokens
        return TokenLearner(self.config.learned_tokens, name="TokenLearner_0")(tokens, train)


def _parts(images: jax.Array) -> int:
    """Into how many parts images (N, H, W, C) go through the stem one after the other.

    On a CPU the activations of a part should stay in its cache: a large batch then takes a third less time.
    """
    if jax.default_backend() != "cpu":
        return 1
    pixels = images.shape[0] * images.shape[1] * images.shape[2]
    return min(-(-pixels // _CACHED), images.shape[0], _MOST_PARTS)

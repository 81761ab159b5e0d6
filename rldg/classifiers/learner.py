"""`Learner`: the weights of a reward classifier and how they learn, in JAX."""

import json
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rldg.classifiers.config import ClassifierConfig
from rldg.classifiers.examples import Examples
from rldg.env.classifier import PATCHES, Weights, logit


def initial_weights(
    generator: np.random.Generator, resolutions: Mapping[str, int], config: ClassifierConfig
) -> Weights:
    """Weights of variance 1 / inputs; the last layer is a tenth of that."""
    weights: Weights = {}

    def layer(name: str, inputs: int, outputs: int, norm: bool) -> None:
        values = generator.standard_normal((inputs, outputs)) / np.sqrt(inputs)
        weights[f"{name}.weight"] = (values if norm else 0.1 * values).astype(np.float32)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)
        if norm:
            weights[f"{name}.gain"] = np.ones(outputs, np.float32)
            weights[f"{name}.offset"] = np.zeros(outputs, np.float32)

    for camera, pixels in sorted(resolutions.items()):
        channels = 3
        for index, (side, out) in enumerate(zip(PATCHES, config.channels, strict=True)):
            layer(f"{camera}.{index}", side * side * channels, out, norm=True)
            channels, pixels = out, pixels // side
        inputs = pixels * pixels * channels
        weights[f"{camera}.out.weight"] = (generator.standard_normal((inputs, config.hidden)) / np.sqrt(inputs)).astype(
            np.float32
        )
    layer("hidden", config.hidden, config.hidden, norm=True)
    del weights["hidden.weight"]  # what cameras see is summed into the hidden layer, by their own "out"
    layer("last", config.hidden, 1, norm=False)
    return weights


class Learner:
    """Weights that learn from batches of half positives, half negatives; everything descends from one seed."""

    def __init__(self, resolutions: Mapping[str, int], config: ClassifierConfig, seed: int) -> None:
        self._config = config
        self._draws = np.random.default_rng([seed, 4])
        self.weights: Weights = initial_weights(np.random.default_rng(seed), resolutions, config)
        self._state = _optimizer(config).init(self.weights)

    def learn(self, positives: Examples, negatives: Examples) -> float:
        """One update; returns the loss."""
        half = self._config.batch_size // 2
        chosen = [(of, self._draws.integers(len(of), size=half)) for of in (positives, negatives)]
        images = {
            camera: np.concatenate([of.images[camera][rows] for of, rows in chosen]) for camera in positives.images
        }
        key = jax.random.key(int(self._draws.integers(1 << 31)))
        self.weights, self._state, loss = _update(self._config, self.weights, self._state, images, key)
        return float(loss)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything to go on from, by name."""
        leaves = jax.tree_util.tree_leaves_with_path((self.weights, self._state))
        arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
        return arrays | {"draws": np.array(json.dumps(self._draws.bit_generator.state))}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Goes back to what `arrays` returned."""
        self.weights, self._state = jax.tree_util.tree_map_with_path(
            lambda path, _: jnp.array(arrays[jax.tree_util.keystr(path)]), (self.weights, self._state)
        )
        self._draws.bit_generator.state = json.loads(str(arrays["draws"]))


WARM_UP = 40  # updates over which the learning rate rises, at most


@cache
def _optimizer(config: ClassifierConfig) -> optax.GradientTransformation:
    """One per configuration, so that one that was compiled serves every learner of it."""
    steps = config.steps
    rate = optax.warmup_cosine_decay_schedule(0, config.learning_rate, min(WARM_UP, steps // 10) + 1, steps + 1)
    return optax.adamw(rate, weight_decay=config.weight_decay)


@partial(jax.jit, static_argnums=0)
def _update(config: ClassifierConfig, weights: Weights, state: Any, images: Any, key: Any) -> Any:
    """New weights, new state of the optimiser, and the loss. The first half of each camera's pictures are positives."""
    size = config.batch_size // 2
    label = jnp.repeat(jnp.array([1 - config.smoothing, config.smoothing]), size)

    def loss(weights: Weights) -> Any:
        seen = {camera: augmented(pictures, key, config) for camera, pictures in images.items()}
        return optax.sigmoid_binary_cross_entropy(logit(weights, seen), label).mean()

    value, gradient = jax.value_and_grad(loss)(weights)
    change, state = _optimizer(config).update(gradient, state, weights)
    return optax.apply_updates(weights, change), state, value


def augmented(pictures: Any, key: Any, config: ClassifierConfig) -> Any:
    """Pictures (N, H, W, 3) as float32 in 0 .. 255, each shifted (edges repeated) and lit its own way."""
    count, height, width, _ = pictures.shape
    shift_key, light_key = jax.random.split(key)
    by = config.shift
    padded = jnp.pad(pictures, ((0, 0), (by, by), (by, by), (0, 0)), mode="edge")
    corners = jax.random.randint(shift_key, (count, 2), 0, 2 * by + 1)

    def cropped(picture: Any, corner: Any) -> Any:
        return jax.lax.dynamic_slice(picture, (corner[0], corner[1], 0), (height, width, 3))

    shifted = jax.vmap(cropped)(padded, corners).astype(jnp.float32)
    contrast, brightness = jax.random.uniform(light_key, (2, count, 1, 1, 1), minval=-config.light, maxval=config.light)
    return jnp.clip((shifted - 128) * (1 + contrast) + 128 * (1 + brightness), 0, 255)

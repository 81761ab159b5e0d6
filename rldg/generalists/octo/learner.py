"""One training step as a pure function of state, data and step number: what resumes exactly, and is easy to test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rldg.generalists.octo.augment import jitter
from rldg.generalists.octo.config import ModelConfig
from rldg.generalists.octo.heads import loss_draws
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.optimizer import make_optimizer, moving_average
from rldg.generalists.octo.recipes import FinetuneConfig


@dataclass(frozen=True)
class Frames:
    """A data set in memory: N frames, each with its action and the row of its instruction."""

    images: dict[str, np.ndarray]  # name of the image tokenizer -> (N, size, size, 3) uint8
    actions: np.ndarray  # (N, 7) float32, normalised by the data set's statistics
    instructions: tuple[str, ...]
    instruction: np.ndarray  # (N,) int32, row of `instructions`

    def __len__(self) -> int:
        """Number of frames N."""
        return len(self.actions)


@struct.dataclass
class TrainState:
    """Everything that changes while training. Random draws and batches follow from seed and step alone."""

    step: jax.Array
    params: Any
    average: Any  # exponential moving average of `params`: what is saved for acting
    optimizer: Any


def batch_rows(seed: int, step: int, batch_size: int, frames: int) -> np.ndarray:
    """Rows (batch_size,) of one step: every epoch is a permutation of all frames, drawn from seed and epoch."""
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = places // frames
    order = {epoch: np.random.default_rng([seed, epoch]).permutation(frames) for epoch in np.unique(epochs).tolist()}
    return np.array(
        [order[epoch][place % frames] for epoch, place in zip(epochs.tolist(), places, strict=True)], np.int32
    )


class Learner:
    """Trains one model configuration. Batches are rows of `Frames` that live on the device."""

    def __init__(self, model: ModelConfig, config: FinetuneConfig, tokens: dict[str, np.ndarray], seed: int) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.module = OctoModule(model)
        self._tokens = tokens  # of every instruction, (rows, L)
        self._optimizer = make_optimizer(config)
        self.update = jax.jit(self._update, donate_argnums=0)
        self.evaluate = jax.jit(self._evaluate)

    def init(self) -> TrainState:
        """Random weights, drawn from the seed."""
        images = {i.name: jnp.zeros((1, i.size, i.size, 3)) for i in self.model.images}
        inputs = self._inputs(images, jnp.zeros((1,), jnp.int32), jnp.zeros((1, self.model.head.action_dim)))
        draws = loss_draws(self.model.head, jax.random.key(0), 1, 1)
        variables: Any = jax.jit(lambda key: self.module.init(key, *inputs, draws, method="loss"))(
            jax.random.key(self.seed)
        )
        return self.start(variables["params"])

    def start(self, params: Any) -> TrainState:
        """A fresh state around given weights."""
        average = jax.tree.map(jnp.copy, params)
        return TrainState(jnp.zeros((), jnp.int32), params, average, self._optimizer.init(params))

    def _inputs(self, images: dict[str, jax.Array], instruction: jax.Array, actions: jax.Array) -> tuple[Any, ...]:
        observation = {f"image_{name}": image[:, None] for name, image in images.items()}
        task = {"language_instruction": {name: jnp.asarray(ids)[instruction] for name, ids in self._tokens.items()}}
        actions = actions[:, None, None]
        return observation, task, actions, jnp.ones(actions.shape, bool)

    def _loss(self, params: Any, key: jax.Array, data: dict[str, Any], rows: jax.Array, train: bool) -> jax.Array:
        key_jitter, key_noise, key_dropout = jax.random.split(key, 3)
        images = {name: image[rows] for name, image in data["images"].items()}
        if train:
            images = {name: jitter(key_jitter, image, self.config) for name, image in images.items()}
        inputs = self._inputs(images, data["instruction"][rows], data["actions"][rows])
        draws = loss_draws(self.model.head, key_noise, len(rows), 1)
        loss: Callable[..., Any] = self.module.apply
        found = loss({"params": params}, *inputs, draws, train, method="loss", rngs={"dropout": key_dropout})
        return found["loss"]

    def _update(
        self, state: TrainState, data: dict[str, Any], rows: jax.Array
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        key = jax.random.fold_in(jax.random.key(self.seed), state.step)
        loss, gradient = jax.value_and_grad(self._loss)(state.params, key, data, rows, True)
        changes, optimizer = self._optimizer.update(gradient, state.optimizer, state.params)
        params = jax.tree.map(lambda value, change: value + change, state.params, changes)
        average = moving_average(state.average, params, state.step, self.config.ema_decay)
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradient)))
        return TrainState(state.step + 1, params, average, optimizer), {"loss": loss, "gradient_norm": norm}

    def _evaluate(self, params: Any, data: dict[str, Any], rows: jax.Array) -> jax.Array:
        return self._loss(params, jax.random.key(self.seed), data, rows, False)


def on_device(frames: Frames) -> dict[str, Any]:
    """The arrays of `frames` that a step reads."""
    return jax.device_put({"images": frames.images, "actions": frames.actions, "instruction": frames.instruction})

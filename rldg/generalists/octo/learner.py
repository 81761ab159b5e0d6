"""One training step as a pure function of state, batch and step number: what resumes exactly, and is easy to test."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct, traverse_util
from jax.sharding import Mesh

from rldg.generalists.octo.config import ModelConfig
from rldg.generalists.octo.freezing import Weights, split_weights
from rldg.generalists.octo.heads import loss_draws
from rldg.generalists.octo.lora import init_adapters, merged
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.optimizer import learning_rate, make_optimizer, moving_average
from rldg.generalists.octo.precision import activations_in, trunk_as
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.sharding import batch_sharding, make_mesh, state_sharding

METRICS: tuple[str, ...] = ("loss", "gradient_norm", "update_norm", "learning_rate")

Batch = dict[str, Any]  # of `rldg.data.loader`, with token ids for the instruction


class TrainState(struct.PyTreeNode):
    """Everything that changes while training, and what stays. Random draws follow from seed and step alone."""

    step: jax.Array
    weights: Weights  # trained ones, adapters among them
    frozen: Weights
    average: Weights | None  # exponential moving average of `weights`, if one is kept: what is saved for acting
    optimizer: Any
    metrics: dict[str, jax.Array]  # of the last update


class Learner:
    """Trains one model configuration on the devices of a mesh; the batch is spread over all of them."""

    def __init__(self, model: ModelConfig, config: FinetuneConfig, seed: int, mesh: Mesh | None = None) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.module = OctoModule(model, remat=config.checkpoint_blocks)
        self.mesh = make_mesh(config.fsdp) if mesh is None else mesh
        self._optimizer, self._rate = make_optimizer(config), learning_rate(config)
        self.update = jax.jit(self._update, donate_argnums=0)
        self.evaluate = jax.jit(self._evaluate)
        self.params = jax.jit(self._params)

    def random_params(self, batch: Batch) -> Any:
        """Random weights as the model's own tree, drawn from the seed; of `batch` only the shapes matter."""
        one = jax.tree.map(lambda leaf: jnp.zeros((1, *leaf.shape[1:]), leaf.dtype), batch)

        def init(key: jax.Array) -> Any:
            draws = loss_draws(self.model.head, key, 1, self.model.window)
            variables: Any = self.module.init(key, *_inputs(one), draws, False, method="loss")
            return variables["params"]

        return jax.jit(init)(jax.random.key(self.seed))

    def shapes(self, batch: Batch) -> TrainState:
        """Shapes and placement of the state, before anything of it is there."""
        state = jax.eval_shape(self._start, jax.eval_shape(self.random_params, batch))
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            state,
            state_sharding(self.mesh, state),
        )

    def start(self, params: Any) -> TrainState:
        """A fresh state around the model's own tree of weights, spread over the devices."""
        state = jax.eval_shape(self._start, params)
        return jax.jit(self._start, out_shardings=state_sharding(self.mesh, state))(params)

    def _start(self, params: Any) -> TrainState:
        flat: Any = traverse_util.flatten_dict(params, sep="/")
        trained, frozen = split_weights(flat, self.config)
        if self.config.mode == "lora":
            trained |= init_adapters(jax.random.fold_in(jax.random.key(self.seed), 1), flat, self.config)
        average = trained if self.config.ema_decay else None
        metrics = {name: jnp.zeros(()) for name in METRICS}
        return TrainState(jnp.zeros((), jnp.int32), trained, frozen, average, self._optimizer.init(trained), metrics)

    def _params(self, state: TrainState) -> Any:
        """The model's own tree of weights, for acting: their average if one is kept, adapters added in."""
        weights = state.weights if state.average is None else state.average
        return traverse_util.unflatten_dict(self._merged(weights | state.frozen), sep="/")

    def _merged(self, weights: Weights) -> Weights:
        return merged(weights, self.config.lora_alpha / self.config.lora_rank)

    def _loss(
        self, trained: Weights, frozen: Weights, batch: Batch, draws: Any, key: jax.Array, train: bool
    ) -> jax.Array:
        weights, dtype = self._merged(trained | frozen), self.config.compute
        params = traverse_util.unflatten_dict(trunk_as(weights, dtype), sep="/")
        with activations_in(dtype):
            found: Any = self.module.apply(
                {"params": params}, *_inputs(batch), draws, train, method="loss", rngs={"dropout": key}
            )
        return found["loss"]

    def _update(self, state: TrainState, batch: Batch) -> TrainState:
        loss, gradient = self._gradient(state, batch)
        changes, optimizer = self._optimizer.update(gradient, state.optimizer, state.weights)
        weights: Any = optax.apply_updates(state.weights, changes)
        average = state.average
        if average is not None:
            average = moving_average(average, weights, state.step, self.config.ema_decay)
        numbers = loss, optax.tree.norm(gradient), optax.tree.norm(changes), jnp.asarray(self._rate(state.step))
        metrics = dict(zip(METRICS, numbers, strict=True))
        after = TrainState(state.step + 1, weights, state.frozen, average, optimizer, metrics)
        return jax.lax.with_sharding_constraint(after, state_sharding(self.mesh, after))

    def _gradient(self, state: TrainState, batch: Batch) -> tuple[jax.Array, Weights]:
        """Loss and gradient of a batch, in `config.accumulate` parts.

        The loss is a mean over actions that are not padding, so each part counts by its share of these.
        """
        key_noise, key_dropout = jax.random.split(jax.random.fold_in(jax.random.key(self.seed), state.step))
        size = batch["action"].shape[0]
        draws = loss_draws(self.model.head, key_noise, size, self.model.window)
        loss_and_gradient = jax.value_and_grad(self._loss)
        if self.config.accumulate == 1:
            return loss_and_gradient(state.weights, state.frozen, batch, draws, key_dropout, True)

        def add(total: Any, part: Any) -> tuple[Any, None]:
            part_batch, part_draws, key = part
            share = _mask(part_batch).mean()
            found = loss_and_gradient(state.weights, state.frozen, part_batch, part_draws, key, True)
            return jax.tree.map(lambda sum_, new: sum_ + share * new, total, found), None

        cut = partial(_cut, parts=self.config.accumulate, mesh=self.mesh)
        parts = cut(batch, axis=0), cut(draws, axis=1), jax.random.split(key_dropout, self.config.accumulate)
        zeros = jnp.zeros(()), jax.tree.map(jnp.zeros_like, state.weights)
        # In a loop, XLA's convolutions take thirty times as long on a CPU.
        total, _ = jax.lax.scan(add, zeros, parts, unroll=jax.default_backend() == "cpu")
        shares = jnp.clip(_mask(batch).mean(), 1e-5) * self.config.accumulate
        return jax.tree.map(lambda sum_: sum_ / shares, total)

    def _evaluate(self, state: TrainState, batch: Batch) -> jax.Array:
        weights = state.weights if state.average is None else state.average
        key = jax.random.key(self.seed)
        draws = loss_draws(self.model.head, key, batch["action"].shape[0], self.model.window)
        return self._loss(weights, state.frozen, batch, draws, key, False)


def _mask(batch: Batch) -> jax.Array:
    """Actions that count (B, W, H, A): neither padding themselves nor of a padded timestep."""
    return batch["action_pad_mask"] & batch["observation"]["timestep_pad_mask"][..., None, None]


def _inputs(batch: Batch) -> tuple[Any, ...]:
    return batch["observation"], batch["task"], batch["action"], _mask(batch)


def _cut(tree: Any, axis: int, parts: int, mesh: Mesh) -> Any:
    """Every leaf with its samples dealt to `parts` along a new first axis, so that each device keeps its own."""

    def cut(leaf: jax.Array) -> jax.Array:
        shape = (*leaf.shape[:axis], leaf.shape[axis] // parts, parts, *leaf.shape[axis + 1 :])
        dealt = jnp.moveaxis(leaf.reshape(shape), axis + 1, 0)
        return jax.lax.with_sharding_constraint(dealt, batch_sharding(mesh, axis + 1))

    return jax.tree.map(cut, tree)

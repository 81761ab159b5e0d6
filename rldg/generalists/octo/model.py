"""Octo (Octo Model Team 2024): tokenizers, block-causal transformer with readouts, action head.

Parameter names and shapes are those of the original implementation, so that its checkpoints fit the same tree.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.errors import CheckpointError
from rldg.generalists.octo.config import ModelConfig
from rldg.generalists.octo.heads import Draws, make_head
from rldg.generalists.octo.language import LanguageTokenizer
from rldg.generalists.octo.lowdim import LowdimTokenizer
from rldg.generalists.octo.positions import wave_init
from rldg.generalists.octo.stem import ImageTokenizer
from rldg.generalists.octo.transformer import BlockTransformer, TokenGroup

Batch = dict[str, Any]


class OctoTransformer(nn.Module):
    """From images, numbers and the task to the outputs of every token group.

    `observation`: `image_<name>` (B, W, H, W', 3), numbers (B, W, n), optionally `timestep_pad_mask` bool (B, W) and
    `pad_mask_dict`. `task`: `language_instruction` (see `LanguageTokenizer`), goal images `image_<name>` (B, H, W', 3),
    `pad_mask_dict`. What is absent has no tokens. `remat`: see `Transformer`.
    """

    config: ModelConfig
    remat: bool = False

    @nn.compact
    def __call__(
        self, observation: Batch, task: Batch, train: bool = False, wanted: str | None = None
    ) -> dict[str, TokenGroup]:
        """Output tokens by group: `task_language`, `obs_<name>`, `readout_action`, ...; of `wanted` alone if given.

        Raises `CheckpointError` if the observation has nothing that the model reads.
        """
        config = self.config
        tasks = self._language(task)
        timesteps = [group for group in (*self._images(observation, task, train), *self._numbers(observation)) if group]
        timesteps.sort(key=lambda group: group.name)  # the original's order
        if not timesteps:
            names = [f"image_{image.name}" for image in config.images] + [entry.name for entry in config.lowdim]
            raise CheckpointError(f"The observation has {sorted(observation)}; the model reads {names}.")
        batch, window = timesteps[0].tokens.shape[:2]
        if window > config.max_horizon:
            raise CheckpointError(f"A window of {window} steps; the model has positions for {config.max_horizon}.")
        if config.repeat_task_tokens:
            for group in tasks:
                tokens = jnp.broadcast_to(group.tokens[:, None], (batch, window, *group.tokens.shape[1:]))
                mask = jnp.broadcast_to(group.mask[:, None], tokens.shape[:-1])
                timesteps.append(TokenGroup(tokens, mask, f"obs_{group.name}"))
        shape = (batch, window, config.readouts, config.width)
        readout = jnp.broadcast_to(self._timed_position("readout_action", shape), shape)
        timesteps.append(TokenGroup(readout, jnp.ones(shape[:-1], bool), "readout_action"))
        transformer = BlockTransformer(
            config.transformer, config.use_correct_attention, self.remat, name="BlockTransformer_0"
        )
        return transformer(tasks + timesteps, train, wanted)

    def _language(self, task: Batch) -> list[TokenGroup]:
        if self.config.language is None or "language_instruction" not in task:
            return []
        tokenizer = LanguageTokenizer(self.config.language, name="task_tokenizers_language")
        tokens = self._project(tokenizer(task["language_instruction"]), "task_language")
        tokens += self._position("task_language", tokens.shape[1:])
        return [TokenGroup(tokens, _key_mask(task, "language_instruction", tokens.shape[:-1]), "task_language")]

    def _images(self, observation: Batch, task: Batch, train: bool) -> list[TokenGroup | None]:
        found: list[TokenGroup | None] = []
        for image in self.config.images:
            key = f"image_{image.name}"
            if key not in observation:
                continue
            condition = jnp.concatenate([task[name] for name in image.film_keys], axis=-1) if image.film_keys else None
            tokenizer = ImageTokenizer(image, name=f"observation_tokenizers_{image.name}")
            tokens = tokenizer(observation[key], task.get(key), condition, train)
            found.append(self._group(tokens, image.name, key, observation))
        return found

    def _numbers(self, observation: Batch) -> list[TokenGroup | None]:
        found: list[TokenGroup | None] = []
        for entry in self.config.lowdim:
            tokens = LowdimTokenizer(entry, name=f"observation_tokenizers_{entry.name}")(observation)
            # The original ignores the pad mask of numbers.
            found.append(None if tokens is None else self._group(tokens, entry.name, None, observation))
        return found

    def _group(self, tokens: jax.Array, name: str, key: str | None, observation: Batch) -> TokenGroup:
        tokens = self._project(tokens, f"obs_{name}")
        tokens += self._timed_position(f"obs_{name}", tokens.shape)
        shape = tokens.shape[:-1]
        mask = jnp.ones(shape, bool) if key is None else _key_mask(observation, key, shape)
        return TokenGroup(tokens, _in_time(mask, observation), f"obs_{name}")

    def _project(self, tokens: jax.Array, name: str) -> jax.Array:
        return nn.Dense(self.config.width, name=f"{name}_projection")(tokens)

    def _position(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        return self.param(f"{name}_pos_embedding", self._position_init(name), (1, *shape))

    def _timed_position(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        position = self._position(name, (self.config.max_horizon, *shape[2:]))
        return position[:, : shape[1]]

    def _position_init(self, name: str) -> Any:
        waves = self.config.position_init == "sincos" and name in {f"obs_{image.name}" for image in self.config.images}
        return wave_init if waves else nn.initializers.normal(0.02)


def _key_mask(inputs: Batch, key: str, shape: tuple[int, ...]) -> jax.Array:
    given = inputs.get("pad_mask_dict", {}).get(key)
    return jnp.ones(shape, bool) if given is None else jnp.broadcast_to(given[..., None], shape)


def _in_time(mask: jax.Array, observation: Batch) -> jax.Array:
    present = observation.get("timestep_pad_mask")
    return mask if present is None else mask & present[..., None]


class OctoModule(nn.Module):
    """Transformer and action head."""

    config: ModelConfig
    remat: bool = False

    def setup(self) -> None:
        """The two parts, by their original names."""
        self.octo_transformer = OctoTransformer(self.config, self.remat)
        self.heads_action = make_head(self.config.head)

    def readout(self, observation: Batch, task: Batch, train: bool = False) -> TokenGroup:
        """Readout tokens (B, W, readouts, width)."""
        return self.octo_transformer(observation, task, train, wanted="readout_action")["readout_action"]

    def loss(
        self,
        observation: Batch,
        task: Batch,
        actions: jax.Array,
        mask: jax.Array,
        draws: Draws,
        train: bool = True,
    ) -> dict[str, jax.Array]:
        """The head's "loss" and other figures.

        `actions` (B, W, H, A) are normalised; `mask`, bool of that shape, keeps what exists both as a step and as an
        action; `draws` are `loss_draws`.
        """
        return self.heads_action.loss(self.readout(observation, task, train), actions, mask, draws, train)

    def sample(self, observation: Batch, task: Batch, draws: Draws, valid: np.ndarray | None = None) -> jax.Array:
        """Normalised actions (..., B, H, A) of the window's last step, for `sample_draws` of shape (..., B, 1).

        Dimensions that are not `valid`, bool (A,), have no meaning: see `DiffusionActionHead.denoise`.
        """
        readout = self.readout(observation, task)
        last = readout.replace(tokens=readout.tokens[:, -1:], mask=readout.mask[:, -1:])
        return self.heads_action.sample(last, draws, valid)[..., 0, :, :]


def example_inputs(
    config: ModelConfig, batch: int = 1, window: int = 0, lowdim: dict[str, int] | None = None
) -> tuple[Batch, Batch, jax.Array, jax.Array]:
    """Observation, task, actions and mask of the right shapes, all zeros, for initialisation and for shapes.

    `window` is the model's if 0. `lowdim` says how many numbers the entries of the observation have.
    """
    window, head = window or config.window, config.head
    observation: Batch = {
        f"image_{image.name}": jnp.zeros((batch, window, image.size, image.size, 3), jnp.uint8)
        for image in config.images
    } | {name: jnp.zeros((batch, window, count)) for name, count in (lowdim or {}).items()}
    task: Batch = {}
    if config.language is not None:
        ids = jnp.zeros((batch, config.language.max_length), jnp.int32)
        task["language_instruction"] = {"input_ids": ids, "attention_mask": ids}
    actions = jnp.zeros((batch, window, head.action_horizon, head.action_dim))
    return observation, task, actions, jnp.ones(actions.shape, bool)

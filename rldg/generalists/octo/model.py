"""Octo (Octo Model Team 2024): tokenizers, block-causal transformer with readouts, diffusion action head.

Parameter names and shapes are those of the original implementation, so that its checkpoints fit the same tree.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rldg.generalists.octo.config import ModelConfig
from rldg.generalists.octo.diffusion import DiffusionActionHead
from rldg.generalists.octo.language import LanguageTokenizer
from rldg.generalists.octo.positions import wave_init
from rldg.generalists.octo.stem import ImageTokenizer
from rldg.generalists.octo.transformer import BlockTransformer, TokenGroup

Batch = dict[str, Any]


class OctoTransformer(nn.Module):
    """From images and instruction to the outputs of every token group.

    `observation`: `image_<name>` (B, W, H, W', 3), optionally `timestep_pad_mask` bool (B, W) and `pad_mask_dict`.
    `task`: `language_instruction` (see `LanguageTokenizer`), goal images `image_<name>` (B, H, W', 3), `pad_mask_dict`.
    What is absent has no tokens.
    """

    config: ModelConfig

    @nn.compact
    def __call__(
        self, observation: Batch, task: Batch, train: bool = False, wanted: str | None = None
    ) -> dict[str, jax.Array]:
        """Output tokens by group: `task_language`, `obs_<name>`, `readout_action`, ...; of `wanted` alone if given."""
        config = self.config
        groups: list[TokenGroup] = []
        if "language_instruction" in task:
            tokens = LanguageTokenizer(config.language, name="task_tokenizers_language")(task["language_instruction"])
            tokens = self._project(tokens, "task_language")
            tokens += self._position("task_language", tokens.shape[1:])
            mask = _key_mask(task, "language_instruction", tokens.shape[:-1])
            groups.append(TokenGroup("task_language", tokens, mask))
        timesteps = []
        for image in config.images:
            key = f"image_{image.name}"
            if key not in observation:
                continue
            tokenizer = ImageTokenizer(image, name=f"observation_tokenizers_{image.name}")
            tokens = self._project(tokenizer(observation[key], task.get(key)), f"obs_{image.name}")
            tokens += self._timed_position(f"obs_{image.name}", tokens.shape)
            mask = _key_mask(observation, key, tokens.shape[:-1])
            timesteps.append(TokenGroup(f"obs_{image.name}", tokens, _in_time(mask, observation)))
        batch, window = timesteps[0].tokens.shape[:2]
        if config.repeat_task_tokens:
            for group in groups:
                tokens = jnp.broadcast_to(group.tokens[:, None], (batch, window, *group.tokens.shape[1:]))
                mask = jnp.broadcast_to(group.mask[:, None], tokens.shape[:-1])
                timesteps.append(TokenGroup(f"obs_{group.name}", tokens, mask))
        shape = (batch, window, config.readouts, config.width)
        readout = jnp.broadcast_to(self._timed_position("readout_action", shape), shape)
        timesteps.append(TokenGroup("readout_action", readout, jnp.ones(shape[:-1], bool)))
        return BlockTransformer(config.transformer, name="BlockTransformer_0")(groups + timesteps, train, wanted)

    def _project(self, tokens: jax.Array, name: str) -> jax.Array:
        return nn.Dense(self.config.width, name=f"{name}_projection")(tokens)

    def _position(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        return self.param(f"{name}_pos_embedding", self._position_init(name), (1, *shape))

    def _timed_position(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        position = self._position(name, (self.config.max_horizon, *shape[2:]))
        return position[:, : shape[1]]

    def _position_init(self, name: str) -> Any:
        if self.config.position_init != "sincos" or not name.startswith("obs_"):
            return nn.initializers.normal(0.02)
        return wave_init


def _key_mask(inputs: Batch, key: str, shape: tuple[int, ...]) -> jax.Array:
    given = inputs.get("pad_mask_dict", {}).get(key)
    return jnp.ones(shape, bool) if given is None else jnp.broadcast_to(given[..., None], shape)


def _in_time(mask: jax.Array, observation: Batch) -> jax.Array:
    present = observation.get("timestep_pad_mask")
    return mask if present is None else mask & present[..., None]


class OctoModule(nn.Module):
    """Transformer and action head."""

    config: ModelConfig

    def setup(self) -> None:
        """The two parts, by their original names."""
        self.octo_transformer = OctoTransformer(self.config)
        self.heads_action = DiffusionActionHead(self.config.head)

    def readout(self, observation: Batch, task: Batch, train: bool = False) -> jax.Array:
        """Readout tokens (B, W, readouts, width)."""
        return self.octo_transformer(observation, task, train, wanted="readout_action")["readout_action"]

    def loss(
        self,
        observation: Batch,
        task: Batch,
        actions: jax.Array,
        mask: jax.Array,
        time: jax.Array,
        noise: jax.Array,
        train: bool = True,
    ) -> jax.Array:
        """The denoising loss; shapes as in `DiffusionActionHead.loss`."""
        return self.heads_action.loss(self.readout(observation, task, train), actions, mask, time, noise)

    def sample(self, observation: Batch, task: Batch, start: jax.Array, noises: jax.Array) -> jax.Array:
        """Normalised actions (..., B, W, H, A); shapes as in `DiffusionActionHead.denoise`."""
        return self.heads_action.denoise(self.readout(observation, task), start, noises)

"""The diffusion action head: it predicts the noise in an action, given the readout (after Chi et al. 2023)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.generalists.octo.config import DiffusionConfig
from rldg.generalists.octo.losses import action_error
from rldg.generalists.octo.pooling import Pooling
from rldg.generalists.octo.transformer import TokenGroup


def cosine_betas(steps: int, offset: float = 0.008) -> np.ndarray:
    """The cosine schedule of Nichol and Dhariwal (2021) as variances (steps,), at most 0.999."""
    time = (np.linspace(0, steps, steps + 1) / steps + offset) / (1 + offset)
    signal = np.cos(time * np.pi * 0.5) ** 2
    return np.clip(1 - signal[1:] / signal[:-1], 0, 0.999).astype(np.float32)


class FourierFeatures(nn.Module):
    """Learned sines and cosines of the diffusion time."""

    width: int

    @nn.compact
    def __call__(self, time: jax.Array) -> jax.Array:
        """(..., 1) to (..., width)."""
        kernel = self.param("kernel", nn.initializers.normal(0.2), (self.width // 2, time.shape[-1]))
        phase = 2 * jnp.pi * time @ kernel.T
        return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)], axis=-1)


class ConditionEncoder(nn.Module):
    """Embeds the diffusion time's features."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., width) to (..., width)."""
        hidden = nn.swish(nn.Dense(2 * self.width)(x))
        return nn.Dense(self.width)(hidden)


class MLPResNetBlock(nn.Module):
    """A residual block of two dense layers."""

    config: DiffusionConfig

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(..., hidden) to (..., hidden)."""
        hidden = nn.Dropout(self.config.dropout_rate, deterministic=not train)(x)
        if self.config.layer_norm:
            hidden = nn.LayerNorm()(hidden)
        hidden = nn.swish(nn.Dense(4 * x.shape[-1])(hidden))
        return x + nn.Dense(x.shape[-1])(hidden)


class MLPResNet(nn.Module):
    """Dense layer, residual blocks, dense layer."""

    config: DiffusionConfig

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(..., inputs) to (..., action_horizon * action_dim)."""
        x = nn.Dense(self.config.hidden_dim)(x)
        for index in range(self.config.num_blocks):
            x = MLPResNetBlock(self.config, name=f"MLPResNetBlock_{index}")(x, train)
        return nn.Dense(self.config.action_horizon * self.config.action_dim)(nn.swish(x))


class ScoreActor(nn.Module):
    """Predicts the noise from readout embedding, noisy action and diffusion time."""

    config: DiffusionConfig

    @nn.compact
    def __call__(self, embedding: jax.Array, noisy: jax.Array, time: jax.Array, train: bool = False) -> jax.Array:
        """`embedding` (..., D), `noisy` (..., H*A), `time` (..., 1) in raw steps to noise (..., H*A)."""
        features = FourierFeatures(self.config.time_dim, name="time_preprocess")(time.astype(jnp.float32))
        condition = ConditionEncoder(self.config.time_dim, name="cond_encoder")(features)
        embedding = jnp.broadcast_to(embedding, (*condition.shape[:-1], embedding.shape[-1]))
        inputs = jnp.concatenate([condition, embedding, noisy], axis=-1)
        return MLPResNet(self.config, name="reverse_network")(inputs, train)


class DiffusionActionHead(nn.Module):
    """Loss and sampling of normalised actions."""

    config: DiffusionConfig

    def setup(self) -> None:
        """Schedule and network."""
        self.map_head = Pooling(kind=self.config.pooling)
        self.diffusion_model = ScoreActor(self.config)
        self.betas = cosine_betas(self.config.steps)
        self.alpha_hats = np.cumprod(1 - self.betas)

    def __call__(self, readout: TokenGroup, noisy: jax.Array, time: jax.Array, train: bool = False) -> jax.Array:
        """The noise in `noisy` (..., B, W, H*A) at `time` (..., B, W, 1), given readout tokens (B, W, n, D)."""
        return self.diffusion_model(self.map_head(readout, train)[..., 0, :], noisy, time, train)

    def loss(
        self, readout: TokenGroup, actions: jax.Array, mask: jax.Array, draws: dict[str, jax.Array], train: bool
    ) -> dict[str, jax.Array]:
        """Denoising error; see `action_error`.

        `actions` (B, W, H, A) normalised, `mask` bool of that shape, `draws` of `loss_draws`.
        """
        time, noise = draws["time"], draws["noise"]
        clean = actions.reshape(*actions.shape[:2], -1).clip(-self.config.max_action, self.config.max_action)
        alpha_hat = jnp.asarray(self.alpha_hats)[time]
        noisy = jnp.sqrt(alpha_hat) * clean + jnp.sqrt(1 - alpha_hat) * noise
        predicted = self(readout, noisy, time, train)
        return action_error(predicted, noise, mask.reshape(clean.shape), self.config.loss, self.config.action_dim)

    def sample(self, readout: TokenGroup, draws: dict[str, jax.Array], valid: np.ndarray | None = None) -> jax.Array:
        """Actions (..., B, W, H, A) for `draws` of `sample_draws`; see `denoise`."""
        actions = self.denoise(readout, draws["start"], draws["noises"], valid)[-1]
        return actions.reshape(*actions.shape[:-1], self.config.action_horizon, self.config.action_dim)

    def denoise(
        self, readout: TokenGroup, start: jax.Array, noises: jax.Array, valid: np.ndarray | None = None
    ) -> jax.Array:
        """DDPM (Ho et al. 2020) from `start` (..., B, W, H*A) with `noises` (steps, ..., B, W, H*A), first draw first.

        Returns the noisy actions after each step (steps, ..., B, W, H*A). Zero noises give the deterministic path of
        means. The two ways to clip are the same mean where nothing is clipped; the first step divides by almost no
        signal, and clipping the predicted clean action (as Ho et al.'s own code does) keeps its error from leaving the
        range the network has seen. Dimensions of the action that are not `valid`, bool (A,), hold the noise that they
        had in training, where they were padding.
        """
        embedding = self.map_head(readout)[..., 0, :]
        betas, alpha_hats, limit = jnp.asarray(self.betas), jnp.asarray(self.alpha_hats), self.config.max_action
        previous = jnp.concatenate([jnp.ones(1), alpha_hats[:-1]])
        padding = None if valid is None else ~np.tile(valid, self.config.action_horizon)

        def step(x: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            time, noise = inputs
            beta, signal = betas[time], alpha_hats[time]
            predicted = self.diffusion_model(embedding, x, jnp.full((*x.shape[:-1], 1), time))
            scatter = (time > 0) * jnp.sqrt(beta) * noise
            if self.config.clip == "sample":
                mean = (x - beta / jnp.sqrt(1 - signal) * predicted) / jnp.sqrt(1 - beta)
                x = jnp.clip(mean + scatter, -limit, limit)
            else:
                clean = jnp.clip((x - jnp.sqrt(1 - signal) * predicted) / jnp.sqrt(signal), -limit, limit)
                before = previous[time]
                mean = jnp.sqrt(before) * beta * clean + jnp.sqrt(1 - beta) * (1 - before) * x
                x = mean / (1 - signal) + scatter
            if padding is not None:
                x = jnp.where(padding, jnp.sqrt(1 - signal) * noise, x)
            return x, x

        times = jnp.arange(self.config.steps - 1, -1, -1)
        _, path = jax.lax.scan(step, start, (times, noises))
        return path


def loss_draws(config: DiffusionConfig, key: jax.Array, batch: int, window: int) -> dict[str, Any]:
    """Diffusion times (K, B, W, 1) and noises (K, B, W, H*A), K draws per frame."""
    key_time, key_noise = jax.random.split(key)
    shape = (config.samples, batch, window)
    time = jax.random.randint(key_time, (*shape, 1), 0, config.steps)
    return {"time": time, "noise": jax.random.normal(key_noise, (*shape, config.action_horizon * config.action_dim))}


def sample_draws(config: DiffusionConfig, shape: tuple[int, ...], rng: np.random.Generator | None) -> dict[str, Any]:
    """Start (*shape, H*A) and noise of every step (steps, *shape, H*A); zeros, the most likely path, without `rng`."""
    size = (config.steps + 1, *shape, config.action_horizon * config.action_dim)
    noise = np.zeros(size, np.float32) if rng is None else rng.standard_normal(size, np.float32)
    return {"start": noise[0], "noises": noise[1:]}

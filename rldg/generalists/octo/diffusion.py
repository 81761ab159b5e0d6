"""The diffusion action head: it predicts the noise in an action, given the readout (after Chi et al. 2023)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.generalists.octo.config import DiffusionConfig


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

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., hidden) to (..., hidden)."""
        hidden = nn.swish(nn.Dense(4 * x.shape[-1])(nn.LayerNorm()(x)))
        return x + nn.Dense(x.shape[-1])(hidden)


class MLPResNet(nn.Module):
    """Dense layer, residual blocks, dense layer."""

    config: DiffusionConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., inputs) to (..., action_horizon * action_dim)."""
        x = nn.Dense(self.config.hidden_dim)(x)
        for index in range(self.config.num_blocks):
            x = MLPResNetBlock(name=f"MLPResNetBlock_{index}")(x)
        return nn.Dense(self.config.action_horizon * self.config.action_dim)(nn.swish(x))


class ScoreActor(nn.Module):
    """Predicts the noise from readout embedding, noisy action and diffusion time."""

    config: DiffusionConfig

    @nn.compact
    def __call__(self, embedding: jax.Array, noisy: jax.Array, time: jax.Array) -> jax.Array:
        """`embedding` (..., D), `noisy` (..., H*A), `time` (..., 1) in raw steps to noise (..., H*A)."""
        features = FourierFeatures(self.config.time_dim, name="time_preprocess")(time.astype(jnp.float32))
        condition = ConditionEncoder(self.config.time_dim, name="cond_encoder")(features)
        embedding = jnp.broadcast_to(embedding, (*condition.shape[:-1], embedding.shape[-1]))
        inputs = jnp.concatenate([condition, embedding, noisy], axis=-1)
        return MLPResNet(self.config, name="reverse_network")(inputs)


class DiffusionActionHead(nn.Module):
    """Loss and sampling of normalised actions."""

    config: DiffusionConfig

    def setup(self) -> None:
        """Schedule and network."""
        self.diffusion_model = ScoreActor(self.config)
        self.betas = cosine_betas(self.config.steps)
        self.alpha_hats = np.cumprod(1 - self.betas)

    def __call__(self, readout: jax.Array, noisy: jax.Array, time: jax.Array) -> jax.Array:
        """Readout tokens (B, W, n, D) averaged, then the noise in `noisy` (..., B, W, H*A) at `time` (..., B, W, 1)."""
        return self.diffusion_model(readout.mean(axis=-2), noisy, time)

    def loss(
        self, readout: jax.Array, actions: jax.Array, mask: jax.Array, time: jax.Array, noise: jax.Array
    ) -> jax.Array:
        """Denoising loss, Octo's scale: squared error averaged over what `mask` keeps, times the action dimension.

        `actions` (B, W, H, A) normalised, `mask` bool of that shape, `time` int (K, B, W, 1), `noise` (K, B, W, H*A)
        for K draws per frame.
        """
        clean = actions.reshape(*actions.shape[:2], -1).clip(-self.config.max_action, self.config.max_action)
        kept = mask.reshape(clean.shape)
        alpha_hat = jnp.asarray(self.alpha_hats)[time]
        noisy = jnp.sqrt(alpha_hat) * clean + jnp.sqrt(1 - alpha_hat) * noise
        error = jnp.square(self(readout, noisy, time) - noise) * kept
        share = jnp.clip(jnp.broadcast_to(kept, error.shape).mean(), 1e-5)
        return error.mean() / share * self.config.action_dim

    def denoise(self, readout: jax.Array, start: jax.Array, noises: jax.Array) -> jax.Array:
        """DDPM (Ho et al. 2020) from `start` (..., B, W, H*A) with `noises` (steps, ..., B, W, H*A), first draw first.

        Returns actions (..., B, W, H, A). Zero noises give the deterministic path of means. The two ways to clip are
        the same mean where nothing is clipped; the first step divides by almost no signal, and clipping the predicted
        clean action (as Ho et al.'s own code does) keeps its error from leaving the range the network has seen.
        """
        betas, alpha_hats, limit = jnp.asarray(self.betas), jnp.asarray(self.alpha_hats), self.config.max_action
        previous = jnp.concatenate([jnp.ones(1), alpha_hats[:-1]])

        def step(x: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            time, noise = inputs
            beta, signal = betas[time], alpha_hats[time]
            predicted = self(readout, x, jnp.full((*x.shape[:-1], 1), time))
            scatter = (time > 0) * jnp.sqrt(beta) * noise
            if self.config.clip == "sample":
                mean = (x - beta / jnp.sqrt(1 - signal) * predicted) / jnp.sqrt(1 - beta)
                return jnp.clip(mean + scatter, -limit, limit), None
            clean = jnp.clip((x - jnp.sqrt(1 - signal) * predicted) / jnp.sqrt(signal), -limit, limit)
            before = previous[time]
            mean = jnp.sqrt(before) * beta * clean + jnp.sqrt(1 - beta) * (1 - before) * x
            return mean / (1 - signal) + scatter, None

        times = jnp.arange(self.config.steps - 1, -1, -1)
        actions, _ = jax.lax.scan(step, start, (times, noises))
        return actions.reshape(*actions.shape[:-1], self.config.action_horizon, self.config.action_dim)

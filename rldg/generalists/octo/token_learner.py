"""iRe-VLA's head (Guo et al. 2025): tokens pooled into one by learned weights (Ryoo et al. 2021), then an MLP.

The critic of the reinforcement learning has the same form with a single output.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.generalists.octo.config import TokenLearnerConfig
from rldg.generalists.octo.losses import action_error
from rldg.generalists.octo.transformer import TokenGroup


class PooledMlp(nn.Module):
    """A token learner of one token and an MLP: (..., m, D) to (..., outputs). Starts near zero."""

    hidden: tuple[int, ...]
    outputs: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Tokens (..., m, D), float32."""
        normed = nn.LayerNorm(name="norm")(tokens)
        scores = nn.Dense(1, name="score")(nn.gelu(nn.Dense(tokens.shape[-1], name="attend")(normed)))
        x = (jax.nn.softmax(scores, axis=-2) * normed).sum(-2)
        for number, width in enumerate(self.hidden):
            x = nn.gelu(nn.LayerNorm(name=f"norm_{number}")(nn.Dense(width, name=f"dense_{number}")(x)))
        return nn.Dense(self.outputs, kernel_init=nn.initializers.normal(0.01), name="output")(x)


class TokenLearnerHead(nn.Module):
    """Actions from the readout tokens, trained by mean squared error."""

    config: TokenLearnerConfig

    def setup(self) -> None:
        """Pooling and MLP."""
        self.mlp = PooledMlp(self.config.hidden, self.config.action_horizon * self.config.action_dim)

    def __call__(self, readout: TokenGroup, train: bool = False) -> jax.Array:
        """Readout tokens (B, W, m, D) to actions (B, W, H, A), within +- `max_action`."""
        del train
        mean = self.mlp(readout.tokens)
        mean = mean.reshape(*mean.shape[:-1], self.config.action_horizon, self.config.action_dim)
        return jnp.tanh(mean / self.config.max_action) * self.config.max_action

    def loss(
        self, readout: TokenGroup, actions: jax.Array, mask: jax.Array, draws: dict[str, jax.Array], train: bool
    ) -> dict[str, jax.Array]:
        """Error of the predicted actions; see `action_error`. Nothing is drawn."""
        del draws
        return action_error(self(readout, train), actions, mask, "mse", self.config.action_dim)

    def sample(self, readout: TokenGroup, draws: dict[str, jax.Array], valid: np.ndarray | None = None) -> jax.Array:
        """The predicted actions (B, W, H, A)."""
        del draws, valid
        return self(readout)

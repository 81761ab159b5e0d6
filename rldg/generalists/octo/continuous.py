"""The heads that predict actions directly."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rldg.generalists.octo.config import ContinuousConfig
from rldg.generalists.octo.losses import action_error
from rldg.generalists.octo.pooling import Pooling
from rldg.generalists.octo.transformer import TokenGroup


class ContinuousActionHead(nn.Module):
    """A dense layer over the pooled readout (the original's L1ActionHead and MSEActionHead)."""

    config: ContinuousConfig

    def setup(self) -> None:
        """Pooling and the dense layer."""
        self.map_head = Pooling(kind=self.config.pooling)
        self.mean_proj = nn.Dense(self.config.action_horizon * self.config.action_dim)

    def __call__(self, readout: TokenGroup, train: bool = False) -> jax.Array:
        """Readout tokens (B, W, n, D) to actions (B, W, H, A), within +- `max_action`."""
        limit = self.config.max_action
        mean = self.mean_proj(self.map_head(readout, train)[..., 0, :])
        mean = mean.reshape(*mean.shape[:-1], self.config.action_horizon, self.config.action_dim)
        return jnp.tanh(mean / limit) * limit

    def loss(
        self, readout: TokenGroup, actions: jax.Array, mask: jax.Array, draws: dict[str, jax.Array], train: bool
    ) -> dict[str, jax.Array]:
        """Error of the predicted actions; see `action_error`. Nothing is drawn."""
        del draws
        return action_error(self(readout, train), actions, mask, self.config.loss, self.config.action_dim)

    def sample(self, readout: TokenGroup, draws: dict[str, jax.Array], valid: np.ndarray | None = None) -> jax.Array:
        """The predicted actions (B, W, H, A)."""
        del draws, valid
        return self(readout)

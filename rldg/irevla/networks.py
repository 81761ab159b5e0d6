"""The policy and the critic on a generalist's latents, and on the whole model."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from rldg.generalists.octo.config import ModelConfig, TokenLearnerConfig
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.token_learner import PooledMlp, TokenLearnerHead
from rldg.generalists.octo.transformer import TokenGroup
from rldg.irevla.distributions import Gaussian

ACTOR, CRITIC, LOG_STD, TRUNK = "actor", "critic", "log_std", "trunk"


@dataclass(frozen=True)
class LatentNetwork:
    """The action head, and a critic that mirrors it, on latents (n, m, D): the output tokens of a frozen trunk."""

    head: TokenLearnerConfig
    active: tuple[bool, ...]  # numbers of an action that do something

    def __call__(self, params: Any, seen: Any) -> tuple[Gaussian, jax.Array]:
        """See `rldg.irevla.ppo.Network`; actions are normalised as the head's are."""
        tokens = seen[:, None].astype(jnp.float32)
        group = TokenGroup(tokens, jnp.ones(tokens.shape[:-1], bool), "readout_action")
        mean: Any = TokenLearnerHead(self.head).apply({"params": params[ACTOR]}, group)
        value: Any = self._critic.apply({"params": params[CRITIC]}, seen)
        return Gaussian(mean[:, 0, 0], params[LOG_STD], jnp.array(self.active, jnp.float32)), value[:, 0]

    @property
    def _critic(self) -> PooledMlp:
        return PooledMlp(self.head.hidden, 1)

    def init(self, head: Any, latents: Any, initial_std: float, seed: int) -> dict[str, Any]:
        """Parameters: the trained `head`, a fresh critic, the deviation that exploration begins with."""
        critic = jax.jit(self._critic.init)(jax.random.key(seed), latents)["params"]
        log_std = jnp.full(self.head.action_dim, jnp.log(initial_std))
        return {ACTOR: head, CRITIC: critic, LOG_STD: log_std}


@dataclass(frozen=True)
class WholeNetwork:
    """The same over a trunk that learns too, on frames of an observation; for the baselines that train everything."""

    model: ModelConfig
    heads: LatentNetwork

    def __call__(self, params: Any, seen: Any) -> tuple[Gaussian, jax.Array]:
        """`seen` holds what `OctoModule.readout` takes: `observation`, and `task` with a row for each frame."""
        module = OctoModule(self.model)
        group: Any = module.apply(
            {"params": {"octo_transformer": params[TRUNK]}}, seen["observation"], seen["task"], method="readout"
        )
        return self.heads(params, group.tokens[:, -1])

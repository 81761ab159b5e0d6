"""The action head that a configuration names, and the random numbers that its loss and its samples need.

The numbers are drawn outside the model, so that the model is a function: the same draws give the same actions on any
version of JAX, and zeros give the greedy ones.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from rldg.generalists.octo import diffusion, discrete
from rldg.generalists.octo.config import (
    ContinuousConfig,
    DiffusionConfig,
    DiscreteConfig,
    HeadConfig,
    TokenLearnerConfig,
)
from rldg.generalists.octo.continuous import ContinuousActionHead
from rldg.generalists.octo.token_learner import TokenLearnerHead

ActionHead = diffusion.DiffusionActionHead | ContinuousActionHead | discrete.DiscreteActionHead | TokenLearnerHead
Draws = dict[str, Any]


def make_head(config: HeadConfig, name: str | None = None) -> ActionHead:
    """The module of a head's configuration."""
    if isinstance(config, DiffusionConfig):
        return diffusion.DiffusionActionHead(config, name=name)
    if isinstance(config, ContinuousConfig):
        return ContinuousActionHead(config, name=name)
    if isinstance(config, TokenLearnerConfig):
        return TokenLearnerHead(config, name=name)
    return discrete.DiscreteActionHead(config, name=name)


def loss_draws(config: HeadConfig, key: jax.Array, batch: int, window: int) -> Draws:
    """What the head's loss draws for a batch; nothing but for diffusion."""
    return diffusion.loss_draws(config, key, batch, window) if isinstance(config, DiffusionConfig) else {}


def sample_draws(config: HeadConfig, shape: tuple[int, ...], rng: np.random.Generator | None) -> Draws:
    """What a sample of shape (..., B, W) draws; the greedy action if `rng` is None."""
    if isinstance(config, DiffusionConfig):
        return diffusion.sample_draws(config, shape, rng)
    return discrete.sample_draws(config, shape, rng) if isinstance(config, DiscreteConfig) else {}


def joined_draws(draws: Sequence[Draws]) -> Draws:
    """The draws of one batch, made of those of several, each of shape (B, 1)."""
    return {name: np.concatenate([one[name] for one in draws], axis=int(name == "noises")) for name in draws[0]}

"""The optimiser: gradient clipping, then Muon or AdamW with warm-up and decay."""

from typing import Any

import jax
import optax
import optax.contrib

from rldg.generalists.octo.recipes import FinetuneConfig


def learning_rate(config: FinetuneConfig) -> optax.Schedule:
    """Linear warm-up to `config.learning_rate`, then `config.schedule`."""
    peak, warmup = config.learning_rate, config.warmup_steps
    if config.schedule == "cosine":
        return optax.schedules.warmup_cosine_decay_schedule(0.0, peak, warmup, max(config.steps, warmup + 1))
    after = {
        "constant": optax.schedules.constant_schedule(peak),
        "rsqrt": lambda step: peak * jax.lax.rsqrt(1 + step / config.timescale),
    }
    return optax.schedules.join_schedules(
        [optax.schedules.linear_schedule(0.0, peak, warmup), after[config.schedule]], [warmup]
    )


def make_optimizer(config: FinetuneConfig) -> optax.GradientTransformation:
    """The transformation for the trained weights, a dictionary of paths.

    Muon (Jordan et al. 2024) gives every direction of a matrix's update the same length. Trained from scratch on few
    frames, `octo-tiny` needs markedly fewer updates with it than with AdamW.
    """
    rate = learning_rate(config)
    adam: dict[str, Any] = {"eps": config.epsilon, "mu_dtype": config.moment, "weight_decay": config.weight_decay}
    if config.optimizer == "muon":
        rule = optax.contrib.muon(
            lambda step: config.matrix_rate * rate(step),
            adam_learning_rate=rate,
            adam_b1=config.beta1,
            adam_b2=config.beta2,
            **adam,
        )
    else:
        mask = None if config.decay_all else _kernels
        rule = optax.adamw(rate, config.beta1, config.beta2, mask=mask, **adam)
    return optax.chain(optax.clip_by_global_norm(config.clip_gradient), rule) if config.clip_gradient else rule


def _kernels(weights: dict[str, Any]) -> dict[str, bool]:
    return {path: "kernel" in path for path in weights}


def moving_average(average: Any, weights: Any, step: jax.Array, decay: float) -> Any:
    """Exponential moving average of the weights; early on the decay is smaller, so that the start is forgotten."""
    rate = 1 - jax.numpy.minimum(decay, (1 + step) / (10 + step))
    return optax.incremental_update(weights, average, rate)

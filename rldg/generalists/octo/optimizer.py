"""The optimiser: gradient clipping, then Muon or AdamW with warm-up and decay; frozen parts left alone."""

from fnmatch import fnmatch
from typing import Any

import jax
import optax
import optax.contrib
from flax import traverse_util

from rldg.errors import UnknownNameError
from rldg.generalists.octo.recipes import FinetuneConfig

FROZEN = ("*hf_model*",)  # a pretrained text encoder is never trained


def learning_rate(config: FinetuneConfig) -> optax.Schedule:
    """Linear warm-up to `config.learning_rate`, then a cosine to zero or a constant."""
    peak, warmup = config.learning_rate, config.warmup_steps
    if config.schedule == "constant":
        return optax.schedules.join_schedules(
            [optax.schedules.linear_schedule(0.0, peak, warmup), optax.schedules.constant_schedule(peak)], [warmup]
        )
    return optax.schedules.warmup_cosine_decay_schedule(0.0, peak, warmup, max(config.steps, warmup + 1))


def make_optimizer(config: FinetuneConfig) -> optax.GradientTransformation:
    """The transformation for a whole parameter tree.

    Muon (Jordan et al. 2024) gives every direction of a matrix's update the same length. Trained from scratch on few
    frames, `octo-tiny` needs markedly fewer updates with it than with AdamW.
    """
    if config.optimizer not in ("muon", "adamw"):
        raise UnknownNameError("optimizer", config.optimizer, ("muon", "adamw"))
    rate = learning_rate(config)
    if config.optimizer == "muon":
        rule = optax.contrib.muon(
            lambda step: config.matrix_rate * rate(step), weight_decay=config.weight_decay, adam_learning_rate=rate
        )
    else:
        rule = optax.adamw(rate, weight_decay=config.weight_decay, mask=_kernels)
    trained = optax.chain(optax.clip_by_global_norm(config.clip_gradient), rule)
    return optax.multi_transform({"trained": trained, "frozen": optax.set_to_zero()}, _labels)


def _kernels(params: Any) -> Any:
    return traverse_util.path_aware_map(lambda path, _: path[-1] == "kernel", params)


def _labels(params: Any) -> Any:
    return traverse_util.path_aware_map(
        lambda path, _: (
            "frozen" if any(fnmatch("/".join(map(str, path)), pattern) for pattern in FROZEN) else "trained"
        ),
        params,
    )


def moving_average(average: Any, params: Any, step: jax.Array, decay: float) -> Any:
    """Exponential moving average of the weights; early on the decay is smaller, so that the start is forgotten."""
    rate = 1 - jax.numpy.minimum(decay, (1 + step) / (10 + step))
    return optax.incremental_update(params, average, rate)

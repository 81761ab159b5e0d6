"""The rule by which an OpenVLA's weights are updated."""

import math

import torch
from torch import nn

from rldg.generalists.openvla.recipes import FinetuneConfig

_TABLES = ("embed_tokens", "lm_head")  # matrices whose rows belong to tokens


def make_optimizers(module: nn.Module, config: FinetuneConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything that wants gradients, or Muon for its matrices and AdamW for the rest.

    Muon (Jordan et al. 2024) is for training from scratch; of a table of tokens most rows have no gradient, so tables
    are left to AdamW, as its authors do.
    """
    matrices, rest = [], []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            matrix = config.optimizer == "muon" and parameter.ndim == 2 and not any(table in name for table in _TABLES)
            (matrices if matrix else rest).append(parameter)
    adam = torch.optim.AdamW(
        rest,
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        weight_decay=config.weight_decay,
    )
    return [adam, torch.optim.Muon(matrices, weight_decay=config.weight_decay)] if matrices else [adam]


def learning_rate(config: FinetuneConfig, step: int) -> float:
    """Of the update number `step`, counted from 0."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "cosine":
        past = max(0, step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        rate *= 0.5 * (1 + math.cos(math.pi * past))
    return rate

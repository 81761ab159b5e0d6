"""Stages 0 and 2: supervised learning by mean squared error, on the loader and learner of Octo's fine-tuning."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.train import finetune
from rldg.irevla.config import IrevlaConfig


def stage_0(config: IrevlaConfig, out: Path, seed: int) -> Path:
    """The generalist on expert data alone; for learning from scratch, its random weights beside the data's statistics.

    Returns its run folder.
    """
    how = config.supervised
    if config.method == "scratch":  # one update at a learning rate of nothing: the first of a warm-up
        how = replace(how, steps=1, warmup_steps=1, checkpoint_every=1)
    finetune(how, list(config.expert), out, seed, init=None if config.method == "scratch" else config.init)
    return out


def stage_2(config: IrevlaConfig, start: Path, collected: Sequence[Path], out: Path, seed: int) -> Path:
    """Trunk and head on the expert data and what was collected, from the checkpoint `start`; returns the run folder."""
    finetune(retraining(config), [*config.expert, *collected], out, seed, init=start, keep_statistics=True)
    return out


def retraining(config: IrevlaConfig) -> FinetuneConfig:
    """How stage 2 trains."""
    changed: dict[str, Any] = {"mode": "head_only"} if config.method == "freeze" else {}
    return replace(config.retrain, **changed)

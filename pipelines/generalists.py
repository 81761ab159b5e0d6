"""Which generalist a pipeline trains, and how: each one's small model, from scratch, by its own default recipe."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rldg.cli.finetune import octo, openvla

Generalist = Literal["octo", "openvla"]
_VERBS: dict[str, Any] = {"octo": octo, "openvla": openvla}


def fine_tuning(
    generalist: Generalist, data: tuple[Path, ...], out: Path, seed: int, updates: int | None = None, points: int = 8
) -> octo.Args | openvla.Args:
    """One training; None: as many updates as the recipe has. `points` checkpoints are kept, spread evenly."""
    verb = _VERBS[generalist]
    config = verb.FinetuneConfig()
    steps = updates or config.steps
    config = replace(config, steps=steps, checkpoint_every=max(1, steps // points))
    return verb.Args(data=data, out=out, seed=seed, config=config)

"""Fine-tunes a generalist on data sets; `octo-tiny`, the default, is trained from scratch on one CPU core.

Example: rldg finetune octo --data runs/data --out runs/octo
The same command continues a training that was interrupted.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from rldg.cli.output import emit
from rldg.generalists.octo.recipes import FinetuneConfig


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg finetune`."""

    # Which generalist.
    generalist: tyro.conf.Positional[Literal["octo"]]
    # Folders of data sets; their successful episodes are trained on.
    data: tuple[Path, ...]
    # Run folder.
    out: Path
    # Checkpoint folder to start from instead of random weights.
    init: Path | None = None
    # Seed of weights, batches and noise.
    seed: int = 0
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False
    # Model, budget and rates of the training.
    config: FinetuneConfig = field(default_factory=FinetuneConfig)


def main(args: Args) -> int:
    """Exit status 0 once the training is finished."""
    from rldg.generalists.octo.train import finetune  # JAX: not for --help

    result = finetune(args.config, list(args.data), args.out, args.seed, init=args.init, overwrite=args.overwrite)
    text = f"{args.out}: {result['updates']} updates on {result['frames']} frames, loss {result['loss']:.3f}"
    emit({"generalist": args.generalist, "out": args.out, **result}, args.json, text)
    return 0

"""Fine-tunes OpenVLA on data sets; `openvla-tiny`, the default, is trained from scratch on one CPU core.

Example: rldg finetune openvla --recipe rldg --data runs/data --out runs/openvla --merge
`--recipe NAME` takes all of a recipe's choices, of which further options change some.
The same command continues a training that was interrupted. Several GPUs: accelerate launch --module rldg finetune ...
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tyro

from rldg.cli.finetune.shared import Shared, recipe_name, report
from rldg.generalists.openvla.recipes import FinetuneConfig, recipe


@dataclass(frozen=True)
class Args(Shared):
    """Arguments of `rldg finetune openvla`."""

    # openvla-tiny, or rldg (as RLDG's authors fine-tuned OpenVLA).
    recipe: str = "openvla-tiny"
    # Checkpoint to start from instead of random weights: a folder, or a hub id such as hf://openvla/openvla-7b.
    init: str | None = None
    # In the end, write the whole model with its adapters added in to the run folder's `merged`.
    merge: bool = False
    # Model, budget and rates of the training.
    config: FinetuneConfig = field(default_factory=FinetuneConfig)


def defaults(command_line: Sequence[str]) -> Args:
    """What options that are not given stand for, with the recipe that is named on the command line."""
    name = recipe_name(command_line, Args.recipe)
    missing: Any = tyro.MISSING
    found = recipe(name)
    return Args(data=missing, out=missing, recipe=name, init=found.init, config=found.config)


def main(args: Args) -> int:
    """Exit status 0 once the training is finished."""
    trial = args.trial()
    from rldg.generalists.openvla.train import finetune  # PyTorch: not for --help

    result = finetune(
        args.config,
        list(args.data),
        args.out,
        args.seed,
        init=args.init,
        overwrite=args.overwrite,
        on_checkpoint=trial,
        wandb=args.wandb,
        merge=args.merge,
    )
    return report("openvla", args, result)

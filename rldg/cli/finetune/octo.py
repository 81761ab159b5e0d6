"""Fine-tunes Octo on data sets; `octo-tiny`, the default, is trained from scratch on one CPU core.

Example: rldg finetune octo --data runs/data --out runs/octo
`--recipe NAME` takes all of a recipe's choices, of which further options change some.
The same command continues a training that was interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tyro

from rldg.cli.finetune.shared import Shared, recipe_name, report
from rldg.generalists.octo.recipes import FinetuneConfig, recipe


@dataclass(frozen=True)
class Args(Shared):
    """Arguments of `rldg finetune octo`."""

    # octo-tiny, rldg (as RLDG's authors fine-tuned Octo) or octo (the defaults of Octo's own script).
    recipe: str = "octo-tiny"
    # Checkpoint to start from instead of random weights: a folder, or a hub id such as hf://rail-berkeley/octo-base-1.5.
    init: str | None = None
    # Train together with the same command on other hosts, over a run folder that all see.
    distributed: bool = False
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
    from rldg.generalists.octo.train import finetune  # JAX: not for --help

    result = finetune(
        args.config,
        list(args.data),
        args.out,
        args.seed,
        init=args.init,
        overwrite=args.overwrite,
        on_checkpoint=trial,
        wandb=args.wandb,
        distributed=args.distributed,
    )
    return report("octo", args, result)

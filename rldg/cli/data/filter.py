"""Writes the episodes that satisfy a condition as a new data set.

The condition is in Python's notation, over the episode's metadata (success, task, seed, failure_reason, ...) and
episode (its number), split, steps (how many), instruction, intervention_share (0 .. 1). A name that does not exist is
answered with all that do.

Examples:
  rldg data filter runs/data "success and steps < 40" --out runs/short
  rldg data filter runs/data "task == 'usb_a_insertion' and intervention_share == 0" --out runs/usb
  rldg data filter runs/data "failure_reason in ['jam', 'force_limit']" --out runs/jams
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.edited import EditArgs, tell


@dataclass(frozen=True, kw_only=True)
class Args(EditArgs):
    """Arguments of `rldg data filter`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # What an episode has to satisfy.
    where: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CONDITION")]


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 if no episode satisfies the condition and 2 if it means nothing."""
    from rldg.data.editing.filter import filter_dataset  # TFDS: not for --help

    return tell(filter_dataset(args.folder, args.where, args.out, overwrite=args.overwrite), args)

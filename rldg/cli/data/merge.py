"""Writes the episodes of several data sets as one. Sets with other features or action contracts are refused.

Examples:
  rldg data merge runs/usb runs/vga runs/ethernet --out runs/connectors
  rldg data merge runs/usb runs/vga runs/ethernet --equal-counts --out runs/connectors
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.edited import EditArgs, tell


@dataclass(frozen=True, kw_only=True)
class Args(EditArgs):
    """Arguments of `rldg data merge`."""

    # The data sets: folders with `features.json`.
    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DIR DIR ...")]
    # Take the same number of episodes of each task, as many as the rarest has.
    equal_counts: bool = False
    # Names whose values count as a task for --equal-counts.
    per: tuple[str, ...] = ("task",)
    # Seed of that draw.
    seed: int = 0
    # Allow different episodes under one episode_id.
    repeated_ids: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 for sets that do not go together."""
    from rldg.data.editing.merge import merge_datasets  # TFDS: not for --help

    result = merge_datasets(
        args.folders,
        args.out,
        equal_counts=args.equal_counts,
        per=args.per,
        seed=args.seed,
        repeated_ids=args.repeated_ids,
        overwrite=args.overwrite,
    )
    return tell(result, args)

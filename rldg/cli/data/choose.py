"""Writes the fastest successes of each task, or those whose paths differ most, as a new data set.

Examples:
  rldg data choose runs/data --by fastest --share 0.5 --out runs/fast
  rldg data choose runs/merged --by diverse --count 15 --out runs/diverse
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rldg.cli.edited import EditArgs, tell


@dataclass(frozen=True, kw_only=True)
class Args(EditArgs):
    """Arguments of `rldg data choose`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Fewest steps first, or always the path that is farthest from all that were chosen before.
    by: Literal["fastest", "diverse"]
    # How many episodes of each group.
    count: int | None = None
    # How many instead, as a share of each group's successes: 0 .. 1.
    share: float | None = None
    # Names whose values make groups that are chosen from one by one.
    per: tuple[str, ...] = ("task",)
    # Split to choose from; by default train, or the only one. Others are kept whole.
    split: str = ""


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 if there are too few episodes."""
    from rldg.data.editing.choose import choose_dataset  # TFDS: not for --help

    result = choose_dataset(
        args.folder,
        args.by,
        args.out,
        count=args.count,
        share=args.share,
        per=args.per,
        split=args.split,
        overwrite=args.overwrite,
    )
    return tell(result, args)

"""Writes episodes drawn at random as a new data set. With one seed, a smaller sample is part of a larger one.

Examples:
  rldg data subsample runs/data --count 15 --successes --out runs/small
  rldg data subsample runs/merged --count 15 --per task --seed 1 --out runs/15-each
  rldg data subsample runs/merged --share 0.25 --stratify task success --out runs/quarter
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.edited import EditArgs, tell


@dataclass(frozen=True, kw_only=True)
class Args(EditArgs):
    """Arguments of `rldg data subsample`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # How many episodes; of each group, if there is --per.
    count: int | None = None
    # How many instead, as a share of those that may be drawn: 0 .. 1.
    share: float | None = None
    # Seed of the draw.
    seed: int = 0
    # Split to draw from; by default train, or the only one. Others are kept whole.
    split: str = ""
    # Draw from the successes only.
    successes: bool = False
    # Names whose values make groups that are drawn from one by one, such as task.
    per: tuple[str, ...] = ()
    # Names whose values keep their shares in the sample, such as task or success.
    stratify: tuple[str, ...] = ()


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 if there are too few episodes."""
    from rldg.data.editing.subsample import subsample_dataset  # TFDS: not for --help

    result = subsample_dataset(
        args.folder,
        args.out,
        count=args.count,
        share=args.share,
        seed=args.seed,
        split=args.split,
        successes=args.successes,
        per=args.per,
        stratify=args.stratify,
        overwrite=args.overwrite,
    )
    return tell(result, args)

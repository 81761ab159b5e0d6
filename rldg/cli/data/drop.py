"""Writes all episodes but some as a new data set. The numbers of those that follow move up.

Example: rldg data drop runs/data --episodes 3 7 10-20 --out runs/cleaned
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.edited import EditArgs, tell


@dataclass(frozen=True, kw_only=True)
class Args(EditArgs):
    """Arguments of `rldg data drop`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Numbers of the episodes to leave out, from 0, and ranges that include both ends.
    episodes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="N|N-N ...")]
    # Split in which the numbers count; by default train, or the only one. Others are kept whole.
    split: str = ""


def main(args: Args) -> int:
    """Exit status 0, or by exception 2 for numbers of no episode."""
    from rldg.data.editing.drop import drop_episodes  # TFDS: not for --help

    return tell(drop_episodes(args.folder, args.episodes, args.out, split=args.split, overwrite=args.overwrite), args)

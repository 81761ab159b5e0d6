"""Writes a data set anew with whole episodes set aside for validation, as a second split of the same folder.

Examples:
  rldg data split runs/data --validation 0.1 --out runs/divided
  rldg data split runs/merged --validation 0.1 --stratify task --out runs/divided
  rldg data split runs/merged --validation 0.2 --together task seed --out runs/by-scene
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.edited import EditArgs, tell


@dataclass(frozen=True, kw_only=True)
class Args(EditArgs):
    """Arguments of `rldg data split`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Share of the episodes to set aside, between 0 and 1; at least one.
    validation: float
    # Seed of the draw.
    seed: int = 0
    # Split to divide; by default train, or the only one. Others are kept whole.
    split: str = ""
    # Name of the new split; the loaders of Octo and OpenVLA look for val.
    name: str = "val"
    # Names whose equal values keep episodes on one side: `task seed` for scenes, `task` for whole tasks.
    together: tuple[str, ...] = ()
    # Names whose values have the same shares on both sides, such as task or success.
    stratify: tuple[str, ...] = ()


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 if there is nothing to divide."""
    from rldg.data.editing.split import split_dataset  # TFDS: not for --help

    result = split_dataset(
        args.folder,
        args.out,
        validation=args.validation,
        seed=args.seed,
        split=args.split,
        name=args.name,
        together=args.together,
        stratify=args.stratify,
        overwrite=args.overwrite,
    )
    return tell(result, args)

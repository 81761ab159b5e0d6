"""Saves every whole episode of a damaged data set into a new one, and says what is lost.

Examples:
  rldg data repair runs/damaged --out runs/repaired
  rldg data repair runs/damaged --features-from runs/other --out runs/repaired
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.output import emit


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data repair`."""

    # The damaged data set; it stays as it is.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Folder of the repaired one.
    out: Path
    # A data set of the same fields, where the damaged one has lost its `features.json`.
    features_from: Path | None = None
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once what could be saved is saved, whatever was lost."""
    from rldg.data.repair import repair  # TFDS: not for --help

    result = repair(args.folder, args.out, features_from=args.features_from, progress=True)
    lost = [f"lost: {loss['text']}" for loss in result["lost"]]
    text = "\n".join([*lost, f"{result['episodes']} episodes saved, {len(lost)} lost; {args.out}"])
    emit({"folder": args.folder, "out": args.out, **result}, args.json, text)
    return 0

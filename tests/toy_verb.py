"""A verb as small as can be, for grids of cells: writes a number that is made of those it needs."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from rldg.errors import UsageError
from rldg.stage import stage, write_json


@dataclass(frozen=True)
class Args:
    """Arguments of the verb."""

    number: int
    out: Path
    needs: tuple[Path, ...] = ()
    seconds: float = 0.0
    workers: int = 1
    overwrite: bool = False


def main(args: Args) -> int:
    """Sums up, after so many seconds; refuses a negative number. Each attempt leaves a line in the file `attempts`."""
    with stage(args.out, "toy", {"number": args.number}):
        with open(args.out / "attempts", "a", encoding="utf-8") as attempts:
            attempts.write(f"{os.getpid()}\n")
        if args.number < 0:
            raise UsageError(f"{args.number} is negative.")
        time.sleep(args.seconds)
        before = [int((folder / "sum.json").read_text(encoding="utf-8")) for folder in args.needs]
        write_json(args.out / "sum.json", args.number + sum(before))
    return 0

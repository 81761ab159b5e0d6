"""Prints the statistics by which actions and states are normalised.

Example: rldg data stats runs/data
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.output import emit, table


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data stats`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Take failed episodes in, too.
    failures: bool = False
    # Column of the actions; foreign data sets have e.g. `eef_action`.
    action: str = "action"
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 for a data set that is broken."""
    from rldg.data.reader import open_dataset  # TFDS: not for --help
    from rldg.data.statistics import compute_statistics

    dataset = open_dataset(args.folder)
    statistics = compute_statistics(dataset if args.failures else dataset.successes(), action=args.action)
    header = ("column", "dimension", "mean", "std", "min", "q01", "q99", "max")
    rows = [
        (name, i, *(f"{statistics[name][key][i]:.5g}" for key in header[2:]))
        for name in ("action", "proprio")
        if name in statistics
        for i in range(len(statistics[name]["mean"]))
    ]
    counts = f"{statistics['num_transitions']} steps in {statistics['num_trajectories']} episodes"
    emit(statistics, args.json, f"{counts}\n{table(header, rows)}")
    return 0

"""Prints the statistics by which actions and states are normalised; writes the files that Octo and OpenVLA look for.

The table is of the successful episodes; the files are of all, as their loaders would compute them.

Examples:
  rldg data stats runs/data
  rldg data stats data/usb_rl/1.0.0 --write octo openvla
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rldg.cli.output import emit, table
from rldg.data.registration.choices import NOTHING_CHOSEN, Choices


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data stats`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Take failed episodes in, too.
    failures: bool = False
    # Loaders to write `dataset_statistics_<hash>.json` for, beside the records.
    write: tuple[Literal["octo", "openvla"], ...] = ()
    # Which columns the loaders read, and where they look.
    choices: Choices = NOTHING_CHOSEN
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 for a data set that is broken."""
    from rldg.data.reader import open_dataset
    from rldg.data.registration.entry import chosen_action
    from rldg.data.registration.statistics_files import write_statistics  # TFDS: not for --help
    from rldg.data.statistics import compute_statistics

    dataset = open_dataset(args.folder)
    statistics = compute_statistics(
        dataset if args.failures else dataset.successes(),
        chosen_action(dataset, args.choices),
        f"observation/{args.choices.state or 'state'}",
    )
    written = write_statistics(args.folder, args.write, args.choices) if args.write else {}
    header = ("column", "dimension", "mean", "std", "min", "q01", "q99", "max")
    rows = [
        (name, i, *(f"{statistics[name][key][i]:.5g}" for key in header[2:]))
        for name in ("action", "proprio")
        if name in statistics
        for i in range(len(statistics[name]["mean"]))
    ]
    counts = f"{statistics['num_transitions']} steps in {statistics['num_trajectories']} episodes"
    files = "".join(f"\nwrote {path}" for path in written.values())
    emit(statistics | {"written": written}, args.json, f"{counts}\n{table(header, rows)}{files}")
    return 0

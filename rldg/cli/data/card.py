"""Writes a data card beside the records: README.md for people and the hub, plots and sample frames, SHA256SUMS.

Example: rldg data card data/usb_rl/1.0.0 --license cc-by-4.0
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.output import emit
from rldg.data.registration.choices import Choices


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data card`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Licence of the data, as the Hugging Face hub calls it (https://huggingface.co/docs/hub/repositories-licenses).
    license: str = "cc-by-4.0"
    # Column of the actions; by default `action`, else `eef_action`, else `base_action`.
    action: str = ""
    # Column of the state within the observation; by default `state`, if there is one.
    state: str = ""
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 for a data set that is broken."""
    from rldg.data.card.write import write_card  # TFDS and matplotlib: not for --help

    files = write_card(args.folder, license=args.license, choices=Choices(action=args.action, state=args.state))
    emit({"files": files}, args.json, "\n".join(f"wrote {file}" for file in files))
    return 0

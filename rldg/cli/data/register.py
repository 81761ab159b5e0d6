"""Writes what Octo and OpenVLA must be told of a data set, ready to paste, and warns of what their loaders trip over.

Examples:
  rldg data register data/usb_rl/1.0.0 --out register
  rldg data register vga_insert_rl_dataset/1.0.0 --action eef_action --out register
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.output import emit
from rldg.data.registration.choices import NOTHING_CHOSEN, Choices


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data register`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Folder for octo.py, openvla.py and note.txt.
    out: Path
    # Which columns the loaders read, and where they look.
    choices: Choices = NOTHING_CHOSEN
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 for a data set with which no training would start."""
    from rldg.data.registration.paste import FILES, write_entries  # TFDS: not for --help

    entry, warnings = write_entries(args.folder, args.out, args.choices)
    files = [args.out / name for name in FILES]
    text = "\n".join([*(f"warning: {warning}" for warning in warnings), *(f"wrote {file}" for file in files)])
    emit({"name": entry.name, "folder": entry.folder, "files": files, "warnings": warnings}, args.json, text)
    return 0

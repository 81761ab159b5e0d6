"""Makes an RLDS data set of SERL's or HIL-SERL's pickled transitions, of a LeRobot data set, or of foreign RLDS.
It says what it guessed, converted and left out.

Examples:
  rldg data import demos.pkl --from serl --instruction "insert the USB plug" --action-scale 0.015 0.1 --out runs/demos
  rldg data import lerobot/pusht --from lerobot --out runs/pusht
  rldg data import ethernet_insert_rl_dataset/1.0.0 --from rlds --out runs/ethernet
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rldg.cli.options import configured
from rldg.cli.output import emit


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data import`."""

    # File or folder to read.
    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    # Its format.
    kind: Annotated[Literal["serl", "lerobot", "rlds"], tyro.conf.arg(name="from")]
    # Folder of the new data set.
    out: Path
    # serl, rlds: the task in words, where the source does not hold it.
    instruction: str | None = None
    # serl: metres and radians that an action of 1 moves per step, ACTION_SCALE of the environment's config.
    action_scale: tuple[float, float] | None = None
    # serl: control steps per second (default: 10).
    rate: float | None = None
    # serl: what the flat state holds, such as tcp_pose gripper_pose (default: guessed by its size).
    state_keys: tuple[str, ...] | None = None
    # rlds: column that becomes the action (default: action, else eef_action, else base_action).
    action: str | None = None
    # lerobot: KEY=COLUMN, which step column a key becomes; KEY= leaves it out (default: guessed by its name).
    columns: tuple[str, ...] | None = None
    # Replace what an earlier import left in the folder.
    overwrite: bool = False
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once the import is complete."""
    from rldg.data.exchange.importing import import_dataset  # TFDS: not for --help
    from rldg.data.exchange.lerobot_import import LeRobotImport
    from rldg.data.exchange.rlds_import import RldsImport
    from rldg.data.exchange.serl import SerlImport

    kinds = {"serl": SerlImport, "lerobot": LeRobotImport, "rlds": RldsImport}
    shared = ("source", "kind", "out", "overwrite", "json")
    importer = configured(kinds[args.kind], args, shared=shared, chosen=f"--from {args.kind}")
    result = import_dataset(args.source, args.out, importer, overwrite=args.overwrite)
    notes = "".join(f"\n- {note}" for note in result["notes"])
    emit(
        {"out": args.out, **result},
        args.json,
        f"{result['episodes']} episodes, {result['steps']} steps; {args.out}{notes}",
    )
    return 0

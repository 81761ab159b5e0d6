"""Writes a data set in another format: LeRobot 3.0, robomimic's HDF5, or RLDS in the usual layout of files.

Examples:
  rldg data export runs/data --to lerobot --out runs/lerobot
  rldg data export runs/data --to robomimic --successes --out runs/robomimic
  rldg data export runs/data --to rlds --shard-mb 200 --drop observation/tcp_in_target --out data/usb_rl/1.0.0
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rldg.cli.options import configured
from rldg.cli.output import emit


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data export`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Format to write.
    to: Literal["lerobot", "robomimic", "rlds"]
    # Folder to fill; for RLDS one that ends in NAME/1.0.0 can be found by name.
    out: Path
    # Step columns to leave out, such as observation/tcp_in_target.
    drop: tuple[str, ...] = ()
    # Leave failed episodes out.
    successes: bool = False
    # lerobot, robomimic: column that becomes the action (default: action; for robomimic action_normalized, if there).
    action: str | None = None
    # lerobot: control steps per second (default: what the episodes' action contract says).
    fps: float | None = None
    # lerobot: pictures as video, or embedded as they are, without loss (default: video).
    images: Literal["video", "embedded"] | None = None
    # lerobot: codec of the video (default: h264).
    codec: Literal["h264", "av1"] | None = None
    # lerobot: quality of the video, lower is better and larger (default: 18).
    crf: int | None = None
    # robomimic: share of the episodes in mask/valid when there is no split "val" (default: 0.1).
    valid: float | None = None
    # robomimic: write every observation again as its predecessor's next_obs (default: yes).
    next_obs: bool | None = None
    # rlds: size of a file in MiB (default: 200).
    shard_mb: float | None = None
    # rlds: encode the pictures anew (default: as they are).
    image_format: Literal["jpeg", "png"] | None = None
    # rlds: height and width that pictures are scaled to (default: as they are).
    image_size: tuple[int, int] | None = None
    # Replace what an earlier export left in the folder.
    overwrite: bool = False
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once the export is complete."""
    from rldg.data.exchange.exporting import export_dataset  # TFDS: not for --help
    from rldg.data.exchange.lerobot_export import LeRobotExport
    from rldg.data.exchange.rlds_export import RldsExport
    from rldg.data.exchange.robomimic import RobomimicExport

    kinds = {"lerobot": LeRobotExport, "robomimic": RobomimicExport, "rlds": RldsExport}
    shared = ("folder", "to", "out", "drop", "successes", "overwrite", "json")
    exporter = configured(kinds[args.to], args, shared=shared, chosen=f"--to {args.to}")
    result = export_dataset(
        args.folder, args.out, exporter, drop=args.drop, successes=args.successes, overwrite=args.overwrite
    )
    text = f"{result['episodes']} episodes, {result['steps']} steps; {args.out}"
    emit({"out": args.out, **result}, args.json, text)
    return 0

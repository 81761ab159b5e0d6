r"""Asks what a station consists of and writes its file. What is given as an option is not asked.

Examples:
  rldg robot init stations/lab.yaml
  rldg robot init stations/lab.yaml --url http://192.168.1.10:5000/ --gripper robotiq \
      --cameras wrist_1=realsense:130322274175 side_1=opencv:/dev/video0 --target 0.5 0 0.08 1 0 0 0
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
import yaml

from rldg.cli.output import emit
from rldg.errors import UsageError
from rldg.tasks import load_station

DEVICES = {"realsense": "serial", "opencv": "device", "file": "device"}


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg robot init`."""

    # File to write; its name is the station's.
    out: tyro.conf.Positional[Path]
    # Address of the Franka server.
    url: str | None = None
    # The hand.
    gripper: Literal["robotiq", "franka", "none"] | None = None
    # NAME=realsense:SERIAL, NAME=opencv:DEVICE, NAME=file:FOLDER or NAME=station, by the names that tasks use.
    cameras: tuple[str, ...] | None = None
    # Target pose, x y z [m] and quaternion x y z w, in the base frame; `rldg robot target` records it later.
    target: tuple[float, float, float, float, float, float, float] | None = None
    # Replace a file that is there.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 with a file that can be loaded."""
    if args.out.exists() and not args.overwrite:
        raise UsageError(f"{args.out} exists; pass --overwrite to replace it.")
    url = args.url or _ask("Address of the Franka server", "http://127.0.0.1:5000/")
    gripper = args.gripper or _ask("Gripper (robotiq, franka, none)", "franka")
    cameras = args.cameras
    if cameras is None:
        text = "Cameras, as wrist_1=realsense:SERIAL side_1=opencv:/dev/video0"
        cameras = tuple(_ask(text, "").split())
    target = args.target or [float(part) for part in _ask("Target pose (7)", "0.5 0 0.08 1 0 0 0").split()]
    content = {
        "name": args.out.stem,
        "backend": "franka",
        "url": url,
        "target_pose": list(target),
        "gripper": {"kind": gripper},
        "cameras": dict(_camera(text) for text in cameras),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = args.out.with_name(f".{args.out.stem}.part.yaml")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write("# A physical station; every field and its default: docs/station.md.\n")
            yaml.safe_dump(content, file, sort_keys=False, default_flow_style=None)
            file.flush()
            os.fsync(file.fileno())
        load_station(temporary)
        temporary.replace(args.out)
    finally:
        temporary.unlink(missing_ok=True)
    emit({"station": args.out}, args.json, f"{args.out} is written; next: rldg robot check {args.out}")
    return 0


def _ask(question: str, default: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"'{question}' is to be asked, but this process has no terminal; give it as an option.")
    return input(f"{question} [{default}]: ").strip() or default


def _camera(text: str) -> tuple[str, dict[str, Any]]:
    name, _, source = text.partition("=")
    driver, _, which = source.partition(":")
    if driver == "station" and name:
        return name, {"driver": driver}
    if not (name and which) or driver not in DEVICES:
        raise UsageError(f"'{text}' is no camera; valid: wrist_1=realsense:SERIAL, side_1=opencv:/dev/video0.")
    return name, {"driver": driver, DEVICES[driver]: which}

"""Records a target pose: the arm floats, you lead the plug into its socket, and its pose goes into the station's file.

Example: rldg robot target stations/lab.yaml --task usb_a_insertion
"""

import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro
from scipy.spatial.transform import Rotation

from rldg.cli.output import emit
from rldg.errors import RldgError, UsageError
from rldg.tasks import load_station

if TYPE_CHECKING:
    from rldg.robots.franka_client import FrankaClient

READINGS = 20  # of the pose, whose mean is taken
STILL = 0.0005  # metres that it may move meanwhile


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg robot target`."""

    # The station's file.
    station: tyro.conf.Positional[Path]
    # Task whose target it is; without one it is the station's own, which the safety box is relative to.
    task: str = ""
    # Take the pose that the arm has now, without letting it float or asking.
    now: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 with the pose in the file."""
    station = load_station(args.station)
    if not args.now and not sys.stdin.isatty():
        raise UsageError("Leading the arm by hand needs a terminal to say when it is there; or pass --now.")
    from rldg.robots.franka_client import FrankaClient
    from rldg.robots.stops import RobotStop

    client = FrankaClient(station.url)
    try:
        poses = _readings(client) if args.now else _led_there(client)
    except RobotStop as stop:
        raise RldgError(str(stop)) from None
    finally:
        client.close()
    moved = float(np.ptp(np.array(poses)[:, :3], axis=0).max())
    if moved > STILL:
        raise RldgError(f"The tool moved by {1000 * moved:.1f} mm while its pose was read; hold it still.")
    pose = np.mean(poses, axis=0)
    pose[3:] = Rotation.from_quat(np.array(poses)[:, 3:]).mean().as_quat()
    write_target(args.station, [round(float(part), 6) for part in pose], args.task)
    emit({"station": args.station, "task": args.task, "pose": pose}, args.json, f"{args.station}: {np.round(pose, 4)}")
    return 0


def _led_there(client: "FrankaClient") -> list[np.ndarray]:
    """Poses that a person has led the floating arm to; whatever happens, its controller is started again there."""
    client.stop_impedance()
    try:
        input("Lead the tool to where the task is done, let go, and press Enter. ")
        return _readings(client)
    finally:
        client.start_impedance()


def _readings(client: "FrankaClient") -> list[np.ndarray]:
    poses = []
    for _ in range(READINGS):
        poses.append(client.state().pose)
        time.sleep(0.02)
    return poses


def write_target(file: Path, pose: list[float], task: str) -> None:
    """Puts a pose (7) into a station's file, whose other lines and comments stay as they are."""
    text = file.read_text(encoding="utf-8")
    line = f"  {task}: {pose}" if task else f"target_pose: {pose}"
    place = rf"^  {re.escape(task)}:.*$" if task else r"^target_pose:.*$"
    changed, count = re.subn(place, line, text, count=1, flags=re.MULTILINE)
    if not count and task and re.search(r"^targets:\s*$", text, flags=re.MULTILINE):
        changed = re.sub(r"^targets:\s*$", f"targets:\n{line}", text, count=1, flags=re.MULTILINE)
    elif not count and not task:
        changed = f"{text.rstrip()}\n{line}\n"
    elif not count:
        changed = f"{text.rstrip()}\n\ntargets:\n{line}\n"
    temporary = file.with_name(f".{file.stem}.part.yaml")
    try:
        with open(temporary, "w", encoding="utf-8") as out:
            out.write(changed)
            out.flush()
            os.fsync(out.fileno())
        load_station(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)

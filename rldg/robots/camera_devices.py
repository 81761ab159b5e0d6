"""Which cameras are attached to this machine."""

import importlib
from pathlib import Path


def attached_cameras() -> list[dict[str, str]]:
    """Each device's `driver`, `device` or `serial`, and `name`; a station's file takes all but the last."""
    return [*_realsense(), *_v4l2()]


def _realsense() -> list[dict[str, str]]:
    try:
        rs = importlib.import_module("pyrealsense2")
    except ModuleNotFoundError:
        return []
    info = rs.camera_info
    return [
        {"driver": "realsense", "serial": device.get_info(info.serial_number), "name": device.get_info(info.name)}
        for device in rs.context().query_devices()
    ]


def _v4l2(devices: Path = Path("/sys/class/video4linux")) -> list[dict[str, str]]:
    found = []
    for folder in sorted(devices.glob("video*")):
        name = (folder / "name").read_text(encoding="utf-8", errors="replace").strip()
        found.append({"driver": "opencv", "device": f"/dev/{folder.name}", "name": name})
    return found

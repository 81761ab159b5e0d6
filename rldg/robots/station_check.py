"""`check_station`: what has to work before a policy may move a physical arm."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from rldg import geometry
from rldg.errors import RldgError
from rldg.robots.franka_arm import FrankaArm
from rldg.robots.franka_reset import glide, hold, rise
from rldg.robots.live_cameras import LiveCameras
from rldg.robots.stops import RobotStop
from rldg.tasks.gains import Gains
from rldg.tasks.station import Station
from rldg.tasks.task import CameraView

RATE = 10.0  # control steps per second
ROUND_TRIPS = 50
SLOWEST = 0.02  # seconds that a round trip may take
RESTING_FORCE = 5.0  # newtons that the arm may feel with nothing touching it
NEAR = 0.005  # metres from a corner that count as there
MARGIN = 0.02  # metres inside of the box where corners are visited


@dataclass(frozen=True)
class Check:
    """What was tried, whether it worked, and what was seen."""

    name: str
    good: bool
    seen: str


def check_station(station: Station, confirm: Callable[[str], bool]) -> Iterator[Check]:
    """Goes through a station's parts; what moves is asked for by `confirm` first and left out where it says no."""
    with_arm = FrankaArm(station, RATE)
    try:
        for name, look in _still_checks(with_arm, station):
            yield _tried(name, look)
        if confirm("Open and close the gripper?"):
            yield _tried("gripper", lambda: _gripper(with_arm))
        if confirm("Move slowly to the corners of the safety box? Keep a hand on the stop button."):
            yield from (_tried(name, look) for name, look in _corners(with_arm))
        yield _tried("timing", lambda: _timing(with_arm))
    finally:
        with_arm.close()


def _tried(name: str, look: Callable[[], tuple[bool, str]]) -> Check:
    try:
        return Check(name, *look())
    except (RobotStop, RldgError) as problem:
        return Check(name, False, str(problem))


def _still_checks(arm: FrankaArm, station: Station) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
    yield "server", lambda: (True, f"pose {np.round(arm.client.state().pose, 3).tolist()}")
    yield "round trip", lambda: _round_trips(arm)
    yield "force at rest", lambda: _force(arm)
    yield "gains", lambda: (arm.set_gains(Gains()) or True, "taken")
    yield "inside the box", lambda: (arm.limits.contains(arm.client.state().pose), "where the tool is now")
    for name in station.cameras:
        yield f"camera {name}", lambda name=name: _camera(name, station)


def _round_trips(arm: FrankaArm) -> tuple[bool, str]:
    taken = []
    for _ in range(ROUND_TRIPS):
        started = time.monotonic()
        arm.client.state()
        taken.append(time.monotonic() - started)
    median, most = float(np.median(taken)), max(taken)
    return median < SLOWEST, f"median {1000 * median:.1f} ms, longest {1000 * most:.1f} ms"


def _force(arm: FrankaArm) -> tuple[bool, str]:
    forces = np.array([arm.client.state().force for _ in range(ROUND_TRIPS)])
    mean, noise = float(np.linalg.norm(forces.mean(0))), float(forces.std(0).max())
    return mean < RESTING_FORCE, f"{mean:.1f} N, noise {noise:.2f} N; is the load set?"


def _camera(name: str, station: Station) -> tuple[bool, str]:
    cameras = LiveCameras({name: CameraView()}, station)
    try:
        picture = cameras.images()[name]
    finally:
        cameras.close()
    return bool(picture.std() > 1), f"mean brightness {picture.mean():.0f} of 255, contrast {picture.std():.0f}"


def _gripper(arm: FrankaArm) -> tuple[bool, str]:
    seen = []
    for move in (arm.client.open_gripper, arm.client.close_gripper, arm.client.open_gripper):
        move()
        time.sleep(2 * arm.station.gripper.lockout)
        seen.append(arm.client.state().gripper)
    good = min(seen[0], seen[2]) > arm.station.gripper.open_above > seen[1]
    return good, "open {:.2f}, closed {:.2f}, open {:.2f}".format(*seen)


def _corners(arm: FrankaArm) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
    """The four upper corners, at the tool's own height range: what lies below is not the box's to promise."""
    box, target = arm.station.safety.box, np.array(arm.station.target_pose)
    for x in (box.low[0] + MARGIN, box.high[0] - MARGIN):
        for y in (box.low[1] + MARGIN, box.high[1] - MARGIN):
            corner = geometry.compose(target, np.array([x, y, box.low[2] + MARGIN, 0, 0, 0, 1]))
            yield f"corner {x:+.2f} {y:+.2f}", lambda corner=corner: _visit(arm, corner)


def _visit(arm: FrankaArm, corner: np.ndarray) -> tuple[bool, str]:
    start = arm.begin().pose
    rise(arm, max(start[2], corner[2]))
    glide(arm, corner)
    hold(arm, corner, 1.0)
    off = float(np.linalg.norm(arm.state().pose[:3] - corner[:3]))
    return off < NEAR, f"{1000 * off:.1f} mm away"


def _timing(arm: FrankaArm) -> tuple[bool, str]:
    state = arm.begin()
    hold(arm, state.pose, 2.0)
    timing = arm.pace.timing()
    return timing.p99_ms < 5, f"deviation of a step from {1000 * arm.pace.period:.0f} ms: p99 {timing.p99_ms:.1f} ms"

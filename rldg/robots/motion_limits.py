"""`MotionLimits`: the one place through which every commanded pose of a physical arm goes.

Poses are handled as coordinates: position [m] and roll, pitch, yaw [rad] in the frame of the station's target. A box in
these is convex, so that going from one pose inside to another never leaves it.
"""

import numpy as np

from rldg import geometry
from rldg.robots.stops import RobotStop
from rldg.tasks.safety import Safety

FURTHEST = 100.0  # metres from the base: no number beyond it is a place


class MotionLimits:
    """Bounds commands to a box, a speed and a distance from the measured pose; refuses what makes no sense.

    Args:
        safety: the limits.
        target: pose (7) of the station's target in the base frame, which the box is relative to.
        period: seconds of a control period; however long ago the last command was, no more than one period's way is
            gone at once.
    """

    def __init__(self, safety: Safety, target: np.ndarray, period: float) -> None:
        self._safety, self._target, self._period = safety, target, period
        self._low, self._high = np.array(safety.box.low), np.array(safety.box.high)
        self._last, self._at = np.zeros(6), 0.0

    def begin(self, measured: np.ndarray, now: float) -> None:
        """Starts from where the arm is: the pose (7) that is taken as commanded a period ago."""
        self._last, self._at = self._coordinates(checked_pose(measured)), now - self._period

    def contains(self, pose: np.ndarray) -> bool:
        """Whether a pose (7) lies in the box."""
        coordinates = self._coordinates(pose)
        return bool((coordinates >= self._low).all() and (coordinates <= self._high).all())

    def __call__(self, pose: np.ndarray, measured: np.ndarray, now: float) -> np.ndarray:
        """The pose (7) that may be commanded in place of `pose` at `now` [s]; unchanged if it keeps every limit.

        From a start outside of the box every command leads towards it. Where limits contradict, the box goes before the
        speed, and both before the distance from the measured pose.

        Raises `RobotStop` for a pose that is not finite, or further from the measured one than anything would ask for.
        """
        pose, measured = checked_pose(pose), checked_pose(measured)
        far, turned = distance(measured, pose)
        if not (far <= self._safety.jump and turned <= self._safety.turn_jump):
            raise RobotStop("jump", f"A command was {far:.3f} m and {turned:.2f} rad from where the arm is.", True)
        goal = np.clip(self._coordinates(pose), self._low, self._high)
        here = self._coordinates(measured)
        goal = np.clip(self._towards(here, goal, self._safety.step, self._safety.turn_step), self._low, self._high)
        elapsed = min(max(now - self._at, 0.0), self._period)
        reached = self._towards(self._last, goal, self._safety.speed * elapsed, self._safety.turn_speed * elapsed)
        self._last, self._at = reached, now
        if (reached == self._coordinates(pose)).all():
            return pose
        return self._pose(reached)

    def _towards(self, start: np.ndarray, goal: np.ndarray, way: float, turn: float) -> np.ndarray:
        """From `start` to `goal`, both coordinates (6), but no further than `way` [m] and `turn` [rad]."""
        change = goal - start
        length = float(np.linalg.norm(change[:3]))
        shares = np.ones(6)
        if length > way:
            shares[:3] = way / length
        # The angle between two orientations is at most the sum of their differences in roll, pitch and yaw.
        bound = float(np.abs(change[3:]).sum())
        if bound > turn and distance(self._pose(start), self._pose(goal))[1] > turn:
            shares[3:] = turn / bound
        return np.where(shares == 1, goal, start + shares * change)

    def _coordinates(self, pose: np.ndarray) -> np.ndarray:
        local = geometry.relative(self._target, pose)
        return np.concatenate([local[:3], geometry.euler(local)])

    def _pose(self, coordinates: np.ndarray) -> np.ndarray:
        return geometry.compose(self._target, geometry.pose_from_euler(coordinates[:3], coordinates[3:]))


def distance(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Metres and radians between two poses (7)."""
    between = geometry.relative(a, b)
    return float(np.linalg.norm(between[:3])), float(np.linalg.norm(geometry.rotation_vector(between)))


def checked_pose(pose: np.ndarray) -> np.ndarray:
    """`pose` as float64 (7) with a unit quaternion. Raises `RobotStop` for anything else."""
    try:
        array = np.asarray(pose, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (7,) or not (np.abs(array) < FURTHEST).all():
        raise RobotStop("not_finite", f"A pose must be seven finite numbers within the room, got {pose!r}.", True)
    length = float(np.linalg.norm(array[3:]))
    if not 0.9 < length < 1.1:
        raise RobotStop("not_finite", f"A pose must end in a unit quaternion, got one of length {length:.3f}.", True)
    return np.concatenate([array[:3], array[3:] / length])

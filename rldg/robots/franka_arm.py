"""`FrankaArm`: a physical arm within its station's limits. Nothing else in this package commands one."""

import atexit
import logging

import numpy as np

from rldg.robots.base import RobotState
from rldg.robots.franka_client import FrankaClient
from rldg.robots.franka_gripper import FrankaGripper
from rldg.robots.guard import Guard
from rldg.robots.motion_limits import MotionLimits, distance
from rldg.robots.operator_key import OperatorKey
from rldg.robots.pace import Pace
from rldg.robots.stops import RobotFault, RobotStop
from rldg.tasks.gains import Gains
from rldg.tasks.station import Station

STUCK_STEPS = 10  # commands in a row that an arm ignores, in contact with nothing, before a reflex is what stops it
STUCK_WAY, STUCK_OFF, STUCK_FORCE = 1e-4, 0.002, 2.0  # moved [m], away from the set-point [m], met [N]

logger = logging.getLogger(__name__)


class FrankaArm:
    """Client, limits, guard and pace of one station. `step` and `state` raise `RobotStop` when the arm has to stop.

    Args:
        station: server, limits, gripper.
        rate: control steps per second.

    Raises:
        UsageError: the station's address is none.
    """

    def __init__(self, station: Station, rate: float) -> None:
        self.station = station
        self.client = FrankaClient(station.url, station.safety.dry_run)
        self.pace = Pace(1 / rate, station.speed)
        self.guard = Guard(self.client, station.safety)
        self.limits = MotionLimits(station.safety, np.array(station.target_pose), self.pace.period)
        self.gripper = FrankaGripper(self.client, station.gripper)
        self._key = OperatorKey(station.safety.stop_key, self.guard.stop_by_operator)
        self._stuck = 0
        atexit.register(self.close)  # an interrupted command, too, leaves an arm that holds

    def state(self) -> RobotState:
        """A measurement, checked against the station's force limit."""
        state = self.client.state()
        self.guard.check(state)
        return state

    def begin(self) -> RobotState:
        """Takes the measured pose for the set-point and makes it so: from here on the limits count."""
        state = self.client.state()
        self._commanded = self._measured = state.pose
        self._stuck = 0
        self.limits.begin(state.pose, self.pace.now())
        self.gripper.begin(state.gripper)
        self.guard.begin(watch=False)
        self.guard.command(state.pose)
        self.pace.start()
        return state

    def step(self, pose: np.ndarray, measured: np.ndarray, opening: float | None = None) -> None:
        """Commands a pose (7), if the limits allow it, or what they make of it, and waits for the period's end.

        Args:
            pose: the new set-point, base frame.
            measured: where the arm is (7).
            opening: 0 closed or 1 open; None leaves the gripper as it is.
        """
        if self.station.safety.dry_run:
            measured = self._commanded  # as if it had followed
        self._notice_reflex(measured)
        self.guard.check()
        try:
            goal = self.limits(pose, measured, self.pace.now())
        except RobotStop as stop:
            self.guard.hold(stop)
            raise
        if opening is not None:
            self.gripper.command(opening, self.pace.now())
        self.pace.mark()
        self.guard.command(goal)
        self._commanded = goal
        self.pace.wait()
        self.guard.check()

    def set_gains(self, gains: Gains) -> None:
        """The impedance controller's parameters."""
        self.client.set_gains(gains)

    def close(self) -> None:
        """Ends the threads and the connections; the arm holds where it is."""
        atexit.unregister(self.close)
        self._key.close()
        self.guard.close()
        self.client.close()

    def _notice_reflex(self, measured: np.ndarray) -> None:
        """A reflex that clearing errors does not end looks like this: no contact, and no motion whatever is asked."""
        moved, off = distance(self._measured, measured)[0], distance(self._commanded, measured)[0]
        self._measured = measured
        self._stuck = self._stuck + 1 if moved < STUCK_WAY and off > STUCK_OFF else 0
        if self._stuck >= STUCK_STEPS and float(np.linalg.norm(self.client.state().force)) < STUCK_FORCE:
            self._stuck = 0
            stop = RobotFault("reflex", f"The arm has not moved for {STUCK_STEPS} commands, and it touches nothing.")
            self.guard.hold(stop)
            raise stop

"""`Guard`: watches an arm between control steps: contact force, silence of whoever commands, the operator's key."""

import logging
import threading
import time

import numpy as np

from rldg.robots.base import RobotState
from rldg.robots.franka_client import FrankaClient
from rldg.robots.stops import RobotFault, RobotStop
from rldg.tasks.safety import Safety

PERIOD = 0.025  # seconds between looks
LOST_SECONDS = 1.0  # without a measurement before the arm counts as lost

logger = logging.getLogger(__name__)


class Guard:
    """A thread that looks at the arm while an episode runs; at the first breach the arm holds where it is.

    The breach is raised by `check`, which the control loop calls before and after each command, so that it ends the
    episode. Only the operator's stop outlives the episode.
    """

    def __init__(self, client: FrankaClient, safety: Safety) -> None:
        self._client, self._safety = client, safety
        self._lock = threading.Lock()  # held by whoever commands the arm
        self._watching, self._closed = threading.Event(), threading.Event()
        self._stop: RobotStop | None = None
        self._operators_stop: RobotStop | None = None
        self._commanded = 0.0
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
        self._thread.start()

    def begin(self, watch: bool = True) -> None:
        """Forgets what stopped the arm, unless it was the operator. From here on the thread looks, if it is to `watch`:
        the next command has to come within the watchdog's time of the first one.
        """
        self._stop = self._operators_stop
        self._commanded = float("inf")
        self._watching.set() if watch else self._watching.clear()

    def command(self, pose: np.ndarray) -> None:
        """Sends a set-point (7), unless the arm has been stopped. Raises `RobotStop` then."""
        with self._lock:
            self.check()
            self._client.clear_and_send_pose(pose)
            self._commanded = time.monotonic()

    def check(self, state: RobotState | None = None) -> None:
        """Raises `RobotStop` if the arm was stopped, or has to be for what `state` says, or if nobody watches it."""
        if state is not None and (stop := too_hard(state, self._safety)):
            self.hold(stop, state)
        if stop := self._operators_stop or self._stop:
            raise stop
        if not self._thread.is_alive():
            raise RobotFault("guard", "The thread that watches the arm has ended; start the command again.")

    def hold(self, stop: RobotStop, state: RobotState | None = None) -> None:
        """Makes the measured pose the set-point, and `stop` the reason why no later command goes out."""
        with self._lock:
            if self._stop is not None and self._stop is not stop:
                return
            self._stop = stop
            self._watching.clear()
            logger.warning("The arm holds: %s", stop)
            self._tell_to_hold(state)

    def stop_by_operator(self) -> None:
        """The operator's key: the arm holds at once, and nothing moves until a new command line is started."""
        self._operators_stop = RobotStop("operator_stop", "The operator stopped the arm.")
        threading.Thread(target=self.hold, args=(self._operators_stop,), daemon=True).start()

    @property
    def operator_stopped(self) -> bool:
        """Whether the operator has ended the command."""
        return self._operators_stop is not None

    def close(self) -> None:
        """Ends the thread; an arm that was commanded and not stopped since holds where it is."""
        self._closed.set()
        self._watching.set()
        self._thread.join(timeout=2)
        with self._lock:
            if self._commanded and self._stop is None:
                self._tell_to_hold(None)

    def _tell_to_hold(self, state: RobotState | None) -> None:
        try:
            self._client.send_pose((state or self._client.state()).pose)
        except RobotFault as fault:
            logger.warning("It could not be told so (%s); its controller keeps the last set-point.", fault)

    def _run(self) -> None:
        seen = time.monotonic()
        while not self._closed.is_set():
            if not self._watching.is_set():
                self._watching.wait()
                seen = time.monotonic()
            started = time.monotonic()
            state, stop = None, None
            try:
                state, seen = self._client.state(tries=1), time.monotonic()
                stop = too_hard(state, self._safety)
            except RobotFault as fault:
                if time.monotonic() - seen > LOST_SECONDS:
                    stop = fault
            if not stop and time.monotonic() - self._commanded > self._safety.watchdog:
                stop = RobotFault("watchdog", f"No command came for {self._safety.watchdog:g} s.")
            if stop and self._watching.is_set():
                self.hold(stop, state)
            self._closed.wait(max(0.0, PERIOD - (time.monotonic() - started)))


def too_hard(state: RobotState, safety: Safety) -> RobotStop | None:
    """The stop that a measured wrench asks for, if it does."""
    force, torque = float(np.linalg.norm(state.force)), float(np.linalg.norm(state.torque))
    if force <= safety.force and torque <= safety.torque:
        return None
    return RobotStop("force_limit", f"The tool met {force:.0f} N and {torque:.1f} N m.", terminal=True)

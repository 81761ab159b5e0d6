"""`SpaceMouse`: 3Dconnexion's six-axis mouse (pyspacemouse), with HIL-SERL's axes and buttons."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rldg.env.types import Observation
from rldg.errors import DeviceError
from rldg.policies.hand import Hand, facing, missing
from rldg.tasks.task import Task

POLL = 0.001  # s between reports, which a mouse sends at up to 1 kHz
SILENCE = 1.0  # s without the reader's thread until the mouse counts as lost


class SpaceMouse:
    """The left button closes the gripper, the right one opens it.

    Args:
        opened: gives a reader, whose `read()` returns the newest state (`x` .. `yaw` in [-1, 1], `buttons`); the first
            mouse that is found by default.
    """

    name = "spacemouse"
    waits = False

    def __init__(self, opened: Callable[[], Any] | None = None) -> None:
        self._opened = opened or _first_mouse
        self._state: Any = None
        self._read_at = 0.0

    def open(self) -> None:
        """Starts to read. Raises `DeviceError` if there is no mouse."""
        reader = self._opened()
        self._state, self._read_at = reader.read(), time.monotonic()
        threading.Thread(target=self._follow, args=(reader,), daemon=True).start()

    def begin(self, task: Task) -> None:
        """Nothing to do."""

    def show(self, observation: Observation, recording: bool) -> None:
        """Nothing to show."""

    def read(self) -> Hand:
        """The newest deflection. Raises `DeviceError` if the mouse was unplugged."""
        if time.monotonic() - self._read_at > SILENCE:
            raise DeviceError("The SpaceMouse no longer answers; plug it in again and start anew.")
        return hand_of(self._state)

    def _follow(self, reader: Any) -> None:
        """Reads every report: a mouse queues them, and only the newest one counts."""
        while True:
            try:
                self._state = reader.read()
            except Exception:  # whatever a driver raises for a mouse that is gone: `read` says so
                return
            self._read_at = time.monotonic()
            time.sleep(POLL)


def hand_of(state: Any) -> Hand:
    """A state in pyspacemouse's right-handed frame (x right, y away, z up) as a person who faces the robot means it.

    That is what HIL-SERL's -y x z -roll -pitch -yaw makes of the older axes of that package.
    """
    twist = (*facing(state.x, state.y, state.z), *facing(state.roll, state.pitch, state.yaw))
    return Hand(np.clip(np.array(twist, np.float64), -1, 1), _gripper(state.buttons))


def _gripper(buttons: Sequence[int]) -> float:
    left, right = bool(buttons and buttons[0]), bool(buttons and buttons[-1] and len(buttons) > 1)
    return float(right) - float(left)


def _first_mouse() -> Any:
    try:
        import pyspacemouse
    except ImportError:
        raise missing("SpaceMouse", "pyspacemouse") from None
    except OSError as error:  # it loads a shared library when it is imported
        raise DeviceError(
            f"The SpaceMouse needs the library hidapi (apt install libhidapi-hidraw0): {error}."
        ) from None
    try:
        return pyspacemouse.open(axis_convention="hid_z_up")
    except Exception as error:  # of the package and of hidapi, of several kinds
        raise DeviceError(f"No SpaceMouse can be opened ({error}); is it plugged in, and may you read it?") from None

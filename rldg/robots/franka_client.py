"""`FrankaClient`: the HTTP protocol of SERL's and HIL-SERL's Franka server, from the side of whoever commands it.

Routes, payloads and replies: `serl_robot_infra/robot_servers/franka_server.py`. Each reply is checked for shape and
finiteness before anything is computed with it.
"""

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import urllib3
from urllib3.util import parse_url

from rldg.errors import UsageError
from rldg.robots.base import RobotState
from rldg.robots.stops import RobotFault
from rldg.tasks.gains import Gains
from rldg.tasks.station import Load

TRY_SECONDS = 0.25  # that one try of a request may take
TRIES = 3  # of a request that may be repeated
JOINT_RESET_SECONDS = 60.0  # the server gives its joint controller 30
SLOW_SECONDS = 10.0  # for what starts, stops or loads something
OLDEST = 0.5  # seconds after which a pose is not sent any more: it is about a moment that has passed
STATE = {"pose": (7,), "vel": (6,), "force": (3,), "torque": (3,), "q": (7,), "dq": (7,), "jacobian": (6, 7)}

logger = logging.getLogger(__name__)


class FrankaClient:
    """Speaks to one Franka server over connections that are kept alive; may be used by several threads.

    A request is repeated only if carrying it out twice is carrying it out once: readings, set-points, gains and the
    gripper's absolute commands are; a joint reset is not.

    Args:
        url: the server's address.
        dry_run: whether what moves the arm is logged instead of sent.

    Raises:
        UsageError: `url` is no address.
    """

    def __init__(self, url: str, dry_run: bool = False) -> None:
        try:
            parts = parse_url(url)
            self._pool = urllib3.connection_from_url(url, maxsize=4, retries=False)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise UsageError(f"'{url}' is no address of a Franka server ({error}); valid: http://HOST:5000/.") from None
        self._path = (parts.path or "").rstrip("/")
        self.url, self._dry_run = url, dry_run

    def state(self, tries: int = TRIES) -> RobotState:
        """A measurement, by one `/getstate`, asked for up to `tries` times."""
        reply = self._json("getstate", tries)
        values = {name: _array(reply, name, shape) for name, shape in STATE.items()}
        pose = values["pose"]
        length = float(np.linalg.norm(pose[3:]))
        if not 0.95 < length < 1.05:
            raise RobotFault("reply", f"The server's pose ends in a quaternion of length {length:.3f}.")
        # Of the two quaternions the one whose largest part is positive, as the simulated robot has it: a tool that
        # points down has w near 0, by whose sign the others would flip from reading to reading.
        largest = pose[3 + int(np.argmax(np.abs(pose[3:])))]
        pose[3:] /= float(np.copysign(length, largest))
        gripper = float(_array(reply, "gripper_pos", ()))
        return RobotState(pose, values["vel"], values["force"], values["torque"], min(1.0, max(0.0, gripper)))

    def send_pose(self, pose: np.ndarray) -> None:
        """A new set-point (7) in the base frame; what has become too old to be one is not sent."""
        self._move("pose", {"arr": pose.tolist()}, until=time.monotonic() + OLDEST)

    def clear_and_send_pose(self, pose: np.ndarray) -> None:
        """The same after errors were cleared, as the original client does it; both have the time of the one."""
        until = time.monotonic() + OLDEST
        self._move("clearerr", until=until)
        self._move("pose", {"arr": pose.tolist()}, until=until)

    def clear_errors(self) -> None:
        """Ends a reflex."""
        self._move("clearerr")

    def set_gains(self, gains: Gains) -> None:
        """The impedance controller's parameters."""
        self._move("update_param", gains.model_dump())

    def open_gripper(self) -> None:
        """Opens it all the way."""
        self._move("open_gripper")

    def close_gripper(self, slowly: bool = False) -> None:
        """Closes it until it meets something."""
        self._move("close_gripper_slow" if slowly else "close_gripper")

    def activate_gripper(self) -> None:
        """What a Robotiq needs after it was switched on."""
        self._move("activate_gripper", tries=1, seconds=SLOW_SECONDS)

    def joint_reset(self) -> None:
        """Drives the joints to the server's reset angles; comes back when they are there. Never repeated."""
        self._move("jointreset", tries=1, seconds=JOINT_RESET_SECONDS)

    def start_impedance(self) -> None:
        """Starts the controller where the arm is."""
        self._move("startimp", tries=1, seconds=SLOW_SECONDS)

    def stop_impedance(self) -> None:
        """Stops the controller; the arm can then be led by hand."""
        self._move("stopimp", tries=1, seconds=SLOW_SECONDS)

    def set_load(self, load: Load) -> None:
        """Tells the arm what its hand carries."""
        self._move("set_load", load.model_dump(), tries=1, seconds=SLOW_SECONDS)

    def new_scene(self, seed: int) -> None:
        """Has a simulated station rearrange its scene; the same one for the same seed."""
        self._move("sim/new_scene", {"seed": seed}, seconds=SLOW_SECONDS)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def _move(self, route: str, payload: dict[str, Any] | None = None, **how: Any) -> None:
        if self._dry_run:
            logger.info("dry run: /%s %s", route, json.dumps(payload) if payload else "")
            return
        self._post(route, payload, **how)

    def _json(self, route: str, tries: int) -> dict[str, Any]:
        content = self._post(route, tries=tries)
        try:
            reply = json.loads(content)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise RobotFault("reply", f"The server answered /{route} with something that is no JSON object.")
        return reply

    def _post(
        self,
        route: str,
        payload: dict[str, Any] | None = None,
        *,
        tries: int = TRIES,
        seconds: float = TRY_SECONDS,
        until: float = float("inf"),
    ) -> bytes:
        """The reply's content. Raises `RobotFault` when no try succeeds; none begins after `until` (monotonic [s])."""
        problem = "it has become too old to be sent"
        for _ in range(tries):
            if time.monotonic() > until:
                break
            try:
                reply = self._pool.request("POST", f"{self._path}/{route}", json=payload, timeout=seconds)
            except urllib3.exceptions.HTTPError as error:
                problem = _cause(error)
                continue
            if reply.status < 300:
                return reply.data
            problem = f"status {reply.status}: {reply.data[:200].decode(errors='replace').strip()}"
            if reply.status < 500:
                break  # asking again would change nothing
        raise RobotFault("connection", f"The Franka server at {self.url} did not carry out /{route} ({problem}).")


def _cause(error: urllib3.exceptions.HTTPError) -> str:
    text = str(error)
    return text.rpartition("): ")[2] or type(error).__name__


def _array(reply: dict[str, Any], name: str, shape: Sequence[int]) -> np.ndarray:
    """`reply[name]` as float64 of this shape. Raises `RobotFault` if it is anything else."""
    try:
        array = np.asarray(reply[name], np.float64)
    except (KeyError, TypeError, ValueError):
        array = np.full(1, np.nan)
    if name == "jacobian" and array.size == 42:  # a server that flattens it
        array = array.reshape(6, 7)
    if array.shape != tuple(shape) or not np.isfinite(array).all():
        raise RobotFault("reply", f"The server's '{name}' is not {tuple(shape)} finite numbers: {reply.get(name)!r}.")
    return array

"""`FrankaRobot`: a physical Franka behind SERL's server, or a simulated one behind the same routes, and its cameras."""

import logging
import time
from collections.abc import Sequence

import numpy as np

from rldg import geometry
from rldg.errors import RldgError
from rldg.robots.base import Contact, RobotState
from rldg.robots.franka_arm import FrankaArm
from rldg.robots.franka_reset import go_to_reset
from rldg.robots.live_cameras import LiveCameras
from rldg.robots.rearranging import rearranging
from rldg.robots.stops import RobotStop
from rldg.tasks.station import Station
from rldg.tasks.task import Task

PATIENCE = 60.0  # seconds that a reset waits for a faulty set-up to recover
RETRY_SECONDS = 1.0  # between two tries

logger = logging.getLogger(__name__)


class FrankaRobot:
    """Implements `Robot` over HTTP; `cameras` names the cameras to read, of those the task has.

    `move`, `state` and `images` raise `RobotStop` when the episode has to end (`RobotFault`: because the set-up
    failed). The arm then holds. `reset` waits up to `patience` seconds for a faulty set-up to recover.

    Raises:
        RldgError: the server does not answer; the station lacks a camera, or one cannot be opened; the reset poses are
            outside of its box.
    """

    def __init__(self, task: Task, station: Station, cameras: Sequence[str] = (), patience: float = PATIENCE) -> None:
        self._task, self._station, self._patience = task, station, patience
        self._target = geometry.compose(np.array(station.target_of(task.name)), geometry.IDENTITY)
        self.arm = FrankaArm(station, task.rate)
        self._check_reset_poses()
        try:
            self.arm.client.state()
        except RobotStop as stop:
            self.arm.close()
            raise RldgError(f"Station '{station.name}' cannot be used: {stop}") from None
        if station.load is not None:
            self.arm.client.set_load(station.load)
        self._rearrange = rearranging(station, self.arm.client)
        self._cameras = LiveCameras({name: task.cameras[name] for name in cameras}, station)
        self.camera_sizes = self._cameras.sizes
        self._episodes = 0

    def reset(self, generator: np.random.Generator) -> None:
        """Brings the arm to a reset pose drawn from `generator`, as SERL does; what fails on the way is tried again.
        Then things are put back in their places, by whom the station names.

        Raises `RldgError` if it fails for too long, or if the operator has stopped the arm.
        """
        box = self._task.reset_noise
        goal, scene = self._reset_pose(generator.uniform(box.low, box.high)), int(generator.integers(2**31))
        period = self._station.joint_reset_period
        joints = period > 0 and self._episodes % period == period - 1
        self._episodes += 1
        deadline = time.monotonic() + self._patience
        while True:
            if self.arm.guard.operator_stopped:
                raise RldgError("The operator stopped the arm; run the same command again to go on.")
            try:
                go_to_reset(self.arm, self._task, goal, joints)
                self._cameras.check()
                break
            except RobotStop as stop:
                if time.monotonic() > deadline:
                    raise RldgError(f"The robot could not be reset within {self._patience:g} s: {stop}") from None
                logger.warning("Reset: %s Trying again.", stop)
                joints = False  # whether a first one was carried out, nobody knows
                time.sleep(RETRY_SECONDS)
        self._rearrange(scene)
        self._state = self.arm.begin()
        self.arm.guard.begin(watch=self._station.speed > 0)

    def move(self, pose: np.ndarray, gripper: float) -> None:
        """Commands a pose (7) and waits until the control period is over; a gripper that holds the plug stays shut."""
        opening = None if self._task.gripper == "fixed" else gripper
        self.arm.step(pose, self._state.pose, opening)

    def state(self) -> RobotState:
        """A fresh measurement."""
        self._state = self.arm.state()
        return self._state

    def target(self) -> np.ndarray:
        """The task's target pose (7), as the station's file has it."""
        return self._target

    def contact(self) -> Contact | None:
        """None: nothing measures it."""
        return None

    def object_pose(self) -> np.ndarray | None:
        """None: nothing measures it."""
        return None

    def images(self) -> dict[str, np.ndarray]:
        """The newest picture of each camera, uint8 RGB. Raises `RobotFault` for a camera that is frozen."""
        return self._cameras.images()

    def close(self) -> None:
        """Lets go of arm and cameras; the arm holds where it is."""
        timing = self.arm.pace.timing()
        if timing.steps:
            logger.info("Control steps: %s", timing)
        self.arm.close()
        self._cameras.close()

    def _reset_pose(self, draw: np.ndarray) -> np.ndarray:
        turn = geometry.compose(geometry.pose_from_euler((0, 0, 0), draw[3:]), np.array([0, 0, 0, *self._target[3:]]))
        return np.concatenate([self._target[:3] + self._task.reset_offset + draw[:3], turn[3:]])

    def _check_reset_poses(self) -> None:
        box = self._task.reset_noise
        for corner in (box.low, box.high):
            pose = self._reset_pose(np.array(corner))
            if not self.arm.limits.contains(pose):
                raise RldgError(
                    f"Task '{self._task.name}' resets to {np.round(pose, 3).tolist()} (base frame), which is outside "
                    f"of the safety box of station '{self._station.name}'; widen the box, or move the task's target."
                )

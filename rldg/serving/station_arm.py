"""`SimulatedArm`: a simulated Franka that lives by the clock, as a physical one does."""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from rldg import geometry
from rldg.robots.base import RobotState
from rldg.robots.mujoco_robot import ARM, MujocoRobot
from rldg.sim import impedance, panda
from rldg.tasks.gains import Gains
from rldg.tasks.station import Station
from rldg.tasks.task import Task

SLICE = 0.004  # seconds of physics between looks at the clock
MOST_BEHIND = 0.1  # seconds of physics that are made up for after the machine stood still; the rest is lost
JOINT_SECONDS = 2.0  # that a joint reset takes
LOCK_STEP = 0.0  # speed at which time passes only by commands


class SimulatedArm:
    """The robot of a task at a fixed target, stepped by a thread of its own.

    A physical station's fixture does not move between episodes, so neither does this one's: it stands at the station's
    target. Every method may be called from any thread.

    Args:
        task: whose scene is simulated.
        station: a simulated station.
        speed: seconds of physics per second; at `LOCK_STEP` time passes by one control period per commanded pose.
        seed: fixes the scene's randomisation and where the arm is at first.
    """

    def __init__(self, task: Task, station: Station, speed: float = 1.0, seed: int = 0) -> None:
        assert task.sim is not None
        still = task.sim.model_copy(update={"socket_position_noise": (0.0, 0.0, 0.0), "socket_yaw_noise": 0.0})
        self.robot = MujocoRobot(task.model_copy(update={"sim": still}), station)
        self.speed = speed
        self.rate = task.rate
        self._generator = np.random.default_rng(seed)
        self._steps = max(1, round(SLICE / self.robot.model.opt.timestep))
        self._lock = threading.RLock()
        self._gains = task.compliance
        self._impedance, self._reflex_until = True, 0.0
        self._push, self._push_until = 0.0, 0.0
        self._joint_path: np.ndarray | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)
        self.robot.reset(self._generator)
        self._opening = self.robot.state().gripper
        self._command = self.robot.state().pose
        if speed != LOCK_STEP:
            self._thread.start()

    def new_scene(self, seed: int | None = None) -> None:
        """Another workpiece, in its place, and another light: those of a seed, or the next ones. The arm stays where it
        is, and its open fingers go on to what they were told last.
        """
        with self._lock:
            data = self.robot.data
            kept = {name: getattr(data, name).copy() for name in ("act", "ctrl")}
            joints, speeds = data.qpos[ARM].copy(), data.qvel[ARM].copy()
            self.robot.reset(self._generator if seed is None else np.random.default_rng(seed))
            data.qpos[ARM], data.qvel[ARM] = joints, speeds
            for name, values in kept.items():
                getattr(data, name)[:] = values
            mujoco.mj_forward(self.robot.model, data)

    def state(self) -> tuple[RobotState, np.ndarray, np.ndarray, np.ndarray]:
        """Measurement, joint angles (7) [rad], joint velocities (7) [rad/s] and base-frame Jacobian (6, 7)."""
        with self._lock:
            model, data = self.robot.model, self.robot.data
            jacobian = np.zeros((6, model.nv))
            mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], model.site("tcp").id)
            return self._measured(), data.qpos[ARM].copy(), data.qvel[ARM].copy(), jacobian[:, ARM]

    def set_pose(self, pose: np.ndarray) -> None:
        """A new set-point (7); nothing happens while the controller is stopped, or its arm in a reflex."""
        with self._lock:
            if self._impedance and not self._in_reflex():
                self._command = pose
            if self.speed == LOCK_STEP:
                self.robot.move(self._command, self._opening)
            else:
                self.robot.command(self._command, self._opening)

    def set_gripper(self, opening: float) -> None:
        """Opens (1) or closes (0) the gripper."""
        with self._lock:
            self._opening = float(opening >= 0.5)
            self.robot.command(self._command, self._opening)

    def set_gains(self, changed: dict[str, Any]) -> None:
        """Some of the controller's parameters; those that it has and this simulation lacks are ignored.

        Raises `pydantic.ValidationError` for a value that the controller would refuse.
        """
        with self._lock:
            known = {name: value for name, value in changed.items() if name in Gains.model_fields}
            self._gains = Gains.model_validate(self._gains.model_dump() | known)
            self._apply_gains()

    def start_impedance(self, on: bool) -> None:
        """Starts the controller where the arm is, or stops it: the arm then floats and can be led by hand."""
        with self._lock:
            self._impedance = on
            self._settle()

    def reflex(self, seconds: float) -> None:
        """The arm's own protection stops it, and errors cannot be cleared for so long."""
        with self._lock:
            self._reflex_until = max(time.monotonic() + seconds, self._reflex_until)
            self._settle()

    def push(self, newtons: float, seconds: float) -> None:
        """The arm feels a push on its hand along the base's x axis, and is not moved by it."""
        with self._lock:
            self._push, self._push_until = newtons, time.monotonic() + seconds

    def clear_errors(self) -> None:
        """Ends a reflex that is over; the controller starts again where the arm is."""
        with self._lock:
            if self._reflex_until and time.monotonic() >= self._reflex_until:
                self._reflex_until = 0.0
                self._settle()

    def joint_reset(self) -> None:
        """Drives the joints to their home angles; comes back when they are there."""
        with self._lock:
            count = round(JOINT_SECONDS * (self.rate if self.speed == LOCK_STEP else 1 / SLICE))
            self._joint_path = np.linspace(self.robot.data.qpos[ARM], panda.HOME, count)
        if self.speed == LOCK_STEP:
            while self._joint_path is not None:
                self._drive_joints()
        while self._joint_path is not None and not self._stop.wait(SLICE):
            pass

    def copy_to(self, data: mujoco.MjData) -> None:
        """The scene as it is now, for a renderer."""
        with self._lock:
            mujoco.mj_copyData(data, self.robot.model, self.robot.data)

    def use(self, look: Callable[[MujocoRobot], Any]) -> Any:
        """What `look` says of the robot while time stands still, such as ground truth for a test."""
        with self._lock:
            return look(self.robot)

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        self.robot.close()

    def _in_reflex(self) -> bool:
        return self._reflex_until > 0

    def _pushed(self) -> bool:
        return time.monotonic() < self._push_until

    def _measured(self) -> RobotState:
        """The simulated robot's wrench, which is an estimate from what its controller exerts; or the push."""
        state = self.robot.state()
        if not self._pushed():
            return state
        wrench = geometry.unrotate_twist(state.pose, np.array([self._push, 0, 0, 0, 0, 0]))
        return dataclasses.replace(state, force=wrench[:3])

    def _apply_gains(self) -> None:
        floating = {"translational_stiffness": 0.0, "rotational_stiffness": 0.0}
        active = self._impedance and not self._in_reflex()
        impedance.set_gains(self.robot.model, self._gains if active else self._gains.model_copy(update=floating))

    def _settle(self) -> None:
        """The set-point becomes where the arm is, without what the low-pass remembers."""
        self._apply_gains()
        self._command = self.robot.state().pose
        self.robot.command(self._command, self._opening)
        self.robot.data.act[:6] = self.robot.data.ctrl[:6]

    def _drive_joints(self) -> None:
        with self._lock:
            assert self._joint_path is not None
            data = self.robot.data
            data.qpos[ARM], self._joint_path = self._joint_path[0], self._joint_path[1:]
            data.qvel[ARM] = 0
            mujoco.mj_forward(self.robot.model, data)
            if not len(self._joint_path):
                self._joint_path = None
                self._settle()

    def _run(self) -> None:
        """Keeps the physics as far as the clock is, a slice at a time."""
        duration = self._steps * self.robot.model.opt.timestep / self.speed
        due = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            due = max(due, now - MOST_BEHIND)
            while due <= now:
                if self._joint_path is not None:
                    self._drive_joints()
                else:
                    with self._lock:
                        self.robot.advance(self._steps)
                due += duration
            time.sleep(max(0.0, due - time.monotonic()))

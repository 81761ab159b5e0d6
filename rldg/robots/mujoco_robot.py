"""`MujocoRobot`: the Franka in simulation, and what it handles."""

import math
from collections.abc import Sequence

import mujoco
import numpy as np

from rldg import geometry
from rldg.robots import inverse_kinematics
from rldg.robots.base import Contact, RobotState
from rldg.robots.cameras import SimulatedCameras
from rldg.robots.randomisation import SceneRandomiser
from rldg.robots.workpiece import FreeWorkpiece, HeldWorkpiece, Workpiece
from rldg.sim import gripper as fingers
from rldg.sim import impedance, panda, scene
from rldg.tasks.station import Station
from rldg.tasks.task import Task

CHUNKS = 10  # how often per control step contact and wrench are sampled
WRENCH_TIME_CONSTANT = 0.05  # seconds, of the low-pass on the wrench that the arm reports
ARM = slice(0, 7)  # the arm's joints
SPRINGS, DAMPERS, GRIP = slice(0, 6), slice(6, 12), 12  # actuators


class MujocoRobot:
    """Implements `Robot` on MuJoCo; `cameras` names the cameras to render, of those the task has."""

    def __init__(self, task: Task, station: Station, cameras: Sequence[str] = ()):
        self.model = scene.build_model(task, station)
        self.data = mujoco.MjData(self.model)
        assert task.sim is not None
        self._task, self._scene, self._station = task, task.sim, station
        self._site = self.model.site("tcp").id
        self._scratch = mujoco.MjData(self.model)
        self._randomiser = SceneRandomiser(self.model, task.sim)
        self._substeps = round(1 / (task.rate * task.sim.timestep))
        self._geometry, self._grasps = task.sim.geometry, task.gripper == "binary"
        self._tip = self._geometry.tip
        self._workpiece: Workpiece = (
            FreeWorkpiece(self.model, self.data, task.sim) if self._grasps else HeldWorkpiece(self.data)
        )
        self._chunks = [len(part) for part in np.array_split(np.arange(self._substeps), CHUNKS)]
        self._cameras = SimulatedCameras(self.model, {name: task.cameras[name] for name in cameras})
        self.camera_sizes = {name: task.cameras[name].resolution for name in cameras}
        impedance.set_gains(self.model, task.compliance)
        self._wrench = np.zeros(6)  # on the tool, in the reference frame's axes
        self._penetration, self._touching = 0.0, False

    def reset(self, generator: np.random.Generator) -> None:
        """Draws fixture, randomisation, reset pose and where the workpiece lies; the arm is at rest, the hand open."""
        mujoco.mj_resetData(self.model, self.data)
        self._fit = self._randomiser.apply(generator)
        self._target = self._draw_target(generator)
        reset_pose = self._draw_reset_pose(generator)
        joints = inverse_kinematics.solve(self.model, self._scratch, self._site, reset_pose, panda.HOME)
        self.data.qpos[ARM] = joints
        self.data.act[:] = self.data.ctrl[SPRINGS] = impedance.setpoint(reset_pose)
        if self._grasps:
            fingers.open_fully(self.data)
        self._place_fixture()
        self._workpiece.place(generator, self._fixture)
        mujoco.mj_forward(self.model, self.data)
        self._wrench[:] = 0
        self._penetration, self._touching = 0.0, False

    def _draw_target(self, generator: np.random.Generator) -> np.ndarray:
        noise = np.array(self._scene.socket_position_noise)
        turn = generator.uniform(-self._scene.socket_yaw_noise, self._scene.socket_yaw_noise)
        nominal = np.array(self._station.target_pose)
        return _turned(nominal, generator.uniform(-noise, noise), np.array([0, 0, turn]))

    def _draw_reset_pose(self, generator: np.random.Generator) -> np.ndarray:
        box = self._task.reset_noise
        draw = generator.uniform(box.low, box.high)
        return _turned(self._target, self._task.reset_offset + draw[:3], draw[3:])

    def _place_fixture(self) -> None:
        self._fixture = geometry.compose(self._target, self._geometry.fixture_in_target)
        self.data.mocap_pos[0] = self._fixture[:3]
        self.data.mocap_quat[0] = np.roll(self._fixture[3:], 1)

    def move(self, pose: np.ndarray, gripper: float) -> None:
        """Steps the physics for one control period towards `pose`, the fingers opening or closing."""
        self.command(pose, gripper)
        for steps in self._chunks:
            self.advance(steps)

    def command(self, pose: np.ndarray, gripper: float) -> None:
        """Sets the pose and the gripper's command that `advance` goes on towards."""
        self.data.ctrl[SPRINGS] = impedance.setpoint(pose)
        if self._grasps:
            self.data.ctrl[GRIP] = 2 * gripper - 1

    def advance(self, steps: int) -> None:
        """Takes `steps` steps of physics, a small part of a control period, then samples contact and wrench."""
        mujoco.mj_step(self.model, self.data, nstep=steps)
        exerted = self.data.actuator_force
        # Quasi-static estimate, as an impedance-controlled arm has it: contact balances what the controller exerts.
        share = 1 - math.exp(-steps * self.model.opt.timestep / WRENCH_TIME_CONSTANT)
        self._wrench += share * (-exerted[SPRINGS] - exerted[DAMPERS] - self._wrench)
        sunk = self._workpiece.penetration()
        if sunk is not None:
            self._penetration = max(self._penetration, sunk)
        self._touching = sunk is not None

    def state(self) -> RobotState:
        """Pose and velocity of the tool centre point; the wrench is low-passed and in the end-effector frame."""
        quaternion, velocity = np.empty(4), np.empty(6)
        mujoco.mju_mat2Quat(quaternion, self.data.site_xmat[self._site])
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_SITE, self._site, velocity, 0)
        w, x, y, z = quaternion.tolist()
        pose = np.array((*self.data.site_xpos[self._site].tolist(), x, y, z, w))
        wrench = geometry.unrotate_twist(pose, impedance.to_base(self._wrench))
        opening = fingers.opening(self.data) if self._grasps else 0.0
        return RobotState(pose, np.roll(velocity, 3), wrench[:3], wrench[3:], opening)

    def target(self) -> np.ndarray:
        """Tool pose (7) when the task is done, base frame."""
        return self._target

    def contact(self) -> Contact:
        """Depth is of the workpiece in the fixture, wherever the hand is."""
        held = self._workpiece.pose(self.state().pose)
        tip = geometry.relative(self._fixture, geometry.compose(held, self._tip))
        return Contact(self._geometry.depth_of(tip, self._fit), self._penetration, self._fit, self._touching)

    def object_pose(self) -> np.ndarray | None:
        """Pose (7) of what has to be grasped, base frame; None where the workpiece is part of the hand."""
        return self._workpiece.pose(self.state().pose) if self._grasps else None

    def images(self) -> dict[str, np.ndarray]:
        """One picture per camera, uint8 RGB."""
        return self._cameras.render(self.data)

    def close(self) -> None:
        """Frees the renderers."""
        self._cameras.close()


def _turned(pose: np.ndarray, shift: np.ndarray, rpy: np.ndarray) -> np.ndarray:
    """`pose` (7) moved by `shift` (3) [m] and turned in place by `rpy` (3) [rad], both in the base frame's axes."""
    turn = geometry.compose(geometry.pose_from_euler((0, 0, 0), rpy), np.array([0, 0, 0, *pose[3:]]))
    return np.concatenate([pose[:3] + shift, turn[3:]])

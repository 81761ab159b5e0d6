"""Franka Kitchen (Gupta et al. 2019, package `gymnasium-robotics`): a Panda that is commanded by joint velocities."""

import io
from contextlib import redirect_stderr
from dataclasses import dataclass

import mujoco
import numpy as np

from rldg import geometry
from rldg.env.worlds.edits import edited_model
from rldg.errors import UnknownNameError
from rldg.robots.base import RobotState
from rldg.tasks.world import WorldTask

with redirect_stderr(io.StringIO()):  # at import the package prints a notice about other environments of its own
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import BONUS_THRESH, OBS_ELEMENT_GOALS, KitchenEnv

ARM, FINGERS = slice(0, 7), slice(7, 9)  # the arm's joints, the fingers'
OPENING = 0.04  # m that each finger travels
SPEED = 2.0  # rad/s (m/s of fingers) at a benchmark's action of 1
LEASH = 0.12  # rad by which a joint's set-point may be away from where the joint is
DAMPING = 0.03  # of the least squares
SETTLE = 5  # steps for the arm, which gravity pulls down, to come to rest
SHIFT = np.array([0.03, 0.02, 0.02])  # m by which what is handled is displaced at most
TURN = 0.05  # rad by which each joint of the arm is off at most when an episode begins


@dataclass(frozen=True)
class Fixture:
    """What a task handles: the joints that the benchmark's goal is for, the handle's site, the body to displace."""

    joints: tuple[str, ...]
    handle: str
    body: str


FIXTURES = {  # by name in the benchmark
    "bottom burner": Fixture(("knob_Joint_2", "bottom_left_burner"), "knob2_site", "ovenroot"),
    "top burner": Fixture(("knob_Joint_4", "top_left_burner"), "knob4_site", "ovenroot"),
    "light switch": Fixture(("light_switch", "light_joint"), "light_site", "hoodroot"),
    "slide cabinet": Fixture(("slide_cabinet",), "slide_site", "slidecabinet"),
}


class KitchenSimulation:
    """Implements `Simulation`. The twist goes to joint velocities by damped least squares, fingers to a position.

    `known` is the tool's pose (7) and the handle's position (3), in the world's frame, then the fixture's angle or way.
    """

    known_size = 11

    def __init__(self, task: WorldTask):
        if task.world.env not in FIXTURES:
            raise UnknownNameError("fixture of the kitchen", task.world.env, FIXTURES)
        self._env = KitchenEnv()
        if task.world.edits:
            robot = self._env.robot_env
            self._env.model = robot.model = edited_model(robot.fullpath, task.world.edits)
            self._env.data = robot.data = mujoco.MjData(robot.model)
        self.model, self.data = self._env.model, self._env.data
        fixture, self._goal = FIXTURES[task.world.env], OBS_ELEMENT_GOALS[task.world.env]
        self._joints = [self.model.joint(name).qposadr[0] for name in fixture.joints]
        self._body, self._handle = self.model.body(fixture.body).id, self.model.site(fixture.handle).id
        self._tool = self.model.site("end_effector").id
        self._home, self._place = self._env.robot_env.init_qpos.copy(), self.model.body_pos[self._body].copy()
        self._jacobian = np.zeros((6, self.model.nv))

    def reset(self, generator: np.random.Generator) -> None:
        """Draws where the fixture is, and how the arm stands."""
        robot = self._env.robot_env
        robot.np_random = generator
        self.model.body_pos[self._body] = self._place + generator.uniform(-SHIFT, SHIFT)
        robot.init_qpos = self._home.copy()
        robot.init_qpos[ARM] += generator.uniform(-TURN, TURN, 7)
        self._env.reset()
        self._setpoint = np.append(robot.init_qpos[ARM], [OPENING, OPENING])
        for _ in range(SETTLE):
            self._command()

    def act(self, action: np.ndarray) -> np.ndarray:
        """One step of the benchmark; what exceeds its speed limit of joints is slowed down as a whole."""
        pose, dt = self._pose(), self._env.robot_env.dt
        twist = geometry.rotate_twist(pose, action[:6])
        mujoco.mj_jacSite(self.model, self.data, self._jacobian[:3], self._jacobian[3:], self._tool)
        used = self._jacobian[:, ARM]
        way = used.T @ np.linalg.solve(used @ used.T + DAMPING**2 * np.eye(6), twist)
        share = min(1.0, SPEED * dt / max(np.abs(way).max(), 1e-9))
        joints = self.data.qpos[ARM]
        self._setpoint[ARM] = np.clip(self._setpoint[ARM] + share * way, joints - LEASH, joints + LEASH)
        self._setpoint[FINGERS] = action[6] * OPENING
        self._command()
        return np.array([*(share * action[:6]), action[6]], np.float32)

    def _command(self) -> None:
        """The speed that brings the joints to the set-point, from where the benchmark has measured them.

        The benchmark adds speeds to what it measures: without a set-point to return to, gravity pulls the arm down.
        """
        robot = self._env.robot_env
        self._env.step((self._setpoint - robot._last_robot_qpos) / (robot.dt * SPEED))

    def state(self) -> RobotState:
        """Of the tool centre point, in the world's frame."""
        velocity = np.empty(6)
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_SITE, self._tool, velocity, 0)
        opening = float(np.clip(self.data.qpos[FINGERS].mean() / OPENING, 0, 1))
        return RobotState(self._pose(), np.roll(velocity, 3), np.zeros(3), np.zeros(3), opening)

    def success(self) -> bool:
        """The benchmark's rule."""
        return bool(np.linalg.norm(self.data.qpos[self._joints] - self._goal) < BONUS_THRESH)

    def known(self) -> np.ndarray:
        """Tool, handle, and how far the fixture is."""
        return np.concatenate([self._pose(), self.data.site_xpos[self._handle], self.data.qpos[self._joints[:1]]])

    def mark(self) -> None:
        """Nothing is marked."""

    def _pose(self) -> np.ndarray:
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, self.data.site_xmat[self._tool])
        return np.array([*self.data.site_xpos[self._tool], *np.roll(quaternion, -1)])

"""`RobotEnv`: a task on a robot, as a Gymnasium environment."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from rldg import geometry
from rldg.env import base
from rldg.env.base import TaskEnv, raw_state, relative_state
from rldg.env.grasp import GraspMonitor
from rldg.env.referee import MakeJudge, Referee
from rldg.env.types import (
    FAULT,
    PRIVILEGED_PARTS,
    ActionContract,
    KnownPoses,
    Observation,
    StepInfo,
    checked_action,
    gripper_command,
    privileged_parts,
)
from rldg.env.workspace import clip_to_box
from rldg.robots.base import Robot, RobotState
from rldg.robots.stops import RobotFault, RobotStop
from rldg.tasks import load_station
from rldg.tasks.station import Station
from rldg.tasks.task import InsertionDepth, Task

RESET_TRIES = 5  # an episode begins with a whole observation; a physical robot may fail between reset and picture
JAM_STEPS = 10  # a time-out counts as a jam if the plug touched and stood still for this many steps
WALL = "penetration"  # a wall gave way by the whole clearance: no insertion after that would mean anything
JAM_TRAVEL = 0.001  # metres

logger = logging.getLogger(__name__)


class RobotEnv(TaskEnv):
    """One episode: from a random reset pose to success, a force limit, or the horizon (which truncates).

    Args:
        task: what to do.
        station: where; the simulated station by default.
        cameras: True for every camera of the task, False for none, or their names.
        robot: the body; by default the one that `station` names.
        judge: who judges instead of what the task asks for, such as `lambda look: OperatorJudge(switch)`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as gymnasium declares it

    def __init__(
        self,
        task: Task,
        station: Station | None = None,
        cameras: bool | Sequence[str] = True,
        robot: Robot | None = None,
        judge: MakeJudge | None = None,
    ):
        self.task = task
        self.station = station or load_station("sim")
        if isinstance(cameras, bool):
            cameras = tuple(task.cameras) if cameras else ()
        simulated = self.station.backend == "mujoco"
        self._inserts = isinstance(task.success, InsertionDepth)
        self._referee = Referee(task, simulated, self._look, judge)
        # A judge's cameras are carried too, but policies see only those that were asked for.
        self.robot = robot or _make_robot(task, self.station, tuple(dict.fromkeys((*cameras, *self._referee.cameras))))
        self.camera_sizes = self.robot.camera_sizes if robot else {c: self.robot.camera_sizes[c] for c in cameras}
        self.render_mode = "rgb_array" if cameras else None
        self._contract = ActionContract.of(task)
        sees_object = simulated and "object_in_tcp" in privileged_parts(task)
        self._grasp = GraspMonitor(task.workspace) if sees_object else None
        privileged = privileged_parts(task) if simulated else ("tcp_in_target",)
        self.action_space = base.action_space()
        sizes = {name: PRIVILEGED_PARTS[name] for name in privileged}
        self.observation_space = base.observation_space(self.camera_sizes, sizes)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins an episode; the same seed gives the same scene.

        Raises `RldgError` if the robot cannot be reset, and `RobotStop` if its first observation fails again and again.
        """
        super().reset(seed=seed)
        for _ in range(RESET_TRIES - 1):
            try:
                return self._begin()
            except RobotStop as stop:
                logger.warning("The episode does not begin: %s The robot is reset once more.", stop)
        return self._begin()

    def _begin(self) -> tuple[Observation, dict[str, Any]]:
        self.robot.reset(self.np_random)
        self._referee.reset()
        if self._grasp is not None:
            self._grasp.reset()
        self._steps, self._path, self._pictures = 0, [], None
        self._gripper = 0.0 if self.task.gripper == "fixed" else 1.0  # what it was told last
        state = self.robot.state()
        self._state, self._origin = state, geometry.invert(state.pose)
        contact = self.robot.contact()
        info = StepInfo(raw_state=raw_state(state), insertion_depth=contact.depth if contact else 0.0)
        return self._observe(state), base.info(info)

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Carries out one normalised action (7) for one control period; the twist starts from the measured pose.

        A robot that has to stop ends the episode with its reason. Raises `ActionError` if the action is not seven
        finite numbers.
        """
        action = checked_action(action)
        try:
            return self._step(action)
        except RobotStop as stop:
            return self._stopped(action, stop)

    def _step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        metric = self._contract.to_metric(action)
        if self.task.gripper == "binary":
            self._gripper = gripper_command(float(action[6]), self._gripper)
        metric[6] = self._gripper
        before = self._state.pose
        goal = clip_to_box(geometry.integrate(before, metric[:6]), self.robot.target(), self.task.workspace)
        self.robot.move(goal, gripper=self._gripper)
        state = self._state = self.robot.state()
        contact = self.robot.contact()
        self._pictures = None
        self._steps += 1
        observation = self._observe(state)
        verdict = self._referee(observation, contact)
        success = verdict.success
        too_hard = bool(np.linalg.norm(state.force) > self.task.force_limit)
        lost, held = False, True
        if self._grasp is not None:
            self._grasp.update(observation, closed=self._gripper == 0)
            lost, held = self._grasp.lost, self._grasp.held
        self._path.append((state.pose[:3], held and contact is not None and contact.touching))
        through = self._inserts and contact is not None and contact.penetration >= contact.clearance
        terminated = success or too_hard or lost or through
        truncated = not terminated and self._steps >= self.task.horizon
        reason = "" if success else "force_limit" if too_hard else "dropped" if lost else WALL if through else ""
        if truncated:
            reason = self._time_out_reason()
        info = StepInfo(
            raw_state=raw_state(state),
            action=metric,
            base_action=np.append(geometry.rotate_twist(before, metric[:6]), metric[6]).astype(np.float32),
            success=success,
            truth=verdict.truth,
            failure_reason=reason,
            insertion_depth=contact.depth if contact else 0.0,
            penetration=contact.penetration if contact else 0.0,
        )
        return observation, float(success), terminated, truncated, base.info(info)

    def _stopped(self, action: np.ndarray, stop: RobotStop) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """The last step of an episode that the robot ended: nothing new is seen, and little is certain."""
        logger.warning("The episode ends: %s", stop)
        metric = self._contract.to_metric(action)
        metric[6] = self._gripper
        info = StepInfo(
            raw_state=raw_state(self._state),
            action=metric,
            base_action=np.append(geometry.rotate_twist(self._state.pose, metric[:6]), metric[6]).astype(np.float32),
            failure_reason=(FAULT if isinstance(stop, RobotFault) else "") + stop.reason,
        )
        return self._seen, 0.0, stop.terminal, not stop.terminal, base.info(info)

    def _time_out_reason(self) -> str:
        if self._grasp is not None and self._grasp.dropped:
            return "dropped"
        recent = self._path[-JAM_STEPS:]
        travel = np.linalg.norm(recent[-1][0] - recent[0][0])
        return "jam" if all(touching for _, touching in recent) and travel < JAM_TRAVEL else "time_out"

    def _observe(self, state: RobotState) -> Observation:
        self._seen: Observation = {
            "state": relative_state(state, self._origin),
            "images": {camera: self._look()[camera] for camera in self.camera_sizes},
            "privileged": self._privileged(state),
        }
        return self._seen

    def _privileged(self, state: RobotState) -> dict[str, np.ndarray]:
        target = self.robot.target()
        poses = {"tcp_in_target": geometry.relative(target, state.pose)}
        if self._grasp is not None:
            held = self.robot.object_pose()
            assert held is not None
            poses |= {
                "object_in_tcp": geometry.relative(state.pose, held),
                "object_in_target": geometry.relative(target, held),
            }
        return KnownPoses({name: pose.astype(np.float32) for name, pose in poses.items()})

    def _look(self) -> dict[str, np.ndarray]:
        """Every camera's picture of this step, taken when the first of judge and policy asks."""
        if self._pictures is None:
            self._pictures = self.robot.images()
        return self._pictures

    def render(self) -> np.ndarray:
        """The task's cameras side by side, (H, W, 3) uint8."""
        return np.concatenate(list(self.robot.images().values()), axis=1)

    def close(self) -> None:
        """Releases the robot."""
        self.robot.close()


def _make_robot(task: Task, station: Station, cameras: Sequence[str]) -> Robot:
    if station.backend == "franka":
        from rldg.robots.franka_robot import FrankaRobot

        return FrankaRobot(task, station, cameras)
    from rldg.robots.mujoco_robot import MujocoRobot  # MuJoCo is heavy, and a physical station does not need it

    return MujocoRobot(task, station, cameras)

"""A robot without physics, which is wherever it was told to be: reinforcement learning in seconds, for tests."""

import numpy as np

from rldg import geometry
from rldg.env.robot_env import RobotEnv
from rldg.robots.base import Contact, RobotState
from rldg.tasks import load_task
from rldg.tasks.task import PoseThreshold, Task


class PointRobot:
    """Implements the `Robot` protocol; resets up to 3 cm beside and 5 cm above its target."""

    def __init__(self) -> None:
        self.camera_sizes: dict[str, int] = {}

    def reset(self, generator: np.random.Generator) -> None:
        self._target = geometry.pose_from_euler(np.array([0.5, 0, 0.1]), np.array([np.pi, 0, generator.uniform(-1, 1)]))
        offset = np.append(generator.uniform(-0.03, 0.03, 2), -0.05)
        self._pose = geometry.compose(self._target, np.concatenate([offset, [0, 0, 0, 1]]))

    def move(self, pose: np.ndarray, gripper: float) -> None:
        self._pose = pose

    def state(self) -> RobotState:
        return RobotState(self._pose, np.zeros(6), np.zeros(3), np.zeros(3), gripper=0.0)

    def target(self) -> np.ndarray:
        return self._target

    def contact(self) -> Contact | None:
        return None

    def object_pose(self) -> np.ndarray | None:
        return None

    def images(self) -> dict[str, np.ndarray]:
        return {}

    def close(self) -> None:
        pass


def point_task() -> Task:
    """Reaching the target within 8 mm and 0.2 rad."""
    success = PoseThreshold(kind="pose_threshold", tolerance=(0.008, 0.008, 0.008, 0.2, 0.2, 0.2))
    return load_task("usb_a_insertion").model_copy(update={"name": "point", "success": success, "horizon": 50})


def point_env(task: Task) -> RobotEnv:
    return RobotEnv(task, cameras=False, robot=PointRobot())

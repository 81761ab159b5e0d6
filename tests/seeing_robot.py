"""A point robot that sees itself: one small picture in which a spot shows where its target is. For tests of iRe-VLA."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from rldg import geometry
from rldg.data.writer import DatasetWriter
from rldg.env.robot_env import RobotEnv
from rldg.env.types import Observation
from rldg.irevla.vector import SerialEnvs
from rldg.policies.base import Policy, PolicyMetadata
from rldg.rollout import rollout
from rldg.tasks.task import Task
from tests.point_robot import PointRobot, point_task

PIXELS = 16


class SeeingRobot(PointRobot):
    """The spot moves by a pixel for 6 mm and grows as the target comes nearer."""

    def __init__(self) -> None:
        super().__init__()
        self.camera_sizes = {"wrist_1": PIXELS}

    def images(self) -> dict[str, np.ndarray]:
        x, y, z = geometry.relative(self._pose, self._target)[:3]
        rows, columns = np.indices((PIXELS, PIXELS)) - PIXELS / 2 + 0.5
        distance = np.hypot(rows - y / 0.006, columns - x / 0.006)
        spot = np.clip(3 - 30 * abs(z) - distance, 0, 1)[..., None]
        return {"wrist_1": (np.array([200, 120, 40]) * spot + 20).astype(np.uint8)}


class Straight(Policy):
    """Goes straight to the target, as fast as it may."""

    metadata = PolicyMetadata(kind="expert")

    def act(self, observation: Observation) -> np.ndarray:
        """The position of the target, seen from the tool."""
        there = geometry.invert(observation["privileged"]["tcp_in_target"].astype(float))[:3]
        scale = seeing_task().action_scale.translation
        return np.append(np.clip(there / scale, -1, 1), np.zeros(4)).astype(np.float32)[None]


def seeing_task() -> Task:
    """Reaching the target within 8 mm, in 12 steps."""
    task = point_task()
    camera = next(iter(task.cameras.values())).model_copy(update={"resolution": PIXELS})
    return task.model_copy(update={"name": "seeing", "horizon": 12, "cameras": {"wrist_1": camera}})


def seeing_env() -> RobotEnv:
    return RobotEnv(seeing_task(), cameras=True, robot=SeeingRobot())


def seeing_envs(task: str, count: int) -> SerialEnvs:
    """For `rldg.irevla.run.run`; `task` is but a name."""
    del task
    return SerialEnvs([seeing_env() for _ in range(count)])


def expert_data(folder: Path, episodes: int = 12) -> Path:
    """A data set of the expert, some of whose actions are off."""
    writer, env = DatasetWriter(folder), seeing_env()
    for seed in range(episodes):
        episode = rollout(env, Straight(), seed)
        writer.write(seed, replace(episode, metadata=replace(episode.metadata, time="2026-01-01T00:00:00+00:00")))
    return folder

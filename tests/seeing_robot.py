"""A point robot that sees itself: one small picture in which a spot shows where its target is. For tests of iRe-VLA."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from rldg import geometry
from rldg.data.writer import DatasetWriter
from rldg.env.robot_env import RobotEnv
from rldg.env.types import Observation, StepInfo
from rldg.env.vector import Stepped
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


class SerialEnvs:
    """Stands for a `VectorEnv` of environments that no worker could make anew."""

    def __init__(self, envs: list[RobotEnv]) -> None:
        self.envs = envs
        self.task, self.station, self.camera_sizes = envs[0].task, envs[0].station, envs[0].camera_sizes

    @property
    def count(self) -> int:
        return len(self.envs)

    def reset(self, seeds: Mapping[int, int]) -> dict[int, tuple[Observation, StepInfo]]:
        begun = {number: self.envs[number].reset(seed=seed) for number, seed in seeds.items()}
        return {number: (observation, info["step"]) for number, (observation, info) in begun.items()}

    def step(self, actions: Mapping[int, np.ndarray]) -> dict[int, Stepped]:
        done = {number: self.envs[number].step(action) for number, action in actions.items()}
        return {number: Stepped(*rest, info["step"]) for number, (*rest, info) in done.items()}  # pyright: ignore

    def close(self) -> None:
        pass


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

"""`TaskEnv`: what the control loop, recorders and trainers know of an environment."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rldg import geometry
from rldg.env.types import ACTION_DIMENSION, STATE_PARTS, Observation, StepInfo
from rldg.robots.base import RobotState
from rldg.tasks.station import Station
from rldg.tasks.task import Task


class TaskEnv(gymnasium.Env[Observation, np.ndarray]):
    """An environment for `task` at `station` with pictures of `camera_sizes` (camera -> pixels, square).

    Observations and actions are those of `rldg.env.types`. Reward is 1 on the step that succeeds, else 0; then
    `info["success"]` is True. `info["step"]` holds a `StepInfo`. `reset(seed=...)` fixes the scene and everything that
    follows.
    """

    task: Task
    station: Station
    camera_sizes: dict[str, int]
    observation_space: spaces.Space[Any]


def action_space() -> spaces.Box:
    """Normalised actions (7)."""
    return spaces.Box(-1, 1, (ACTION_DIMENSION,), np.float32)


def observation_space(camera_sizes: Mapping[str, int], privileged: Mapping[str, int]) -> spaces.Dict:
    """Of observations with pictures of these sizes [px], and privileged parts of so many numbers."""
    groups: dict[str, spaces.Space[Any]] = {
        "state": _vectors(STATE_PARTS),
        "images": image_space(camera_sizes),
        "privileged": _vectors(privileged),
    }
    return spaces.Dict(groups)


def image_space(camera_sizes: Mapping[str, int]) -> spaces.Dict:
    """Of one picture for each camera (camera -> pixels, square)."""
    boxes: dict[str, spaces.Space[Any]] = {
        name: spaces.Box(0, 255, (size, size, 3), np.uint8) for name, size in camera_sizes.items()
    }
    return spaces.Dict(boxes)


def _vectors(sizes: Mapping[str, int]) -> spaces.Dict:
    return spaces.Dict({name: spaces.Box(-np.inf, np.inf, (size,), np.float32) for name, size in sizes.items()})


def raw_state(state: RobotState) -> dict[str, np.ndarray]:
    """A measurement under the observation's names, float32, in the base frame."""
    return {
        "tcp_pose": state.pose.astype(np.float32),
        "tcp_vel": state.velocity.astype(np.float32),
        "tcp_force": state.force.astype(np.float32),
        "tcp_torque": state.torque.astype(np.float32),
        "gripper_pose": np.array([state.gripper], np.float32),
    }


def relative_state(state: RobotState, origin: np.ndarray) -> dict[str, np.ndarray]:
    """A measurement as policies see it; `origin` is the inverse of the episode's reset pose (7)."""
    return raw_state(state) | {
        "tcp_pose": geometry.compose(origin, state.pose).astype(np.float32),
        "tcp_vel": geometry.unrotate_twist(state.pose, state.velocity).astype(np.float32),
    }


def info(step: StepInfo) -> dict[str, Any]:
    """What `reset` and `step` say beyond the observation."""
    return {"step": step, "success": step.success}

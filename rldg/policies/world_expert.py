"""Scripted policies of benchmarks' tasks, which go by what the benchmark knows."""

import warnings
from typing import Protocol

import numpy as np

from rldg import geometry
from rldg.env.types import Observation
from rldg.env.worlds.frames import SAWYER_HAND
from rldg.policies.kitchen_expert import KitchenExpert
from rldg.tasks.world import WorldTask, check_installed


class WorldExpert(Protocol):
    """Acts for one episode."""

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (7)."""
        ...


def make_world_expert(task: WorldTask) -> WorldExpert:
    """The script for `task`; raises `UsageError` where its benchmark is not installed."""
    check_installed(task)
    return MetaworldExpert(task) if task.world.suite == "metaworld" else KitchenExpert(task)


class MetaworldExpert:
    """Meta-World's own policy of a task, at the control rate of ours."""

    def __init__(self, task: WorldTask):
        from metaworld.policies import ENV_POLICY_MAP

        self._policy = ENV_POLICY_MAP[f"{task.world.env}-v3"]()

    def act(self, observation: Observation) -> np.ndarray:
        """What it says, in the end-effector frame; it counts on being clipped, of which it warns."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x, y, z, effort = self._policy.get_action(observation["privileged"]["world"].astype(np.float64))
        twist = geometry.unrotate_twist(SAWYER_HAND, np.array([x, y, z, 0, 0, 0]))
        return np.clip([*twist, -effort], -1, 1).astype(np.float32)

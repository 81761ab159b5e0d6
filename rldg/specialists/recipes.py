"""What a training starts from where it is told nothing else: its algorithm's defaults, tuned to the kind of task."""

from typing import Any

from rldg.specialists.algorithms import configured
from rldg.specialists.config import SpecialistConfig
from rldg.tasks.task import Task

# Reinforcement learning of tasks that begin with a grasp. They are three times as long as insertions and fail in more
# ways: more demonstrations, a longer view, and of the same number of updates fewer per step. Confirmed earlier, since
# what is asked of them is 95 of 100.
GRASPING: dict[str, Any] = {
    "demonstrations": 100,
    "discount": 0.98,
    "updates_per_step": 4,
    "least_updates": 50_000,
    "confirm_episodes": 100,
    "max_env_steps": 60_000,
}


def recipe(task: Task, algorithm: str = "rlpd") -> SpecialistConfig:
    """The configuration for `task`; raises `UnknownNameError` for an unknown algorithm."""
    tuned = task.gripper == "binary" and algorithm == "rlpd"
    return configured(algorithm, **(GRASPING if tuned else {}))

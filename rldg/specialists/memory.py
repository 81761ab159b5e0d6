"""How much memory a training's replay needs: said before it begins, and refused if this machine has not so much."""

import logging
import math

import numpy as np

from rldg.errors import TrainingError
from rldg.machine import free_memory
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.spec import AgentSpec
from rldg.tasks.task import Task

logger = logging.getLogger(__name__)

BESIDE = 64  # bytes of a step beside what was seen: action, reward, marks
WORTH_SAYING = 1e9  # bytes


def replay_bytes(config: SpecialistConfig, spec: AgentSpec, task: Task, beside: int = 0) -> int:
    """Bytes of the whole budget's steps, of demonstrations as long as may be, and of each episode's last observation.

    `beside` are bytes that a step takes beside what the agent sees.
    """
    steps = config.max_env_steps + config.demonstrations * task.horizon
    seen = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in spec.parts().values())
    return round(steps * (1 + 1 / task.horizon)) * (seen + BESIDE + beside)


def check_memory(config: SpecialistConfig, spec: AgentSpec, task: Task, beside: int = 0) -> None:
    """Says what the replay will need, if it is much; raises `TrainingError` if there is less."""
    needed, free = replay_bytes(config, spec, task, beside), free_memory()
    if 0 < free < needed:
        raise TrainingError(
            f"The replay of {config.max_env_steps} steps needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
            f"; lower --max-env-steps or --image-size, or use fewer --cameras."
        )
    if needed > WORTH_SAYING:
        logger.warning("The replay will need up to %.1f GB of the %.1f GB that are free.", needed / 1e9, free / 1e9)

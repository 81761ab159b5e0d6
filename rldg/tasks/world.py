"""`WorldTask`: a task of a benchmark whose simulator, the *world*, comes with the package of that benchmark."""

from importlib.util import find_spec
from typing import Literal

from pydantic import Field

from rldg.errors import UsageError
from rldg.tasks.box import Box
from rldg.tasks.gains import Gains
from rldg.tasks.model import FrozenModel, Vector3
from rldg.tasks.task import CameraView, Task

PACKAGES = {"metaworld": "metaworld", "kitchen": "gymnasium_robotics"}  # suite -> what has to be installed
ANYWHERE = Box(low=(-10, -10, -10, -3.2, -3.2, -3.2), high=(10, 10, 10, 3.2, 3.2, 3.2))
NOWHERE_ELSE = Box(low=(0, 0, 0, 0, 0, 0), high=(0, 0, 0, 0, 0, 0))


class View(FrozenModel):
    """A camera at rest in the world, upright, with a vertical field of view of 45 degrees."""

    position: Vector3 = Field(description="in the world's frame [m]")
    look_at: Vector3 = Field(description="the point in the middle of the picture [m]")


class World(FrozenModel):
    """Which of the benchmark's environments, how fast it is acted in, from where it is seen."""

    suite: Literal["metaworld", "kitchen"]
    env: str = Field(default="", description="the benchmark's own name of the task")
    repeat: int = Field(default=1, ge=1, le=20, description="steps of the benchmark per control step")
    views: dict[str, View] = Field(description="where each camera of the task is")


class WorldTask(Task):
    """A task of a benchmark. Its world settles by itself where the arm may go, where it begins, and how stiff it is:
    what says so of other tasks has no meaning here, is not shown and not part of the hash.
    """

    workspace: Box = Field(default=ANYWHERE, exclude=True)
    reset_offset: Vector3 = Field(default=(0, 0, 0), exclude=True)
    reset_noise: Box = Field(default=NOWHERE_ELSE, exclude=True)
    compliance: Gains = Field(default=Gains(), exclude=True)
    precision: Gains = Field(default=Gains(), exclude=True)
    force_limit: float = Field(default=1e9, exclude=True)
    cameras: dict[str, CameraView]
    world: World


def installed(suite: str) -> bool:
    """Whether the benchmark's package is there."""
    return find_spec(PACKAGES[suite]) is not None


def check_installed(task: WorldTask) -> None:
    """Raises `UsageError` where the package of the task's benchmark is missing."""
    if not installed(task.world.suite):
        raise UsageError(
            f"Task '{task.name}' needs the package '{PACKAGES[task.world.suite]}', which is not installed: "
            f"pip install 'rldg[worlds]'."
        )

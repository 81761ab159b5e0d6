"""`WorldTask`: a task of a benchmark whose simulator, the *world*, comes with the package of that benchmark."""

import re
from importlib.util import find_spec
from typing import Literal

from pydantic import Field, model_validator

from rldg.errors import UsageError
from rldg.tasks.box import Box
from rldg.tasks.gains import Gains
from rldg.tasks.model import FrozenModel, Vector3
from rldg.tasks.task import Task

PACKAGES = {"metaworld": "metaworld", "kitchen": "gymnasium_robotics"}  # suite -> what has to be installed
ANYWHERE = Box(low=(-10, -10, -10, -3.2, -3.2, -3.2), high=(10, 10, 10, 3.2, 3.2, 3.2))
NOWHERE_ELSE = Box(low=(0, 0, 0, 0, 0, 0), high=(0, 0, 0, 0, 0, 0))


class View(FrozenModel):
    """A camera at rest in the world, upright, with a vertical field of view of 45 degrees."""

    position: Vector3 = Field(description="in the world's frame [m]")
    look_at: Vector3 = Field(description="the point in the middle of the picture [m]")


class Edit(FrozenModel):
    """One change of the benchmark's model."""

    kind: Literal["material", "mesh", "geom"]
    name: str = Field(description="in the model; of a geom, which has none: its body and its number there, button/0")
    rgba: tuple[float, float, float, float] | None = Field(default=None, description="of a material or geom, 0 .. 1")
    size: Vector3 | None = Field(default=None, description="of a geom, as MuJoCo reads it [m]")
    scale: float | None = Field(default=None, gt=0, description="factor on a mesh")

    @model_validator(mode="after")
    def _fitting(self) -> "Edit":
        valid = {"material": {"rgba"}, "mesh": {"scale"}, "geom": {"rgba", "size"}}[self.kind]
        given = {name for name in ("rgba", "size", "scale") if getattr(self, name) is not None}
        if not given or given - valid:
            raise ValueError(f"of a {self.kind} can be set: {', '.join(sorted(valid))}")
        if self.kind == "geom" and not re.fullmatch(r"\w+/\d+", self.name):
            raise ValueError(f"a geom is named BODY/NUMBER, got {self.name!r}")
        return self


class Starts(FrozenModel):
    """Corners of the box from which the benchmark draws where its object starts, instead of its own."""

    low: tuple[float, ...]
    high: tuple[float, ...]


class World(FrozenModel):
    """Which of the benchmark's environments, how fast it is acted in, from where it is seen."""

    suite: Literal["metaworld", "kitchen"]
    env: str = Field(default="", description="the benchmark's own name of the task")
    repeat: int = Field(default=1, ge=1, le=20, description="steps of the benchmark per control step")
    views: dict[str, View] = Field(description="where each camera of the task is")
    starts: Starts | None = Field(default=None, exclude_if=lambda v: v is None, description="of Meta-World's object")
    edits: tuple[Edit, ...] = Field(default=(), exclude_if=lambda v: not v, description="changes of the model")

    @model_validator(mode="after")
    def _of_the_suite(self) -> "World":
        if self.suite != "metaworld" and (self.starts or self.repeat != 1):
            raise ValueError("only Meta-World's tasks have 'starts' and 'repeat'")
        return self


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
    world: World

    @model_validator(mode="after")
    def _seen_from_somewhere(self) -> "WorldTask":
        if missing := sorted(self.cameras.keys() - self.world.views):
            raise ValueError(f"world.views must say where camera {', '.join(missing)} is")
        return self


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

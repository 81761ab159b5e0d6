"""`Station`: one physical or simulated set-up on which tasks run."""

from typing import Literal

from pydantic import Field

from rldg.tasks.model import FrozenModel, Pose, Vector3


class CameraMount(FrozenModel):
    """Where a simulated camera sits, or which physical camera plays its part."""

    parent: Literal["tool", "world"] = Field(default="world", description="the body that carries it")
    position: Vector3 = Field(default=(0.0, 0.0, 0.0), description="in the parent's frame [m]")
    look_at: Vector3 = Field(default=(0.0, 0.0, 0.0), description="the point it looks at, in the parent's frame [m]")
    up: Vector3 = Field(default=(0.0, 0.0, 1.0), description="upward direction of the picture, in the parent's frame")
    fovy: float = Field(default=60.0, gt=1, lt=170, description="vertical field of view [deg]")
    serial: str = ""
    exposure: int | None = None


class Station(FrozenModel):
    """A set-up: where the target is, which cameras look at it, and who drives the arm."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    backend: Literal["mujoco", "franka"]
    url: str = Field(default="", description="the Franka server's address, for a physical station")
    target_pose: Pose = Field(description="nominal target in the base frame: xyz [m], quaternion xyzw")
    cameras: dict[str, CameraMount]

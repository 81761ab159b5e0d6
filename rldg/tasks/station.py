"""`Station`: one physical or simulated set-up on which tasks run."""

from typing import Literal

from pydantic import Field, model_validator

from rldg.tasks.model import FrozenModel, Pose, Vector3
from rldg.tasks.safety import Safety


class CameraMount(FrozenModel):
    """Where a simulated camera sits, or which physical camera plays its part."""

    parent: Literal["tool", "world"] = Field(default="world", description="the body that carries it")
    position: Vector3 = Field(default=(0.0, 0.0, 0.0), description="in the parent's frame [m]")
    look_at: Vector3 = Field(default=(0.0, 0.0, 0.0), description="the point it looks at, in the parent's frame [m]")
    up: Vector3 = Field(default=(0.0, 0.0, 1.0), description="upward direction of the picture, in the parent's frame")
    fovy: float = Field(default=60.0, gt=1, lt=170, description="vertical field of view [deg]")
    driver: Literal["", "realsense", "opencv", "station", "file"] = Field(
        default="", description="a physical camera's; 'station' is a simulated station's, 'file' a folder of pictures"
    )
    serial: str = Field(default="", description="of a RealSense")
    device: str = Field(default="", description="of OpenCV: /dev/video0, or a film; of 'file': the folder")
    width: int = Field(default=640, ge=16, le=4096, description="pixels of the sensor's frame")
    height: int = Field(default=480, ge=16, le=4096, description="pixels of the sensor's frame")
    fps: int = Field(default=30, ge=1, le=240, description="frames per second")
    exposure: int | None = Field(default=None, description="microseconds; automatic if not given")
    crop: tuple[float, float, float, float] = Field(
        default=(0.0, 0.0, 1.0, 1.0),
        description="left, top, right, bottom as shares of the sensor's frame; its middle square is what tasks see",
    )


class GripperSettings(FrozenModel):
    """A physical gripper."""

    kind: Literal["robotiq", "franka", "none"] = "franka"
    open_above: float = Field(default=0.85, gt=0, lt=1, description="measured opening (0 .. 1) that counts as open")
    lockout: float = Field(default=0.6, ge=0, description="seconds between two commands")
    slow_close: bool = Field(default=False, description="whether to close by the server's slow route (HIL-SERL's only)")


class Load(FrozenModel):
    """What the hand carries beyond the arm's own description, as the server's `/set_load` takes it."""

    mass: float = Field(ge=0, le=3, description="kilograms")
    F_x_center_load: Vector3 = Field(description="centre of mass in the flange frame [m]")
    load_inertia: tuple[float, float, float, float, float, float, float, float, float]


class Station(FrozenModel):
    """A set-up: where the target is, which cameras look at it, who drives the arm, and what the arm may do."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    backend: Literal["mujoco", "franka"]
    url: str = Field(default="", description="the Franka server's address, for a physical station")
    target_pose: Pose = Field(description="nominal target in the base frame: xyz [m], quaternion xyzw")
    targets: dict[str, Pose] = Field(default={}, description="the target of a task, by its name, where it is another")
    cameras: dict[str, CameraMount]
    gripper: GripperSettings = GripperSettings()
    safety: Safety = Safety()
    load: Load | None = None
    joint_reset_period: int = Field(default=0, ge=0, description="episodes between two resets of the joints; 0: none")
    rearranged_by: Literal["nobody", "operator", "server"] = Field(
        default="nobody",
        description="who puts things back before an episode: an operator, who then presses space in the terminal, or a "
        "simulated station's server",
    )
    lift: float = Field(default=0.0, ge=0, le=0.3, description="metres straight up at the beginning of a reset")
    speed: float = Field(
        default=1.0, ge=0, description="of a simulated station's clock; 0: it waits for commands (docs/station.md)"
    )

    @model_validator(mode="after")
    def _reachable(self) -> "Station":
        if self.backend == "franka" and not self.url.startswith(("http://", "https://")):
            raise ValueError(
                f"a Franka station needs the server's 'url', such as http://127.0.0.1:5000/, got {self.url!r}"
            )
        for name, pose in {"target_pose": self.target_pose, **self.targets}.items():
            length = sum(part * part for part in pose[3:])
            if not 0.98 < length < 1.02:
                raise ValueError(f"{name} must end in a unit quaternion (xyzw), got {pose[3:]}")
        return self

    def target_of(self, task: str) -> Pose:
        """The target pose of a task at this station."""
        return self.targets.get(task, self.target_pose)

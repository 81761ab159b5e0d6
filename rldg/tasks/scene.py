"""The `sim:` block of a task: the geometry and physics that the real robot has for free."""

from pydantic import Field, field_validator

from rldg.tasks.model import FrozenModel, Vector3

Interval = tuple[float, float]


class Connector(FrozenModel):
    """A plug and its socket. The plug is the cross-section extruded; the socket has one wall per edge around it."""

    cross_section: tuple[tuple[float, float], ...] = Field(
        description="corners (x, y) of a convex polygon, counter-clockwise [mm]"
    )
    depth: float = Field(gt=0, le=50, description="full insertion depth [mm]")
    clearance: float = Field(default=0.5, gt=0, le=5, description="gap per side between plug and wall [mm]")
    chamfer: float = Field(
        default=1.0, ge=0, le=5, description="width and height of the lead-in at the socket's mouth [mm]"
    )
    color: Vector3 = Field(default=(0.75, 0.75, 0.78), description="plug, RGB 0..1")

    @field_validator("cross_section")
    @classmethod
    def _convex(cls, corners: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if len(corners) < 3:
            raise ValueError(f"a cross-section needs at least 3 corners, got {len(corners)}")
        for i in range(len(corners)):
            (ax, ay), (bx, by), (cx, cy) = (corners[(i + k) % len(corners)] for k in range(3))
            if (bx - ax) * (cy - by) - (by - ay) * (cx - bx) <= 0:
                raise ValueError(
                    f"corners must run counter-clockwise around a convex shape; "
                    f"corner {(i + 1) % len(corners)} at ({bx}, {by}) does not"
                )
        return corners


class Randomisation(FrozenModel):
    """What changes from episode to episode, each an interval that is drawn from uniformly. Empty: nothing changes."""

    light: Interval | None = Field(default=None, description="factor on the light's intensity")
    color: float = Field(default=0.0, ge=0, le=1, description="largest change of each colour channel")
    camera_position: float = Field(default=0.0, ge=0, le=0.05, description="largest camera displacement per axis [m]")
    camera_rotation: float = Field(default=0.0, ge=0, le=0.3, description="largest camera rotation per axis [rad]")
    friction: Interval | None = Field(default=None, description="sliding friction between plug and socket")
    clearance: Interval | None = Field(default=None, description="gap per side [mm]")


class SimulatedScene(FrozenModel):
    """Geometry, contact and randomisation of a simulated task."""

    connector: Connector
    timestep: float = Field(default=0.002, gt=0, le=0.01, description="physics step [s]")
    friction: float = Field(default=0.3, ge=0, le=2, description="sliding friction between plug and socket")
    socket_position_noise: Vector3 = Field(default=(0.03, 0.03, 0.0), description="largest displacement per axis [m]")
    socket_yaw_noise: float = Field(default=0.1, ge=0, le=3.2, description="largest rotation about the vertical [rad]")
    randomise: Randomisation = Randomisation()

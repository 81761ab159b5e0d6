"""The `sim:` block of a task: the geometry and physics that the real robot has for free."""

from pydantic import Field, model_validator

from rldg.tasks.geometry.base import Geometry
from rldg.tasks.geometry.connector import Connector
from rldg.tasks.geometry.placing import Placing
from rldg.tasks.model import FrozenModel, Vector2, Vector3

Interval = tuple[float, float]


class Randomisation(FrozenModel):
    """What changes from episode to episode, each an interval that is drawn from uniformly. Empty: nothing changes."""

    light: Interval | None = Field(default=None, description="factor on the light's intensity")
    color: float = Field(default=0.0, ge=0, le=1, description="largest change of each colour channel")
    camera_position: float = Field(default=0.0, ge=0, le=0.05, description="largest camera displacement per axis [m]")
    camera_rotation: float = Field(default=0.0, ge=0, le=0.3, description="largest camera rotation per axis [rad]")
    friction: Interval | None = Field(default=None, description="sliding friction between plug and socket")
    clearance: Interval | None = Field(default=None, description="gap per side [mm]")


class Start(FrozenModel):
    """Where what has to be grasped lies at first, in the fixture's axes: seen from the arm x is forward, y left."""

    offset: Vector2 = Field(description="from the fixture's centre [m]")
    position_noise: Vector2 = Field(default=(0.0, 0.0), description="largest displacement per axis [m]")
    yaw_noise: float = Field(default=0.0, ge=0, le=3.2, description="largest rotation about the vertical [rad]")


class SimulatedScene(FrozenModel):
    """Geometry, contact and randomisation of a simulated task. The geometry is of one kind, each under its own name."""

    connector: Connector | None = Field(default=None, exclude_if=lambda v: v is None)
    placing: Placing | None = Field(default=None, exclude_if=lambda v: v is None)
    timestep: float = Field(default=0.002, gt=0, le=0.01, description="physics step [s]")
    friction: float = Field(default=0.3, ge=0, le=2, description="sliding friction between plug and socket")
    socket_position_noise: Vector3 = Field(default=(0.03, 0.03, 0.0), description="largest displacement per axis [m]")
    socket_yaw_noise: float = Field(default=0.1, ge=0, le=3.2, description="largest rotation about the vertical [rad]")
    start: Start | None = Field(
        default=None, exclude_if=lambda v: v is None, description="where what is grasped lies at first"
    )
    table_color: Vector3 = Field(
        default=(0.45, 0.36, 0.28), exclude_if=lambda v: v == (0.45, 0.36, 0.28), description="RGB 0..1"
    )
    randomise: Randomisation = Randomisation()

    @model_validator(mode="after")
    def _one_geometry(self) -> "SimulatedScene":
        if len(self._given()) != 1:
            raise ValueError("exactly one geometry must be given: 'connector' or 'placing'")
        return self

    def _given(self) -> list[Geometry]:
        return [value for value in (self.connector, self.placing) if value is not None]

    @property
    def geometry(self) -> Geometry:
        """The one that is given."""
        return self._given()[0]

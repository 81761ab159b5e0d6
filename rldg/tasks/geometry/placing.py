"""An object that lies on a tray, and the bowl that it has to be put into.

The fixture frame has its origin at the centre of the bowl, on the tray. At its target the object hangs over the bowl's
floor, its underside a little below the rim: that is where the hand lets go.
"""

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from rldg.tasks.geometry.base import DOWN, MILLIMETRE, UPRIGHT, Geometry, Solid
from rldg.tasks.model import FrozenModel, Vector3

FINGERS_OVER_TRAY = 0.008  # metres between tray and fingertips when an object is grasped
INTO_BOWL = 0.005  # metres by which the object's underside is below the rim when it is let go
OVER_RIM = 0.02  # metres over the rim at which an object crosses it
STAVES = 12  # boxes that the bowl's wall consists of
WALL = 0.004  # thickness of the bowl [m]
LEAN = 0.35  # radians by which the wall leans outward
TRAY = 0.01  # thickness of the tray [m]


class Part(FrozenModel):
    """A piece of an object as it is seen."""

    shape: Literal["ellipsoid", "box", "capsule", "cylinder"] = "ellipsoid"
    position: Vector3 = Field(default=(0.0, 0.0, 0.0), description="from the object's centre, z up [mm]")
    size: Vector3 = Field(description="half sizes; radius, half length, 0 of what is round about its axis [mm]")
    axis: Vector3 = Field(default=(0.0, 0.0, 1.0), description="where its own z axis points")
    color: Vector3 = Field(description="RGB 0..1")


class Object(FrozenModel):
    """What is grasped. It is felt as a box, which lies still and is held safely, and seen as its parts."""

    size: Vector3 = Field(description="of the box: along x, along y (between the fingers), height [mm]")
    mass: float = Field(default=0.05, gt=0, le=0.5, description="kg")
    parts: tuple[Part, ...]


class Bowl(FrozenModel):
    """A round bowl."""

    radius: float = Field(default=65.0, gt=20, le=150, description="of its floor [mm]")
    height: float = Field(default=30.0, gt=5, le=100, description="of its rim over the tray [mm]")
    color: Vector3 = Field(default=(0.9, 0.9, 0.92), description="RGB 0..1")


class Placing(Geometry):
    """Object, bowl and tray."""

    object: Object
    bowl: Bowl = Bowl()
    tray: float = Field(default=220.0, gt=50, le=400, description="half the tray's edge [mm]")
    tray_color: Vector3 = Field(default=(0.16, 0.27, 0.4), description="RGB 0..1")

    @property
    def _height(self) -> float:
        return self.object.size[2] * MILLIMETRE

    @property
    def entry(self) -> float:
        """The object's underside is well over the rim."""
        return INTO_BOWL + OVER_RIM

    @property
    def top(self) -> float:
        """From the fingertips to the object's upper side."""
        return self._height - FINGERS_OVER_TRAY

    @property
    def standing(self) -> float:
        """The object lies on the tray."""
        return FINGERS_OVER_TRAY

    @property
    def fixture_in_target(self) -> np.ndarray:
        """The tray is below, by the rim's height and what the fingertips are over the object's underside."""
        return np.array([0, 0, self.bowl.height * MILLIMETRE - INTO_BOWL + FINGERS_OVER_TRAY, *DOWN])

    def workpiece(self) -> list[Solid]:
        """The box that is felt, the parts that are seen."""
        center = np.array([0, 0, FINGERS_OVER_TRAY - self._height / 2])
        size = np.array(self.object.size) * MILLIMETRE / 2
        felt = Solid("object", center, np.array(UPRIGHT), size, (0, 0, 0), mass=self.object.mass, only_felt=True)
        return [felt, *(self._part(index, part, center) for index, part in enumerate(self.object.parts))]

    @staticmethod
    def _part(index: int, part: Part, center: np.ndarray) -> Solid:
        down = Rotation.from_quat(DOWN)
        axis = np.array(part.axis) / np.linalg.norm(part.axis)
        turn = Rotation.align_vectors([axis], [[0.0, 0.0, 1.0]])[0]
        return Solid(
            f"object_part_{index}",
            position=center + down.apply(np.array(part.position) * MILLIMETRE),
            quaternion=(down * turn).as_quat(scalar_first=True),
            size=np.array(part.size) * MILLIMETRE,
            color=part.color,
            shape=part.shape,
            only_seen=True,
        )

    def fixture(self, fit: float) -> list[Solid]:
        """Tray, the bowl's floor, and its wall of staves."""
        radius, height = self.bowl.radius * MILLIMETRE, self.bowl.height * MILLIMETRE
        edge = self.tray * MILLIMETRE
        solids = [
            Solid(
                "tray",
                np.array([0, 0, -TRAY / 2]),
                np.array(UPRIGHT),
                np.array([edge, edge, TRAY / 2]),
                self.tray_color,
            ),
            Solid(
                "bowl_floor",
                np.array([0, 0, WALL / 2]),
                np.array(UPRIGHT),
                np.array([radius, WALL / 2, 0]),
                self.bowl.color,
                "cylinder",
            ),
        ]
        half_length = height / np.cos(LEAN) / 2
        half_width = (radius + height * np.tan(LEAN)) * np.tan(np.pi / STAVES)
        out = radius + half_length * np.sin(LEAN)
        for index in range(STAVES):
            around = Rotation.from_euler("z", 2 * np.pi * index / STAVES)
            solids.append(
                Solid(
                    f"bowl_{index}",
                    around.apply([out, 0, half_length * np.cos(LEAN)]),
                    (around * Rotation.from_euler("y", LEAN)).as_quat(scalar_first=True),
                    np.array([WALL / 2, half_width, half_length]),
                    self.bowl.color,
                )
            )
        return solids

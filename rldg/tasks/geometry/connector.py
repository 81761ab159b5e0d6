"""A plug or peg and its socket, from a convex cross-section.

The fixture frame has its origin at the centre of the socket's mouth. The plug's own frame has its origin at its tip.
"""

from dataclasses import replace
from functools import cached_property

import numpy as np
from pydantic import Field, field_validator

from rldg.tasks.geometry.base import DOWN, MILLIMETRE, UPRIGHT, Geometry, Solid
from rldg.tasks.geometry.section import BOTTOM, WALL, Section
from rldg.tasks.model import FrozenModel, Vector3

GRIP = 0.012  # metres of plug between the fingertips and the part that goes into the socket
FLUSH = 0.0003  # metres by which the board lies below the socket's mouth, so that the two do not flicker in pictures
BOARD_COLOR = (0.16, 0.27, 0.4)
PLUG_MASS = 0.02  # kg
STAND_CLEARANCE = 0.0015  # gap per side in the stand [m]


class Handle(FrozenModel):
    """What fingers close on, where a plug is grasped: a box around its upper part."""

    size: Vector3 = Field(description="along x, along y (between the fingers), and above the fingertips [mm]")
    color: Vector3 = Field(default=(0.2, 0.2, 0.22), description="RGB 0..1")


class Connector(Geometry):
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
    board: float = Field(
        default=90.0, gt=0, le=300, exclude_if=lambda v: v == 90, description="half the board's edge [mm]"
    )
    handle: Handle | None = Field(
        default=None, exclude_if=lambda v: v is None, description="what fingers close on, if it is grasped"
    )
    stand_depth: float = Field(
        default=0.0,
        ge=0,
        le=50,
        exclude_if=lambda v: v == 0,
        description="how deep it stands in its stand at first [mm]",
    )

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

    @cached_property
    def section(self) -> Section:
        """The cross-section in metres."""
        return Section(self.cross_section)

    @property
    def length(self) -> float:
        """Metres from the fingertips to the plug's tip."""
        return self.depth * MILLIMETRE + GRIP

    @property
    def entry(self) -> float:
        """The plug's tip is at the mouth."""
        return self.depth * MILLIMETRE

    @property
    def full_depth(self) -> float:
        """Depth at full insertion [m]."""
        return self.depth * MILLIMETRE

    @property
    def fit(self) -> float:
        """The clearance [m]."""
        return self.clearance * MILLIMETRE

    @property
    def top(self) -> float:
        """The handle's height [m]."""
        return self.handle.size[2] * MILLIMETRE if self.handle else 0.0

    @property
    def standing(self) -> float:
        """The tip stands on the board, or on the floor of the stand."""
        return self.length - FLUSH + (BOTTOM if self.stand_depth else 0.0)

    @property
    def tip(self) -> np.ndarray:
        """The plug's tip looks up out of the socket."""
        return np.array([0, 0, self.length, *DOWN])

    @property
    def fixture_in_target(self) -> np.ndarray:
        """The mouth is above the tip by the depth."""
        return np.array([0, 0, self.length - self.depth * MILLIMETRE, *DOWN])

    def workpiece(self) -> list[Solid]:
        """The plug, and its handle."""
        plug = Solid(
            "plug",
            position=np.array([0, 0, self.length]),
            quaternion=np.roll(DOWN, 1),
            size=np.zeros(3),
            color=self.color,
            shape="hull",
            vertices=self.section.extruded(self.length),
            mass=PLUG_MASS,
        )
        if self.handle is None:
            return [plug]
        width, thickness, height = np.array(self.handle.size) * MILLIMETRE
        below = GRIP / 2  # so that a plug grasped a little too high is still held
        size = np.array([width, thickness, height + below]) / 2
        center = np.array([0, 0, (below - height) / 2])
        return [plug, Solid("handle", center, np.array(UPRIGHT), size, self.handle.color, mass=PLUG_MASS)]

    def fixture(self, fit: float) -> list[Solid]:
        """The socket, and the board that it sits in."""
        cavity = self.section.cavity(self.depth * MILLIMETRE, self.chamfer * MILLIMETRE, fit)
        return cavity + self._board()

    def _board(self) -> list[Solid]:
        """Four boxes around the socket."""
        edge = self.board * MILLIMETRE
        inner_x, inner_y = self.section.extent + WALL - MILLIMETRE
        half = (self.depth * MILLIMETRE + BOTTOM) / 2
        z = -half - FLUSH
        wide, tall = (edge - inner_x) / 2, (edge - inner_y) / 2

        def box(side: str, x: float, y: float, half_x: float, half_y: float) -> Solid:
            size = np.array([half_x, half_y, half])
            return Solid(f"board_{side}", np.array([x, y, z]), np.array(UPRIGHT), size, BOARD_COLOR)

        return [
            box("right", inner_x + wide, 0, wide, edge),
            box("left", -inner_x - wide, 0, wide, edge),
            box("far", 0, inner_y + tall, inner_x, tall),
            box("near", 0, -inner_y - tall, inner_x, tall),
        ]

    def stand(self) -> list[Solid]:
        """A loose, shallow socket on the board."""
        if not self.stand_depth:
            return []
        depth = self.stand_depth * MILLIMETRE
        up = np.array([0, 0, depth + BOTTOM - FLUSH])
        cavity = self.section.cavity(depth, self.chamfer * MILLIMETRE, STAND_CLEARANCE)
        return [replace(box, name=f"stand_{box.name}", position=box.position + up, fitted=False) for box in cavity]

    def depth_of(self, tip: np.ndarray, fit: float) -> float:
        """Counts only while the plug's outline lies inside the cavity, within the gap on every side."""
        if tip[2] >= 0:
            return 0.0
        # Walls give way a little; a plug that reaches further out than twice the gap went through one.
        return -float(tip[2]) if self.section.overreach(tip) <= 2 * fit else 0.0

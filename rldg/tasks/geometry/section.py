"""A convex cross-section, the cavity that it fits into, and how far it reaches beyond that. Lengths in metres.

The cavity's frame has its origin at the centre of the mouth and its z axis pointing out of it (up).
"""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from rldg.tasks.geometry.base import MILLIMETRE, UPRIGHT, Solid
from rldg.tasks.model import Vector3

WALL = 0.008  # thickness of a wall around the cavity
BOTTOM = 0.004  # thickness of the cavity's floor
COLORS: dict[str, Vector3] = {
    "wall": (0.55, 0.55, 0.55),
    "chamfer": (0.85, 0.85, 0.85),
    "rim": (0.7, 0.7, 0.7),
    "floor": (0.05, 0.05, 0.05),
}
Edge = tuple[np.ndarray, np.ndarray, float]


class Section:
    """A convex polygon, centred on its bounding box, from corners (x, y) in millimetres, counter-clockwise."""

    def __init__(self, cross_section: tuple[tuple[float, float], ...]):
        points = np.array(cross_section) * MILLIMETRE
        self.corners = points - (points.min(0) + points.max(0)) / 2
        self.extent = np.abs(self.corners).max(0)  # half the bounding box (2)
        self.edges = [_edge(start, end) for start, end in zip(self.corners, np.roll(self.corners, -1, 0), strict=True)]
        self._normals = np.array([normal for _, normal, _ in self.edges])
        self._offsets = (np.array([middle for middle, _, _ in self.edges]) * self._normals).sum(1)

    def extruded(self, length: float) -> np.ndarray:
        """Vertices (2n, 3) of the prism from z = 0 up to `length`."""
        return np.concatenate([np.c_[self.corners, np.full(len(self.corners), z)] for z in (0.0, length)])

    def cavity(self, depth: float, chamfer: float, clearance: float) -> list[Solid]:
        """Per edge a wall, a lead-in chamfer and a rim, and one floor. `clearance` is the gap per side.

        Walls may overlap each other outside the cavity, where nothing can touch them: each lies wholly beyond the line
        of its own edge.
        """
        boxes = [
            box for index, edge in enumerate(self.edges) for box in _boxes_along(index, edge, depth, chamfer, clearance)
        ]
        floor_size = np.array([*(self.extent + WALL), BOTTOM / 2])
        floor = Solid("floor", np.array([0, 0, -depth - BOTTOM / 2]), np.array(UPRIGHT), floor_size, COLORS["floor"])
        return [*(replace(box, fitted=True) for box in boxes), floor]

    def overreach(self, pose: np.ndarray) -> float:
        """How far a section at the pose (7) in the cavity's frame reaches beyond the outline.

        One that touches a wall without sinking into it reaches out by the clearance.
        """
        turn = Rotation.from_quat(pose[3:]).as_matrix()[:2, :2]
        points = self.corners @ turn.T + pose[:2]
        return float((points @ self._normals.T - self._offsets).max())


def _edge(start: np.ndarray, end: np.ndarray) -> Edge:
    """Middle (2), outward unit normal (2) and length."""
    along = end - start
    length = float(np.linalg.norm(along))
    return (start + end) / 2, np.array([along[1], -along[0]]) / length, length


def _boxes_along(index: int, edge: Edge, depth: float, chamfer: float, clearance: float) -> list[Solid]:
    """Wall, lead-in and rim beyond edge `index`."""
    middle, normal, length = edge
    frame = np.column_stack([np.append(normal, 0.0), [-normal[1], normal[0], 0.0], [0.0, 0.0, 1.0]])
    rotation = Rotation.from_matrix(frame)
    inner = middle + normal * clearance
    half_width = length / 2 + WALL

    def box(name: str, outward: float, z: float, size: tuple[float, float, float], tilt: float = 0.0) -> Solid:
        turned = rotation * Rotation.from_euler("y", tilt)
        position = np.append(inner + normal * outward, z)
        return Solid(f"{name}_{index}", position, turned.as_quat(scalar_first=True), np.array(size), COLORS[name])

    wall_height = depth + BOTTOM - chamfer
    boxes = [box("wall", WALL / 2, -chamfer - wall_height / 2, (WALL / 2, half_width, wall_height / 2))]
    if chamfer > 0:
        # A box turned by 45 degrees whose face runs from the wall's top inner edge outwards and up to the mouth.
        half_face, half_thickness = chamfer / np.sqrt(2), chamfer / 2
        offset = half_thickness / np.sqrt(2)
        size = (half_thickness, half_width, half_face)
        boxes.append(box("chamfer", chamfer / 2 + offset, -chamfer / 2 - offset, size, tilt=np.pi / 4))
        boxes.append(box("rim", (WALL + chamfer) / 2, -chamfer / 2, ((WALL - chamfer) / 2, half_width, chamfer / 2)))
    return boxes

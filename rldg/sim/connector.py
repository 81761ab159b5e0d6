"""Geometry of a plug and its socket, from a convex cross-section. Lengths in metres; the socket frame has its origin
at the centre of the socket's mouth and its z axis pointing out of it (up), the plug frame its origin at the tip.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from rldg.tasks.scene import Connector

WALL = 0.008  # thickness of a wall around the cavity
BOARD = 0.09  # half the edge of the board that the socket sits in
BOTTOM = 0.004  # thickness of the cavity's floor
FLUSH = 0.0003  # how far the board lies below the socket's mouth
MILLIMETRE = 1e-3


@dataclass(frozen=True)
class BoxGeom:
    """A box: centre (3), quaternion (4, wxyz as MuJoCo takes it) and half sizes (3), in the socket frame."""

    name: str
    position: np.ndarray
    quaternion: np.ndarray
    size: np.ndarray


def corners(connector: Connector) -> np.ndarray:
    """Cross-section (n, 2) in metres, counter-clockwise, centred on its bounding box."""
    points = np.array(connector.cross_section) * MILLIMETRE
    return points - (points.min(0) + points.max(0)) / 2


def edges(connector: Connector) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Each edge of the cross-section as its middle (2), its outward unit normal (2) and its length."""
    points = corners(connector)
    result = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        along = end - start
        length = float(np.linalg.norm(along))
        result.append(((start + end) / 2, np.array([along[1], -along[0]]) / length, length))
    return result


def plug_vertices(connector: Connector, length: float) -> np.ndarray:
    """Vertices (2n, 3) of the extruded plug: its tip at z = 0, its body upwards to `length`."""
    points = corners(connector)
    return np.concatenate([np.c_[points, np.full(len(points), z)] for z in (0.0, length)])


def socket_boxes(connector: Connector, clearance: float) -> list[BoxGeom]:
    """The socket: per edge a wall, a lead-in chamfer and a rim, and one floor. `clearance` [m] is the gap per side.

    Walls may overlap each other outside the cavity, where nothing can touch them: each lies wholly beyond the line
    of its own edge.
    """
    depth, chamfer = connector.depth * MILLIMETRE, connector.chamfer * MILLIMETRE
    boxes = [
        box
        for index, edge in enumerate(edges(connector))
        for box in _boxes_along(index, edge, depth, chamfer, clearance)
    ]
    extent = np.abs(corners(connector)).max(0) + WALL
    floor_size = np.array([*extent, BOTTOM / 2])
    boxes.append(BoxGeom("floor", np.array([0, 0, -depth - BOTTOM / 2]), np.array([1.0, 0, 0, 0]), floor_size))
    return boxes


def _boxes_along(
    index: int, edge: tuple[np.ndarray, np.ndarray, float], depth: float, chamfer: float, clearance: float
) -> list[BoxGeom]:
    """Wall, lead-in and rim beyond edge `index`, given by its middle (2), outward normal (2) and length; all in [m]."""
    middle, normal, length = edge
    frame = np.column_stack([np.append(normal, 0.0), [-normal[1], normal[0], 0.0], [0.0, 0.0, 1.0]])
    rotation = Rotation.from_matrix(frame)
    inner = middle + normal * clearance
    half_width = length / 2 + WALL

    def box(name: str, outward: float, z: float, size: tuple[float, float, float], tilt: float = 0.0) -> BoxGeom:
        turned = rotation * Rotation.from_euler("y", tilt)
        position = np.append(inner + normal * outward, z)
        return BoxGeom(f"{name}_{index}", position, turned.as_quat(scalar_first=True), np.array(size))

    wall_height = depth + BOTTOM - chamfer
    boxes = [box("wall", WALL / 2, -chamfer - wall_height / 2, (WALL / 2, half_width, wall_height / 2))]
    if chamfer > 0:
        # A box turned by 45 degrees whose face runs from the wall's top inner edge outwards and up to the mouth.
        half_face, half_thickness = chamfer / np.sqrt(2), chamfer / 2
        offset = half_thickness / np.sqrt(2)
        boxes.append(
            box(
                "chamfer",
                chamfer / 2 + offset,
                -chamfer / 2 - offset,
                (half_thickness, half_width, half_face),
                tilt=np.pi / 4,
            )
        )
        boxes.append(box("rim", (WALL + chamfer) / 2, -chamfer / 2, ((WALL - chamfer) / 2, half_width, chamfer / 2)))
    return boxes


def board_boxes(connector: Connector) -> list[BoxGeom]:
    """Four boxes that surround the socket, a hair below its mouth so that the two do not flicker in pictures."""
    inner_x, inner_y = np.abs(corners(connector)).max(0) + WALL - MILLIMETRE
    half = (connector.depth * MILLIMETRE + BOTTOM) / 2
    z = -half - FLUSH
    upright = np.array([1.0, 0, 0, 0])
    wide, tall = (BOARD - inner_x) / 2, (BOARD - inner_y) / 2
    return [
        BoxGeom("board_right", np.array([inner_x + wide, 0, z]), upright, np.array([wide, BOARD, half])),
        BoxGeom("board_left", np.array([-inner_x - wide, 0, z]), upright, np.array([wide, BOARD, half])),
        BoxGeom("board_far", np.array([0, inner_y + tall, z]), upright, np.array([inner_x, tall, half])),
        BoxGeom("board_near", np.array([0, -inner_y - tall, z]), upright, np.array([inner_x, tall, half])),
    ]


class Outline:
    """A plug's cross-section, for asking how far a displaced plug reaches beyond it."""

    def __init__(self, connector: Connector):
        self._corners = corners(connector)
        self._middles = np.array([middle for middle, _, _ in edges(connector)])
        self._normals = np.array([normal for _, normal, _ in edges(connector)])
        self._offsets = (self._middles * self._normals).sum(1)

    def overreach(self, tip: np.ndarray) -> float:
        """How far [m] a plug whose tip has the pose `tip` (7, socket frame) reaches beyond the outline at the socket.

        A plug that touches a wall without sinking into it reaches out by the clearance.
        """
        turn = Rotation.from_quat(tip[3:]).as_matrix()[:2, :2]
        points = self._corners @ turn.T + tip[:2]
        return float((points @ self._normals.T - self._offsets).max())

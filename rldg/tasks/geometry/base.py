"""`Geometry`: what every kind of geometry tells, in solids and poses, without a simulator.

Frames, all in metres. The *grasp frame* is fixed to the workpiece: where the tool holds it, its axes along the tool's
(the fingers close along y, z points out of the hand, down). The *fixture frame* is that of what the workpiece goes to,
z up. A workpiece that is where it has to end has its grasp frame in the task's target frame.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rldg.tasks.model import FrozenModel, Vector3

MILLIMETRE = 1e-3
DOWN = np.array([1.0, 0.0, 0.0, 0.0])  # quaternion xyzw: turns z up into z down, x stays
UPRIGHT = (1.0, 0.0, 0.0, 0.0)  # quaternion wxyz: as it is


@dataclass(frozen=True)
class Solid:
    """A convex body: centre (3), quaternion (4, wxyz as MuJoCo takes it) and MuJoCo's size (3), in its body's frame.

    A hull has `vertices` (n, 3) instead of a size. What is `only_seen` touches nothing, `only_felt` is invisible.
    """

    name: str
    position: np.ndarray
    quaternion: np.ndarray
    size: np.ndarray
    color: Vector3
    shape: Literal["box", "cylinder", "ellipsoid", "capsule", "hull"] = "box"
    vertices: np.ndarray | None = None
    mass: float = 0.0  # kg, of a workpiece's solid
    only_seen: bool = False
    only_felt: bool = False
    fitted: bool = False  # whether it bounds what the workpiece has to fit into, so that sinking into it counts


class Geometry(FrozenModel):
    """The workpiece, the fixture, and how deep the one is in the other."""

    @property
    def entry(self) -> float:
        """How far before its target [m] a workpiece has to be aligned on its way in."""
        raise NotImplementedError

    @property
    def full_depth(self) -> float:
        """Depth [m] at the target, where that means something."""
        return 0.0

    @property
    def fit(self) -> float:
        """Nominal gap per side [m]; infinite where nothing has to fit."""
        return np.inf

    @property
    def top(self) -> float:
        """How far [m] the workpiece reaches above its grasp frame, into the hand."""
        raise NotImplementedError

    @property
    def standing(self) -> float:
        """Height [m] of the grasp frame over the fixture frame's origin while the workpiece waits to be grasped."""
        raise NotImplementedError

    @property
    def tip(self) -> np.ndarray:
        """Pose (7) in the grasp frame of the point whose depth is measured, z up."""
        return np.array([0.0, 0.0, 0.0, *DOWN])

    @property
    def fixture_in_target(self) -> np.ndarray:
        """Pose (7) of the fixture frame in the target frame."""
        raise NotImplementedError

    def workpiece(self) -> list[Solid]:
        """What is handled, in the grasp frame."""
        raise NotImplementedError

    def fixture(self, fit: float) -> list[Solid]:
        """Where it goes, in the fixture frame, with a gap per side of `fit` [m]."""
        raise NotImplementedError

    def stand(self) -> list[Solid]:
        """What keeps the workpiece upright until it is grasped, in a frame on the fixture's surface, z up."""
        return []

    def depth_of(self, tip: np.ndarray, fit: float) -> float:
        """How deep [m] a workpiece is whose tip has the pose `tip` (7) in the fixture frame; 0 if it is not inside."""
        return 0.0

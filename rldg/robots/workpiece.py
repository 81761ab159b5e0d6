"""What the simulated arm handles: a part of the hand from the beginning, or a free body that has to be grasped."""

from typing import Protocol

import mujoco
import numpy as np

from rldg import geometry
from rldg.sim.scene import FIXTURE_BIT, STAND, WORKPIECE, WORKPIECE_BIT
from rldg.tasks.geometry.base import DOWN
from rldg.tasks.scene import SimulatedScene


class Workpiece(Protocol):
    """Where the workpiece is, and how it touches the fixture."""

    def place(self, generator: np.random.Generator, fixture: np.ndarray) -> None:
        """Puts it where it is at the beginning of an episode; `fixture` is the fixture's pose (7) in the base frame."""
        ...

    def pose(self, tool: np.ndarray) -> np.ndarray:
        """Pose (7) of its grasp frame in the base frame, while the tool has the pose `tool` (7)."""
        ...

    def penetration(self) -> float | None:
        """Deepest sinking just now into what it has to fit into [m]; None where it does not touch the fixture."""
        ...


class HeldWorkpiece:
    """Part of the hand. Nothing else in its scene can touch anything, so every contact is one with the fixture."""

    def __init__(self, data: mujoco.MjData):
        self._data = data

    def place(self, generator: np.random.Generator, fixture: np.ndarray) -> None:
        """It is in the hand."""

    def pose(self, tool: np.ndarray) -> np.ndarray:
        """The tool's."""
        return tool

    def penetration(self) -> float | None:
        """The deepest contact."""
        return -float(self._data.contact.dist.min()) if self._data.ncon else None


class FreeWorkpiece:
    """A free body, which stands or lies on the fixture at first."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, scene: SimulatedScene):
        assert scene.start is not None
        self._data, self._start, self._standing = data, scene.start, scene.geometry.standing
        self._body = model.body(WORKPIECE).id
        self._slot = slice(model.joint(WORKPIECE).qposadr[0], model.joint(WORKPIECE).qposadr[0] + 7)
        self._stand = model.body(STAND).mocapid[0] if scene.geometry.stand() else None
        self._is_workpiece = model.geom_contype == WORKPIECE_BIT
        self._is_fixture = model.geom_contype == FIXTURE_BIT
        self._is_fitted = np.zeros(model.ngeom, bool)
        for solid in scene.geometry.fixture(scene.geometry.fit):
            self._is_fitted[model.geom(solid.name).id] = solid.fitted

    def place(self, generator: np.random.Generator, fixture: np.ndarray) -> None:
        """Draws where it stands."""
        start = self._start
        shift = np.array(start.offset) + generator.uniform(-1, 1, 2) * start.position_noise
        yaw = generator.uniform(-start.yaw_noise, start.yaw_noise)
        ground = geometry.compose(fixture, geometry.pose_from_euler((*shift, 0), (0, 0, yaw)))
        pose = geometry.compose(ground, np.array([0, 0, self._standing, *DOWN]))
        self._data.qpos[self._slot] = [*pose[:3], *np.roll(pose[3:], 1)]
        if self._stand is not None:
            self._data.mocap_pos[self._stand] = ground[:3]
            self._data.mocap_quat[self._stand] = np.roll(ground[3:], 1)

    def pose(self, tool: np.ndarray) -> np.ndarray:
        """As the physics has it."""
        w, x, y, z = self._data.xquat[self._body].tolist()
        quaternion = (x, y, z, w) if w >= 0 else (-x, -y, -z, -w)
        return np.array((*self._data.xpos[self._body].tolist(), *quaternion))

    def penetration(self) -> float | None:
        """The deepest contact with walls and rim; how hard it lands on floor or board says nothing about the fit."""
        pairs = self._data.contact.geom
        of_workpiece = self._is_workpiece[pairs].any(1)
        if not (of_workpiece & self._is_fixture[pairs].any(1)).any():
            return None
        fitted = of_workpiece & self._is_fitted[pairs].any(1)
        return -float(self._data.contact.dist[fitted].min(initial=0.0))

"""Domain randomisation: what changes in a compiled model from episode to episode, always from its nominal values."""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from rldg.sim.scene import FIXTURE_BIT, WORKPIECE_BIT
from rldg.tasks.geometry.base import MILLIMETRE
from rldg.tasks.scene import SimulatedScene


class SceneRandomiser:
    """Applies one draw of `scene.randomise` to `model`; without any randomisation it leaves the model alone."""

    def __init__(self, model: mujoco.MjModel, scene: SimulatedScene):
        self._model, self._scene = model, scene
        self._nominal = {
            name: getattr(model, name).copy()
            for name in ("geom_rgba", "light_diffuse", "cam_pos", "cam_quat", "geom_friction", "geom_pos")
        }
        self._touching = np.isin(model.geom_contype, [WORKPIECE_BIT, FIXTURE_BIT])

    def apply(self, generator: np.random.Generator) -> float:
        """Draws afresh and returns the gap per side [m] that now holds."""
        model, what = self._model, self._scene.randomise
        for name, value in self._nominal.items():
            getattr(model, name)[:] = value
        if what.light is not None:
            model.light_diffuse[:] *= generator.uniform(*what.light)
        if what.color:
            shift = generator.uniform(-what.color, what.color, (model.ngeom, 3))
            model.geom_rgba[:, :3] = np.clip(model.geom_rgba[:, :3] + shift, 0, 1)
        if what.camera_position:
            model.cam_pos[:] += generator.uniform(-what.camera_position, what.camera_position, model.cam_pos.shape)
        if what.camera_rotation:
            turn = Rotation.from_rotvec(generator.uniform(-what.camera_rotation, what.camera_rotation, (model.ncam, 3)))
            nominal = Rotation.from_quat(model.cam_quat, scalar_first=True)
            model.cam_quat[:] = (nominal * turn).as_quat(scalar_first=True)
        if what.friction is not None:
            model.geom_friction[self._touching, 0] = generator.uniform(*what.friction)
        geometry = self._scene.geometry
        if what.clearance is None:
            return geometry.fit
        fit = generator.uniform(*what.clearance) * MILLIMETRE
        for solid in geometry.fixture(fit):
            model.geom(solid.name).pos[:] = solid.position
        return fit

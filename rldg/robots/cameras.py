"""Cameras of a simulated station."""

import atexit
import weakref
from collections.abc import Mapping

import mujoco
import numpy as np

from rldg.errors import RldgError
from rldg.sim import choose_rendering_backend
from rldg.tasks.task import CameraView


class RenderingError(RldgError):
    """No OpenGL that can render off-screen."""


class SimulatedCameras:
    """Renders the named cameras of a model, one off-screen context per resolution, made at the first picture.

    Shadows, reflections, sky and multisampling are off: in software rendering they cost twenty times the picture.

    Args:
        model: what is seen.
        views: camera -> what policies see of it.
        placed: cameras that are not the model's own.
        markers: whether sites are shown.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        views: Mapping[str, CameraView],
        placed: Mapping[str, mujoco.MjvCamera] | None = None,
        markers: bool = False,
    ):
        self._model, self._views = model, dict(views)
        self._placed = dict(placed or {})
        self._renderers: dict[int, mujoco.Renderer] = {}
        self._options = mujoco.MjvOption()
        if not markers:
            self._options.sitegroup[:] = 0

    def render(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """One picture (resolution, resolution, 3) uint8 RGB per camera."""
        pictures = {}
        for name, view in self._views.items():
            renderer = self._renderer(view)
            renderer.update_scene(data, camera=self._placed.get(name, name), scene_option=self._options)
            renderer.scene.flags[:] = 0
            renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = 1
            pictures[name] = _cropped(renderer.render(), view)
        return pictures

    def _renderer(self, view: CameraView) -> mujoco.Renderer:
        size = raw_size(view)
        if size not in self._renderers:
            choose_rendering_backend()
            try:
                self._renderers[size] = mujoco.Renderer(self._model, size, size)
            except Exception as error:  # each backend raises errors of its own
                raise RenderingError(
                    f"Off-screen rendering does not start ({error}); install libegl1 and libgl1, or libosmesa6, and "
                    f"try `rldg doctor`."
                ) from error
            _close_at_exit(self)
        return self._renderers[size]

    def close(self) -> None:
        """Frees every context."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()


def _close_at_exit(cameras: SimulatedCameras) -> None:
    """Frees the contexts before EGL, whose own exit handler is registered by the time a context exists, goes down."""
    reference = weakref.ref(cameras)

    def close() -> None:
        if (alive := reference()) is not None:
            alive.close()

    atexit.register(close)


def raw_size(view: CameraView) -> int:
    """Pixels of the uncropped square frame whose crop has the view's resolution."""
    left, top, right, bottom = view.crop
    return round(view.resolution / max(right - left, bottom - top))


def _cropped(frame: np.ndarray, view: CameraView) -> np.ndarray:
    left, top = (round(share * len(frame)) for share in view.crop[:2])
    return np.ascontiguousarray(frame[top : top + view.resolution, left : left + view.resolution])

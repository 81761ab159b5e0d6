"""MuJoCo's free camera at a position of the task's choice."""

import mujoco
import numpy as np

from rldg.tasks.world import View


def placed_camera(view: View) -> mujoco.MjvCamera:
    """The camera of a view."""
    way = np.array(view.look_at) - view.position
    distance = float(np.linalg.norm(way))
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.lookat[:] = view.look_at
    camera.distance = distance
    camera.azimuth = np.degrees(np.arctan2(way[1], way[0]))
    camera.elevation = np.degrees(np.arcsin(way[2] / distance))
    return camera

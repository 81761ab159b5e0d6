"""The box that a commanded pose may not leave."""

import numpy as np

from rldg import geometry
from rldg.tasks.box import Box


def clip_to_box(pose: np.ndarray, target: np.ndarray, box: Box) -> np.ndarray:
    """`pose` (7) brought into `box`, which bounds position [m] and roll, pitch, yaw [rad] relative to `target` (7).

    Both poses are in the base frame. A pose inside the box comes back unchanged.
    """
    local = geometry.relative(target, pose)
    coordinates = np.concatenate([local[:3], geometry.euler(local)])
    clipped = np.clip(coordinates, box.low, box.high)
    if (clipped == coordinates).all():
        return pose
    return geometry.compose(target, geometry.pose_from_euler(clipped[:3], clipped[3:]))

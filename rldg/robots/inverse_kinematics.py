"""Joint angles for a tool pose, by damped least squares from a fixed posture: one pose always gives one posture."""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

DAMPING = 1e-4
TOLERANCE = 1e-5
MOST_ITERATIONS = 100


def solve(model: mujoco.MjModel, data: mujoco.MjData, site: int, pose: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Joint angles (7) [rad] that bring `site` to `pose` (7, base frame); uses `data` as scratch space.

    Raises:
        ValueError: the pose is out of reach.
    """
    joints = len(start)
    data.qpos[:joints] = start
    jacobian = np.zeros((6, model.nv))
    target = Rotation.from_quat(pose[3:])
    for _ in range(MOST_ITERATIONS):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        turn = target * Rotation.from_matrix(data.site_xmat[site].reshape(3, 3)).inv()
        error = np.concatenate([pose[:3] - data.site_xpos[site], turn.as_rotvec()])
        if np.abs(error).max() < TOLERANCE:
            return data.qpos[:joints].copy()
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
        used = jacobian[:, :joints]
        data.qpos[:joints] += used.T @ np.linalg.solve(used @ used.T + DAMPING * np.eye(6), error)
        limits = model.jnt_range[:joints]
        data.qpos[:joints] = np.clip(data.qpos[:joints], limits[:, 0], limits[:, 1])
    raise ValueError(f"The arm cannot reach {np.round(pose, 3).tolist()} (position [m], quaternion xyzw).")

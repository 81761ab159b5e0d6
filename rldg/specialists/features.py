"""From an observation to the numbers that a specialist sees."""

import numpy as np
from scipy.spatial.transform import Rotation

FAR = 0.03  # metres that count as 1 while approaching
NEAR = 0.003  # metres that saturate: resolves the last millimetres
ANGLE = 0.1  # radians that count as 1
LINEAR_VELOCITY = 0.1  # m/s
ANGULAR_VELOCITY = 0.5  # rad/s
FORCE = 20.0  # N
TORQUE = 2.0  # N m


def dimension(observe_force: bool) -> int:
    """Length of a feature vector."""
    return 21 if observe_force else 15


def features(
    state: dict[str, np.ndarray], privileged: dict[str, np.ndarray], observe_force: bool = False
) -> np.ndarray:
    """Features float32 (..., n) of one observation, or of an episode's stacked ones, with any leading shape.

    The target is seen from the tool, in the frame that actions are given in: its position at two scales (linear for
    the approach, a saturating one for the last millimetres), its rotation vector, then the tool's velocity.
    """
    pose = np.asarray(privileged["tcp_in_target"], np.float64)
    leading = pose.shape[:-1]
    pose = pose.reshape(-1, 7)
    turn = Rotation.from_quat(pose[:, 3:]).inv()
    position = -turn.apply(pose[:, :3])
    velocity = state["tcp_vel"].reshape(-1, 6)
    parts = [
        position / FAR,
        np.tanh(position / NEAR),
        turn.as_rotvec() / ANGLE,
        velocity[:, :3] / LINEAR_VELOCITY,
        velocity[:, 3:] / ANGULAR_VELOCITY,
    ]
    if observe_force:
        parts += [state["tcp_force"].reshape(-1, 3) / FORCE, state["tcp_torque"].reshape(-1, 3) / TORQUE]
    return np.concatenate(parts, axis=1).astype(np.float32).reshape(*leading, -1)

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

PROPRIOCEPTION = 19  # numbers of `proprioception`

Parts = dict[str, np.ndarray]


def dimension(observe_force: bool, grasps: bool = False) -> int:
    """Length of a feature vector."""
    return 15 + 6 * observe_force + 19 * grasps


def features(state: Parts, privileged: Parts, observe_force: bool = False, grasps: bool = False) -> np.ndarray:
    """Features float32 (..., n) of one observation, or of an episode's stacked ones, with any leading shape.

    The target is seen from the tool, in the frame that actions are given in: its position at two scales (linear for
    the approach, a saturating one for the last millimetres), its rotation vector, then the tool's velocity. A task
    that `grasps` adds the object seen from the tool and the goal seen from the object, both alike, and the gripper's
    opening.
    """
    pose = np.asarray(privileged["tcp_in_target"], np.float64)
    leading = pose.shape[:-1]
    position, rotation = _origin_seen_from(pose.reshape(-1, 7))
    velocity = state["tcp_vel"].reshape(-1, 6)
    parts = [*_at_two_scales(position, rotation), velocity[:, :3] / LINEAR_VELOCITY, velocity[:, 3:] / ANGULAR_VELOCITY]
    if observe_force:
        parts += _wrench(state)
    if grasps:
        held = np.asarray(privileged["object_in_tcp"], np.float64).reshape(-1, 7)
        parts += _at_two_scales(held[:, :3], Rotation.from_quat(held[:, 3:]))
        parts += _at_two_scales(
            *_origin_seen_from(np.asarray(privileged["object_in_target"], np.float64).reshape(-1, 7))
        )
        parts += [state["gripper_pose"].reshape(-1, 1)]
    return np.concatenate(parts, axis=1).astype(np.float32).reshape(*leading, -1)


def proprioception(state: Parts) -> np.ndarray:
    """What the arm feels, float32 (..., 19): pose relative to the reset pose, velocity, wrench, gripper's opening."""
    pose = np.asarray(state["tcp_pose"], np.float64)
    leading = pose.shape[:-1]
    pose, velocity = pose.reshape(-1, 7), state["tcp_vel"].reshape(-1, 6)
    parts = [
        pose[:, :3] / FAR,
        pose[:, 3:6] * np.where(pose[:, 6:] < 0, -2, 2) / ANGLE,  # nearly the rotation vector: rotations are small
        velocity[:, :3] / LINEAR_VELOCITY,
        velocity[:, 3:] / ANGULAR_VELOCITY,
        *_wrench(state),
        state["gripper_pose"].reshape(-1, 1),
    ]
    return np.concatenate(parts, axis=1).astype(np.float32).reshape(*leading, -1)


def _origin_seen_from(pose: np.ndarray) -> tuple[np.ndarray, Rotation]:
    turn = Rotation.from_quat(pose[:, 3:]).inv()
    return -turn.apply(pose[:, :3]), turn


def _at_two_scales(position: np.ndarray, rotation: Rotation) -> list[np.ndarray]:
    return [position / FAR, np.tanh(position / NEAR), rotation.as_rotvec() / ANGLE]


def _wrench(state: Parts) -> list[np.ndarray]:
    return [state["tcp_force"].reshape(-1, 3) / FORCE, state["tcp_torque"].reshape(-1, 3) / TORQUE]

"""Pose algebra. A pose is float64 (7): position (3) [m], then a unit quaternion (4) in xyzw order."""

import numpy as np
from scipy.spatial.transform import Rotation

IDENTITY = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def compose(parent: np.ndarray, child: np.ndarray) -> np.ndarray:
    """Pose (7) of `child`, given in the frame of `parent`, in the frame that `parent` is given in."""
    rotation = Rotation.from_quat(parent[3:])
    position = parent[:3] + rotation.apply(child[:3])
    return np.concatenate([position, (rotation * Rotation.from_quat(child[3:])).as_quat(canonical=True)])


def invert(pose: np.ndarray) -> np.ndarray:
    """Inverse of a pose (7)."""
    rotation = Rotation.from_quat(pose[3:]).inv()
    return np.concatenate([-rotation.apply(pose[:3]), rotation.as_quat(canonical=True)])


def relative(reference: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """`pose` (7) seen from `reference` (7), both given in one frame."""
    return compose(invert(reference), pose)


def pose_from_euler(position: np.ndarray, rpy: np.ndarray) -> np.ndarray:
    """Pose (7) from a position [m] and extrinsic xyz (roll, pitch, yaw) angles [rad]."""
    return np.concatenate([position, Rotation.from_euler("xyz", rpy).as_quat(canonical=True)])


def rotation_vector(pose: np.ndarray) -> np.ndarray:
    """Rotation vector (3) [rad] of a pose."""
    return Rotation.from_quat(pose[3:]).as_rotvec()


def integrate(pose: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """Moves `pose` (7) by a finite twist (6: [m], [rad]) that is given in the pose's own frame.

    Linear and angular parts are rotated alike into the parent frame; neither leaks into the other, unlike the 6 x 6
    adjoint that SERL's released wrapper applies to velocity-ordered twists.
    """
    step = np.concatenate([twist[:3], Rotation.from_rotvec(twist[3:]).as_quat()])
    return compose(pose, step)


def rotate_twist(pose: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """A twist (6) from the frame of `pose` to the parent frame's axes (the point of reference stays)."""
    return Rotation.from_quat(pose[3:]).apply(np.asarray(twist).reshape(2, 3)).reshape(6)


def unrotate_twist(pose: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """A twist (6) from the parent frame's axes to the frame of `pose`."""
    return Rotation.from_quat(pose[3:]).apply(np.asarray(twist).reshape(2, 3), inverse=True).reshape(6)

"""Pose algebra. A pose is float64 (7): position (3) [m], then a unit quaternion (4) in xyzw order, w not negative.

Single poses are computed in plain floats: an environment step needs a dozen of these operations, and scipy's
`Rotation`, whose results these equal, takes 20 microseconds for each.
"""

import math
from collections.abc import Sequence

import numpy as np

IDENTITY = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
_SMALL = 1e-12


def _product(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float, float]:
    """Quaternion product a b, canonical sign."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    w = aw * bw - ax * bx - ay * by - az * bz
    sign = -1.0 if w < 0 else 1.0
    return (
        sign * (aw * bx + ax * bw + ay * bz - az * by),
        sign * (aw * by - ax * bz + ay * bw + az * bx),
        sign * (aw * bz + ax * by - ay * bx + az * bw),
        sign * w,
    )


def _rotate(q: Sequence[float], v: Sequence[float]) -> tuple[float, float, float]:
    """Vector v turned by quaternion q."""
    qx, qy, qz, qw = q
    vx, vy, vz = v
    tx, ty, tz = 2 * (qy * vz - qz * vy), 2 * (qz * vx - qx * vz), 2 * (qx * vy - qy * vx)
    return (
        vx + qw * tx + qy * tz - qz * ty,
        vy + qw * ty + qz * tx - qx * tz,
        vz + qw * tz + qx * ty - qy * tx,
    )


def compose(parent: np.ndarray, child: np.ndarray) -> np.ndarray:
    """Pose (7) of `child`, given in the frame of `parent`, in the frame that `parent` is given in."""
    p, c = parent.tolist(), child.tolist()
    x, y, z = _rotate(p[3:], c[:3])
    return np.array((p[0] + x, p[1] + y, p[2] + z, *_product(p[3:], c[3:])))


def invert(pose: np.ndarray) -> np.ndarray:
    """Inverse of a pose (7)."""
    x, y, z, qx, qy, qz, qw = pose.tolist()
    inverse = (-qx, -qy, -qz, qw) if qw >= 0 else (qx, qy, qz, -qw)
    return np.array((*_rotate(inverse, (-x, -y, -z)), *inverse))


def relative(reference: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """`pose` (7) seen from `reference` (7), both given in one frame."""
    rx, ry, rz, qx, qy, qz, qw = reference.tolist()
    p = pose.tolist()
    inverse = (-qx, -qy, -qz, qw)
    return np.array((*_rotate(inverse, (p[0] - rx, p[1] - ry, p[2] - rz)), *_product(inverse, p[3:])))


def quaternion_from_vector(vector: Sequence[float]) -> tuple[float, float, float, float]:
    """Quaternion (xyzw) of a rotation vector (3) [rad]."""
    x, y, z = vector
    angle = math.sqrt(x * x + y * y + z * z)
    scale = math.sin(angle / 2) / angle if angle > _SMALL else 0.5
    return (x * scale, y * scale, z * scale, math.cos(angle / 2))


def rotation_vector(pose: np.ndarray) -> np.ndarray:
    """Rotation vector (3) [rad] of a pose (7), at most pi long."""
    qx, qy, qz, qw = pose[3:].tolist()
    if qw < 0:
        qx, qy, qz, qw = -qx, -qy, -qz, -qw
    norm = math.sqrt(qx * qx + qy * qy + qz * qz)
    scale = 2 * math.atan2(norm, qw) / norm if norm > _SMALL else 2.0
    return np.array((qx * scale, qy * scale, qz * scale))


def pose_from_euler(position: Sequence[float] | np.ndarray, rpy: Sequence[float] | np.ndarray) -> np.ndarray:
    """Pose (7) from a position [m] and extrinsic xyz (roll, pitch, yaw) angles [rad]."""
    roll, pitch, yaw = rpy
    about_x = (math.sin(roll / 2), 0.0, 0.0, math.cos(roll / 2))
    about_y = (0.0, math.sin(pitch / 2), 0.0, math.cos(pitch / 2))
    about_z = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    return np.array((*position, *_product(about_z, _product(about_y, about_x))))


def euler(pose: np.ndarray) -> np.ndarray:
    """Extrinsic xyz (roll, pitch, yaw) angles (3) [rad] of a pose (7)."""
    x, y, z, w = pose[3:].tolist()
    sine = max(-1.0, min(1.0, 2 * (w * y - z * x)))
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return np.array((roll, math.asin(sine), math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))))


def integrate(pose: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """Moves `pose` (7) by a finite twist (6: [m], [rad]) that is given in the pose's own frame.

    Linear and angular parts are rotated alike into the parent frame; neither leaks into the other, unlike the 6 x 6
    adjoint that SERL's released wrapper applies to velocity-ordered twists.
    """
    step = twist.tolist()
    return compose(pose, np.array((*step[:3], *quaternion_from_vector(step[3:]))))


def rotate_twist(pose: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """A twist or wrench (6) from the frame of `pose` to the parent frame's axes (the point of reference stays)."""
    q, t = pose[3:].tolist(), twist.tolist()
    return np.array((*_rotate(q, t[:3]), *_rotate(q, t[3:])))


def unrotate_twist(pose: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """A twist or wrench (6) from the parent frame's axes to the frame of `pose`."""
    qx, qy, qz, qw = pose[3:].tolist()
    t = twist.tolist()
    inverse = (-qx, -qy, -qz, qw)
    return np.array((*_rotate(inverse, t[:3]), *_rotate(inverse, t[3:])))

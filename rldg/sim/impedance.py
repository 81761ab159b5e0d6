"""SERL's Cartesian impedance controller as native MuJoCo actuators.

After serl_franka_controllers; described in SERL's appendix and HIL-SERL D.2.

Per axis one spring and one damper act between the tool site and a reference site at the base. The spring's force range
is stiffness x clip, which clips the error per axis and sign; its first-order activation is the controller's set-point
low-pass (0.005 per millisecond). The reference site is turned like the tool (pointing down), so that the rotation
vector between them stays far from pi. The tiny integral gain is left out: it is reset at every new set-point.
"""

import mujoco
import numpy as np

from rldg import geometry
from rldg.tasks.gains import Gains

AXES = ("x", "y", "z", "rx", "ry", "rz")
SETPOINT_TIME_CONSTANT = 0.2  # seconds: a factor of 0.005 per millisecond
# The reference frame is the base frame turned by pi about x: it mirrors y and z.
REFERENCE = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
_MIRRORED = np.array([False, True, True, False, True, True])
_SIGN = np.where(_MIRRORED, -1.0, 1.0)


def add_impedance(spec: mujoco.MjSpec, site: str) -> None:
    """Adds the reference site and, per axis, a spring (`spring_x` ...) and a damper (`damper_x` ...) on `site`."""
    spec.worldbody.add_site(name="reference", quat=[0, 1, 0, 0], group=5)
    for index, axis in enumerate(AXES):
        gear = np.eye(6)[index]
        spec.add_actuator(
            name=f"spring_{axis}",
            trntype=mujoco.mjtTrn.mjTRN_SITE,
            target=site,
            refsite="reference",
            gear=gear,
            dyntype=mujoco.mjtDyn.mjDYN_FILTEREXACT,
            dynprm=[SETPOINT_TIME_CONSTANT] + [0] * 9,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            forcelimited=True,
            forcerange=[-1, 1],
        )
    for index, axis in enumerate(AXES):
        spec.add_actuator(
            name=f"damper_{axis}",
            trntype=mujoco.mjtTrn.mjTRN_SITE,
            target=site,
            refsite="reference",
            gear=np.eye(6)[index],
            gaintype=mujoco.mjtGain.mjGAIN_FIXED,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        )


def set_gains(model: mujoco.MjModel, gains: Gains) -> None:
    """Puts stiffness, damping and clips into the actuators of `add_impedance`, the model's first twelve."""
    stiffness = np.repeat([gains.translational_stiffness, gains.rotational_stiffness], 3)
    damping = np.repeat([gains.translational_damping, gains.rotational_damping], 3)
    names = [f"{part}_clip_{{}}{axis}" for part in ("translational", "rotational") for axis in "xyz"]
    positive = np.array([getattr(gains, name.format("")) for name in names])
    negative = np.array([getattr(gains, name.format("neg_")) for name in names])
    # In the base frame the error x - x_d lies in [-negative, positive] and the force is minus stiffness times that.
    low = -stiffness * np.where(_MIRRORED, negative, positive)
    high = stiffness * np.where(_MIRRORED, positive, negative)
    model.actuator_gainprm[:6, 0] = stiffness
    model.actuator_biasprm[:6, 1] = -stiffness
    model.actuator_forcerange[:6] = np.column_stack([low, high])
    model.actuator_gainprm[6:12, 0] = 0
    model.actuator_biasprm[6:12, 2] = -damping


def setpoint(pose: np.ndarray) -> np.ndarray:
    """Pose (7) in the base frame as spring coordinates (6) in the reference frame: [m], rotation vector [rad]."""
    local = geometry.compose(REFERENCE, pose)  # the reference pose is its own inverse
    return np.concatenate([local[:3], geometry.rotation_vector(local)])


def to_base(wrench: np.ndarray) -> np.ndarray:
    """A wrench (6) in the reference frame's axes, as actuators give it, in the base frame's axes."""
    return _SIGN * wrench

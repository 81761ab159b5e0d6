"""The Franka Emika Panda: published kinematics, joint limits and link inertias, drawn with primitives.

Kinematics: Franka's Denavit-Hartenberg table. Inertias: Gaz et al., "Dynamic Identification of the Franka Emika Panda
Robot With Retrieval of Feasible Parameters", RA-L 2019. Primitives instead of meshes keep a frame near a millisecond
in software rendering.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

# SERL's reset_joint_target [rad], the last joint turned so that the hand's x axis points away from the base.
HOME = np.array([0.0, 0.0, 0.0, -1.9, 0.0, 2.0, np.pi / 4])
FLANGE_TO_FINGERTIPS = 0.1034  # metres along the flange's z axis
_TURN_LEFT, _TURN_RIGHT, _STRAIGHT = (1.0, 1.0, 0.0, 0.0), (1.0, -1.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Link:
    """One link: offset and turn (quaternion wxyz) from its parent, joint range [rad], mass [kg], centre of mass [m],
    inertia xx yy zz xy xz yz [kg m^2], and the end points of the capsule that is drawn for it with its radius [m].
    """

    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    limits: tuple[float, float]
    mass: float
    center: tuple[float, float, float]
    inertia: tuple[float, float, float, float, float, float]
    drawn: tuple[float, float, float, float, float, float]
    radius: float


# fmt: off
LINKS = (
    Link((0, 0, 0.333), _STRAIGHT, (-2.8973, 2.8973), 4.970684, (0.003875, 0.002081, -0.04762),
         (0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169), (0, 0, -0.19, 0, 0, -0.03), 0.06),
    Link((0, 0, 0), _TURN_RIGHT, (-1.7628, 1.7628), 0.646926, (-0.003141, -0.02872, 0.003495),
         (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704), (0, 0, -0.05, 0, 0, 0.05), 0.062),
    Link((0, -0.316, 0), _TURN_LEFT, (-2.8973, 2.8973), 3.228604, (0.027518, 0.039252, -0.066502),
         (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805), (0, 0, -0.2, 0, 0, -0.07), 0.056),
    Link((0.0825, 0, 0), _TURN_LEFT, (-3.0718, -0.0698), 3.587895, (-0.05317, 0.104419, 0.027454),
         (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641), (0, 0, -0.045, 0, 0, 0.045), 0.055),
    Link((-0.0825, 0.384, 0), _TURN_RIGHT, (-2.8973, 2.8973), 1.225946, (-0.011953, 0.041065, -0.038437),
         (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229), (0, 0, -0.25, 0, 0.05, -0.05), 0.05),
    Link((0, 0, 0), _TURN_LEFT, (-0.0175, 3.7525), 1.666555, (0.060149, -0.014117, -0.010517),
         (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341), (0.02, 0, 0, 0.07, 0, 0), 0.05),
    Link((0.088, 0, 0), _TURN_LEFT, (-2.8973, 2.8973), 0.735522, (0.010517, -0.004252, 0.061597),
         (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741), (0, 0, 0.0, 0, 0, 0.07), 0.044),
)
# fmt: on


def add_panda(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Adds the arm with its base at the world's origin and returns the hand's body, without fingers.

    The hand's frame has its origin at the flange and its z axis pointing out of the fingers. Bodies are
    gravity-compensated, as the real arm compensates itself.
    """
    parent = spec.worldbody.add_body(name="link0")
    parent.add_geom(
        name="link0",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[0.08, 0.07, 0],
        pos=[0, 0, 0.07],
        rgba=[0.95, 0.95, 0.95, 1],
        contype=0,
        conaffinity=0,
        mass=0,
    )
    for index, link in enumerate(LINKS, start=1):
        body = parent.add_body(name=f"link{index}", pos=link.position, quat=link.quaternion, gravcomp=1)
        body.explicitinertial = True
        body.mass, body.ipos, body.fullinertia = link.mass, link.center, link.inertia
        # Reflected rotor inertia and viscous friction as published for this arm's MuJoCo models.
        body.add_joint(name=f"joint{index}", axis=[0, 0, 1], range=link.limits, armature=0.1, damping=[1.0, 0, 0])
        body.add_geom(
            name=f"link{index}",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=link.drawn,
            size=[link.radius, 0, 0],
            rgba=[0.95, 0.95, 0.95, 1],
            contype=0,
            conaffinity=0,
            mass=0,
        )
        parent = body
    hand = parent.add_body(name="hand", pos=[0, 0, 0.107], quat=[0.9238795, 0, 0, -0.3826834], gravcomp=1)
    hand.explicitinertial = True
    hand.mass, hand.ipos, hand.inertia = 0.73, [-0.01, 0, 0.03], [0.001, 0.0025, 0.0017]
    hand.add_geom(
        name="palm",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.026, 0.1, 0.031],
        pos=[0, 0, 0.033],
        rgba=[0.9, 0.9, 0.9, 1],
        contype=0,
        conaffinity=0,
        mass=0,
    )
    return hand

"""The Franka hand's two fingers: fixed around a plug, or driven.

Driven, each finger is a slide joint in front of a strong damper, and one motor of constant force pushes both: they move
at `FORCE / DAMPING` and hold with `FORCE`, whatever is between them. A coupling keeps them symmetrical, as the real
hand's gear does. What they hold, they hold by friction.
"""

import mujoco

from rldg.sim.panda import FLANGE_TO_FINGERTIPS

STROKE = 0.04  # metres that each finger travels
FORCE = 40.0  # N with which each finger pushes; the Franka hand holds with up to 70
DAMPING = 400.0  # N s/m: 0.1 m/s per finger
FRICTION = 1.5  # of the rubber pads, sliding
FINGER_MASS = 0.015  # kg
FINGER_BIT = 4
SIDES = {"finger_left": 1, "finger_right": -1}  # direction along the hand's y axis in which each opens
_HALF = (0.009, 0.008, 0.02)  # metres
_CLOSED_AROUND_PLUG = 0.016  # metres of each finger's middle from the hand's axis, where fingers are fixed
_HEIGHT = 0.084  # metres of their middle along the hand's z axis
_SHADE = (0.3, 0.3, 0.3, 1.0)


def add_fixed_fingers(hand: mujoco.MjsBody) -> None:
    """Two fingers that are only seen."""
    for name, side in SIDES.items():
        hand.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=_HALF,
            pos=[0, side * _CLOSED_AROUND_PLUG, _HEIGHT],
            rgba=_SHADE,
            contype=0,
            conaffinity=0,
            mass=0,
        )


def add_driven_fingers(hand: mujoco.MjsBody, touches: int, timestep: float) -> None:
    """Two fingers on joints `finger_left`, `finger_right` [m], 0 closed; they touch the contact types in `touches`."""
    for name, side in SIDES.items():
        finger = hand.add_body(name=name, gravcomp=1)
        finger.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[0, side, 0],
            range=[0, STROKE],
            damping=[DAMPING, 0, 0],
            armature=0.1,
        )
        finger.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=_HALF,
            pos=[0, side * _HALF[1], FLANGE_TO_FINGERTIPS - _HALF[2]],
            rgba=_SHADE,
            mass=FINGER_MASS,
            contype=FINGER_BIT,
            conaffinity=touches,
            condim=4,
            priority=1,  # the pads' friction holds, whatever they touch
            friction=[FRICTION, 0.02, 0.0001],
            solref=[2 * timestep, 1.0],
            solimp=[0.95, 0.99, 0.0005, 0.5, 2],
        )


def add_drive(spec: mujoco.MjSpec) -> None:
    """The coupling, and the motor `grip`, which takes -1 (close) .. 1 (open)."""
    spec.add_equality(
        name="coupling",
        type=mujoco.mjtEq.mjEQ_JOINT,
        name1="finger_left",
        name2="finger_right",
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        data=[0, 1, 0, 0, 0] + [0] * 6,
    )
    both = spec.add_tendon(name="grip")
    for name in SIDES:
        both.wrap_joint(name, 1)
    spec.add_actuator(
        name="grip",
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target="grip",
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_NONE,
        gainprm=[FORCE] + [0] * 9,
    )


def open_fully(data: mujoco.MjData) -> None:
    """Puts both fingers to the end of their way."""
    for name in SIDES:
        data.joint(name).qpos[0] = STROKE


def opening(data: mujoco.MjData) -> float:
    """How far it is open, 0 closed .. 1 open."""
    width = data.joint("finger_left").qpos[0] + data.joint("finger_right").qpos[0]
    return min(1.0, max(0.0, float(width) / (2 * STROKE)))

"""Bringing a physical arm to its reset pose, as SERL does: hold, precise gains, lift, go there, soft gains."""

import numpy as np

from rldg import geometry
from rldg.robots.base import RobotState
from rldg.robots.franka_arm import FrankaArm
from rldg.robots.motion_limits import distance
from rldg.robots.stops import RobotFault
from rldg.tasks.task import Task

HOLD_SECONDS = 0.3  # before and after the gains change
SPEED, TURN_SPEED = 0.1, 0.5  # m/s, rad/s of the way to the reset pose
LEAST_SECONDS = 1.0  # that the way takes
SETTLE_SECONDS = 3.0  # that the arm has to come to rest there
CLOSE, CLOSE_TURN = 0.003, 0.03  # metres, radians from the reset pose that count as there


def go_to_reset(arm: FrankaArm, task: Task, goal: np.ndarray, joints: bool = False) -> RobotState:
    """Drives the arm to `goal` (7, base frame) and leaves it there with the task's compliance gains; where it is then.

    Args:
        arm: within its limits, which hold here, too.
        task: gains; a gripper that the policy moves is opened first.
        goal: the reset pose.
        joints: whether to bring the joints to their home angles on the way, once the tool has been lifted.

    Raises:
        RobotFault: the arm did not get there, or the set-up failed.
        RobotStop: it met something.
    """
    arm.client.clear_errors()
    state = arm.begin()
    hold(arm, state.pose, HOLD_SECONDS)
    arm.set_gains(task.precision)
    try:
        hold(arm, state.pose, HOLD_SECONDS)
        if task.gripper == "binary":
            arm.gripper.command(1.0, arm.pace.now())
            hold(arm, state.pose, arm.station.gripper.lockout)
        rise(arm, max(arm.state().pose[2] + arm.station.lift, goal[2]))
        if joints:
            arm.client.joint_reset()
            arm.begin()
        glide(arm, goal)
        return settle(arm, goal)
    finally:  # an arm that did not get there must not stay as stiff as it was on the way
        arm.set_gains(task.compliance)


def hold(arm: FrankaArm, pose: np.ndarray, seconds: float) -> None:
    """Stays at a set-point."""
    for _ in range(round(seconds / arm.pace.period)):
        arm.step(pose, arm.state().pose)


def rise(arm: FrankaArm, height: float) -> None:
    """Leads the tool straight up to a height in the base frame [m], as it is turned."""
    pose = arm.state().pose
    glide(arm, np.concatenate([pose[:2], [height], pose[3:]]))


def glide(arm: FrankaArm, goal: np.ndarray) -> None:
    """Leads the set-point in a straight line from the measured pose to `goal`, turning evenly, at the reset's speed."""
    start = arm.state().pose
    way, angle = distance(start, goal)
    steps = max(1, round(max(LEAST_SECONDS, way / SPEED, angle / TURN_SPEED) / arm.pace.period))
    turn = geometry.rotation_vector(geometry.relative(start, goal))
    for share in np.linspace(0, 1, steps + 1)[1:]:
        turned = geometry.compose(start, np.array([0, 0, 0, *geometry.quaternion_from_vector(share * turn)]))
        point = (1 - share) * start[:3] + share * goal[:3]
        arm.step(np.concatenate([point, turned[3:]]), arm.state().pose)


def settle(arm: FrankaArm, goal: np.ndarray) -> RobotState:
    """Waits until the arm rests at `goal`. Raises `RobotFault` if it does not get there."""
    state = arm.state()
    for _ in range(round(SETTLE_SECONDS / arm.pace.period)):
        arm.step(goal, state.pose)
        state = arm.state()
        off, turned = distance(goal, state.pose)
        if off < CLOSE and turned < CLOSE_TURN and np.linalg.norm(state.velocity[:3]) < CLOSE:
            return state
    if arm.station.safety.dry_run:
        return state
    off, turned = distance(goal, state.pose)
    raise RobotFault("reset", f"The arm stopped {1000 * off:.0f} mm and {turned:.2f} rad from its reset pose.")

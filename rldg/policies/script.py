"""`Script`: what has to be done next, from the privileged observation; expert and teleoperator do it in their own ways.

A task with a fixed gripper has one stage: in it goes. Where something is grasped first, the tool reaches for it,
closes, carries and inserts it, and lets go where the task asks for that. What slipped is reached for again.
"""

from dataclasses import dataclass

import numpy as np

from rldg import geometry
from rldg.env.types import KnownPoses, Observation
from rldg.tasks.task import InsertionDepth, Task

ENTERED = 0.002  # depth at which something counts as past the lead-in of what it goes into [m]
UNKNOWN_DEPTH = 0.015  # assumed where the task does not tell the insertion depth [m]
GRASPABLE = np.array([0.004, 0.004, 0.1])  # lateral [m], vertical [m], angular [rad] distance from which it grasps
SLIPPED = 0.02  # metres between tool and grasp frame at which an object is no longer held
HOLDING = (0.02, 0.9)  # openings of the gripper (0 closed .. 1 open) between which something is in it
CLOSING_TIME = 0.5  # s until closing fingers hold
LIFT_BEYOND = 0.02  # lateral distance [m] at which what is low goes straight up first
CARRY_HEIGHT = 0.008  # metres over the hover height of an insertion at which things are carried
OVER_OBJECT = 0.005  # metres of the open fingertips over the object before they come down around it
AT_TARGET = np.array([0.01, 0.005])  # lateral, vertical distance [m] from which an object is let go
DEEP_ENOUGH = 0.97  # share of the full depth at which a plug is let go


@dataclass(frozen=True)
class Stage:
    """What moves has the pose `pose` (7) in the frame of where it goes, z along the way in; heights are z there [m]."""

    name: str  # "insert", "reach", "close", "carry" or "release"
    pose: np.ndarray
    hover: float  # height at which it is aligned
    entered: float  # height beyond which it is on its way in
    gripper: float  # -1 closed, 1 open
    still: bool = False  # whether the arm waits for the fingers
    contact: bool = True  # whether it ends by pressing against something
    lift_beyond: float = np.inf  # lateral distance [m] at which what is low goes straight up first
    slack: float = 1.0  # factor on how well it has to be aligned

    def is_low(self, position: np.ndarray) -> bool:
        """Whether what is at `position` (3 or more: x, y, z) has to go straight up first."""
        return bool(np.hypot(*position[:2]) > self.lift_beyond and position[2] > self.hover + ENTERED)


class Script:
    """Names the stage at every control step of an episode; `margin` [m] is how far over the mouth it is aligned."""

    def __init__(self, task: Task, margin: float):
        scene = task.sim.geometry if task.sim else None
        self._mouth = -(scene.entry if scene else UNKNOWN_DEPTH)
        self._margin = margin
        self._grasps = task.gripper == "binary"
        self._top = scene.top if scene else 0.0
        self._inserts = isinstance(task.success, InsertionDepth)
        self._lets_go = not isinstance(task.success, InsertionDepth) or task.success.released
        self._deep = -(1 - DEEP_ENOUGH) * scene.full_depth if scene else 0.0
        self._closing_steps = round(CLOSING_TIME * task.rate)
        self._closed: int | None = None  # control steps since the fingers were told to close; None: not looked yet
        self._releasing = False

    def stage(self, observation: Observation) -> Stage:
        """What to do now; called once per control step."""
        privileged = KnownPoses({name: pose.astype(np.float64) for name, pose in observation["privileged"].items()})
        if not self._grasps:
            pose = privileged["tcp_in_target"]
            return Stage("insert", pose, self._mouth - self._margin, self._mouth + ENTERED, gripper=-1)
        tool = geometry.invert(privileged["object_in_tcp"])
        held = privileged["object_in_target"]
        off = np.linalg.norm(tool[:3])
        if self._closed is None:  # an operator who takes over may find it in the hand
            opening = float(observation["state"]["gripper_pose"][0])
            self._closed = self._closing_steps if off < SLIPPED and HOLDING[0] < opening < HOLDING[1] else 0
        if not self._closed and not _graspable(tool):
            return self._reach(tool)
        if self._releasing or (self._closed > self._closing_steps and self._arrived(held)):
            self._releasing = True
            return Stage("release", held, self._mouth, self._mouth, gripper=1, still=True)
        if self._closed and off > SLIPPED:
            self._closed = 0
            return self._reach(tool)
        self._closed += 1
        if self._closed <= self._closing_steps:
            return Stage("close", tool, 0, 0, gripper=-1, still=True)
        hover = self._mouth - self._margin - CARRY_HEIGHT
        return Stage(
            "carry",
            held,
            hover,
            self._mouth + ENTERED,
            gripper=-1,
            contact=self._inserts,
            lift_beyond=LIFT_BEYOND,
            slack=1 if self._inserts else 3,
        )

    def _reach(self, tool: np.ndarray) -> Stage:
        hover = -self._top - OVER_OBJECT
        return Stage(
            "reach", tool, hover, hover + 3 * OVER_OBJECT, gripper=1, contact=False, lift_beyond=LIFT_BEYOND, slack=2
        )

    def _arrived(self, held: np.ndarray) -> bool:
        """Whether it is time to let go."""
        if not self._lets_go:
            return False
        if self._inserts:
            return held[2] > self._deep
        return np.hypot(*held[:2]) < AT_TARGET[0] and abs(held[2]) < AT_TARGET[1]


def _graspable(tool: np.ndarray) -> bool:
    off = np.hypot(*tool[:2]), abs(tool[2]), np.linalg.norm(geometry.rotation_vector(tool))
    return bool((np.array(off) < GRASPABLE).all())

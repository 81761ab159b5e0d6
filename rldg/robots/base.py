"""The `Robot` protocol: what a body, simulated or physical, does for an environment."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class RobotState:
    """A measurement. Everything in the base frame, float64, except force and torque in the end-effector frame."""

    pose: np.ndarray  # (7,) m, quaternion xyzw
    velocity: np.ndarray  # (6,) m/s, rad/s
    force: np.ndarray  # (3,) N, on the tool
    torque: np.ndarray  # (3,) N m, on the tool
    gripper: float  # 0 closed .. 1 open


@dataclass(frozen=True)
class Contact:
    """What only a simulator knows of a plug and its socket."""

    depth: float  # how deep the plug's tip sits below the socket's mouth [m]; 0 when its outline is not inside
    penetration: float  # deepest sinking of one body into the other since the last reset [m]
    clearance: float  # gap per side that holds in this episode [m]
    touching: bool


class Robot(Protocol):
    """One arm with its cameras at one station."""

    camera_sizes: dict[str, int]

    def reset(self, generator: np.random.Generator) -> None:
        """Draws the scene (target, randomisation, reset pose) from `generator` and brings the arm to its reset pose."""
        ...

    def move(self, pose: np.ndarray, gripper: float) -> None:
        """Commands a tool pose (7) in the base frame and a gripper, 0 closed or 1 open, for one control period."""
        ...

    def state(self) -> RobotState:
        """The newest measurement."""
        ...

    def target(self) -> np.ndarray:
        """Pose (7) of the tool in the base frame when the task is done."""
        ...

    def contact(self) -> Contact | None:
        """Ground truth about the contact, or None where there is none."""
        ...

    def object_pose(self) -> np.ndarray | None:
        """Ground truth: pose (7), in the base frame, of the grasp frame of the object that is to be grasped: where the
        tool should hold it. None on a physical robot, and where nothing is grasped.
        """
        ...

    def images(self) -> dict[str, np.ndarray]:
        """One picture (H, W, 3) uint8 RGB per camera."""
        ...

    def close(self) -> None:
        """Releases the hardware or the renderer."""
        ...

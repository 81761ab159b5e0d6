"""`Simulation`: what an adapter of a benchmark gives, so that `WorldEnv` can make an environment of it."""

from typing import Protocol

import mujoco
import numpy as np

from rldg.robots.base import RobotState


class Simulation(Protocol):
    """One environment of a benchmark."""

    model: mujoco.MjModel
    data: mujoco.MjData
    known_size: int  # numbers that `known` gives

    def reset(self, generator: np.random.Generator) -> None:
        """Begins an episode; everything random is drawn from `generator`."""
        ...

    def act(self, action: np.ndarray) -> np.ndarray:
        """One control step by a metric action (7) in the end-effector frame; returns what of it could be carried out.

        Float32 (7) both; the gripper is 0 closed .. 1 open.
        """
        ...

    def state(self) -> RobotState:
        """The newest measurement; force and torque are zero where the benchmark measures none."""
        ...

    def success(self) -> bool:
        """Whether the benchmark's rule for success has held during the last control step."""
        ...

    def known(self) -> np.ndarray:
        """What the benchmark's scripted policies go by: where things are, in the order that they expect."""
        ...

    def mark(self) -> None:
        """Puts markers, such as that of a goal, where pictures should show them."""
        ...

"""What passes between environment, policies and recorders."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from rldg.errors import ActionError, ContractError
from rldg.tasks.task import Task

# Parts by group, float32 but for images. The group `state` holds `tcp_pose` of 7 numbers, `tcp_vel` of 6, `tcp_force`
# of 3, `tcp_torque` of 3, `gripper_pose` of 1; `privileged` holds what `privileged_parts` names; `images` holds for
# each camera a picture (H, W, 3), uint8 RGB.
# `tcp_pose` is relative to the episode's reset pose, `tcp_vel` is in the end-effector frame (SERL's relative frame).
Observation = dict[str, dict[str, np.ndarray]]

# Parts of the group `state` in the order of a data set's flat `observation/state`, with their sizes: 20 numbers.
STATE_PARTS = {"tcp_pose": 7, "tcp_vel": 6, "tcp_force": 3, "tcp_torque": 3, "gripper_pose": 1}
STATE_SIZE = sum(STATE_PARTS.values())

# Parts of the group `privileged`, poses (7) that simulation knows: of the tool in the target frame, of the object's
# grasp frame in the tool frame (the identity while it is held well), and of the grasp frame in the target frame (the
# identity when the object is where it has to end).
PRIVILEGED_PARTS = {"tcp_in_target": 7, "object_in_tcp": 7, "object_in_target": 7}

ACTION_DIMENSION = 7
FAULT = "fault_"  # how the failure reasons begin that are faults of the set-up and say nothing about the policy
GRIPPER_DEADBAND = 0.5  # an action[6] of less than this in size leaves the gripper as it is (SERL's threshold)


def privileged_parts(task: Task) -> tuple[str, ...]:
    """Names of the privileged parts that `task` has in simulation: those of an object only where one is grasped."""
    return tuple(PRIVILEGED_PARTS) if task.gripper == "binary" else ("tcp_in_target",)


class KnownPoses(dict[str, np.ndarray]):
    """The group `privileged`; who asks for what a station cannot know is refused with a sentence."""

    def __missing__(self, name: str) -> np.ndarray:
        raise ContractError(
            f"The policy needs '{name}', which only simulation knows, and this station gives {sorted(self)} only; "
            f"train one that acts on pictures."
        )


def gripper_command(action: float, before: float) -> float:
    """What a normalised `action[6]` tells the gripper, 0 close or 1 open; in the deadband what it was told before."""
    if abs(action) < GRIPPER_DEADBAND:
        return before
    return float(action > 0)


@dataclass(frozen=True)
class ActionContract:
    """What an action's seven numbers mean: a twist in the end-effector frame per control step, then the gripper."""

    translation_scale: float  # metres per step at a normalised 1
    rotation_scale: float  # radians per step at a normalised 1
    rate: float  # control steps per second
    gripper: str  # "fixed" or "binary"
    frame: str = "end_effector"

    @classmethod
    def of(cls, task: Task) -> "ActionContract":
        """The contract that `task` sets."""
        scale = task.action_scale
        return cls(scale.translation, scale.rotation, task.rate, task.gripper)

    @property
    def scale(self) -> np.ndarray:
        """(6,) metres and radians per normalised unit."""
        return np.repeat([self.translation_scale, self.rotation_scale], 3)

    def to_metric(self, action: np.ndarray) -> np.ndarray:
        """Normalised (..., 7) in [-1, 1] to metres, radians and a gripper of 0 closed .. 1 open."""
        twist = np.clip(action[..., :6], -1, 1) * self.scale
        gripper = (np.clip(action[..., 6:], -1, 1) + 1) / 2
        return np.concatenate([twist, gripper], axis=-1).astype(np.float32)

    def to_normalized(self, action: np.ndarray) -> np.ndarray:
        """Metric (..., 7) to the normalised action in [-1, 1] that environments take, clipped to what is in reach."""
        twist = action[..., :6] / self.scale
        gripper = action[..., 6:] * 2 - 1
        return np.clip(np.concatenate([twist, gripper], axis=-1), -1, 1).astype(np.float32)


def checked_action(action: Any) -> np.ndarray:
    """`action` as float32 (7); raises `ActionError` when it is not seven finite numbers."""
    array = np.asarray(action, dtype=np.float32)
    if array.shape != (ACTION_DIMENSION,):
        raise ActionError(f"An action must have shape (7,): twist (6) and gripper (1); got {array.shape}.")
    if not np.isfinite(array).all():
        raise ActionError(f"An action must be finite; got {array.tolist()}.")
    return array


@dataclass(frozen=True, eq=False)
class StepInfo:
    """What an environment knows about a step beyond observation and reward; `info["step"]` of reset and step."""

    raw_state: dict[str, np.ndarray]  # the state in the base frame, same keys and shapes as observation["state"]
    action: np.ndarray = field(default_factory=lambda: np.zeros(7, np.float32))  # metric, end-effector frame
    base_action: np.ndarray = field(default_factory=lambda: np.zeros(7, np.float32))  # the same in the base frame
    success: bool = False  # by whom the task says
    truth: bool | None = None  # by the simulator, where another judges (a classifier, an operator); None: unknown
    failure_reason: str = ""  # "", "time_out", "jam", "dropped", "force_limit", "penetration" ...; set on the last step
    insertion_depth: float = 0.0  # metres, simulation only
    penetration: float = 0.0  # deepest contact so far in this episode [m], simulation only

    def __eq__(self, other: object) -> bool:
        """Whether every field agrees, arrays element by element."""
        return isinstance(other, StepInfo) and data_equivalence(asdict(self), asdict(other), exact=True)

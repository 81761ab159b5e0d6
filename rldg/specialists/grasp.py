"""The grasp critic: double DQN on the gripper beside SAC on the arm, as in HIL-SERL's `sac_hybrid_single.py`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rldg.env.types import GRIPPER_DEADBAND

CLOSE, STAY, OPEN = range(3)
CHOICES = 3
OPENED = 0.9  # of a gripper's opening: above, closing costs the penalty, below opening does


def choices(gripper: np.ndarray) -> np.ndarray:
    """What actions[..., 6] tell the gripper, int32: `CLOSE`, `STAY` or `OPEN`."""
    return np.where(gripper <= -GRIPPER_DEADBAND, CLOSE, np.where(gripper >= GRIPPER_DEADBAND, OPEN, STAY)).astype(
        np.int32
    )


def command(values: np.ndarray) -> float:
    """The action[6] of the choice of most value."""
    return float(np.argmax(values) - 1)


def moves(choice: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Whether a choice sets the gripper moving, float32: closes the open one, or opens the closed one."""
    opened = opening > OPENED
    return ((opened & (choice == CLOSE)) | (~opened & (choice == OPEN))).astype(np.float32)


def of_choice(values: Any, choice: Any) -> Any:
    """Of values (batch, 3) those of the choices (batch,)."""
    import jax.numpy as jnp

    return jnp.take_along_axis(values, choice[:, None], axis=1)[:, 0]


def target(columns: Mapping[str, Any], online: Any, later: Any, discount: float, penalty: float) -> Any:
    """What the taken choices are worth (batch,).

    Args:
        columns: `reward`, `continues` and `grasp_moves`, each (batch,).
        online: values (batch, 3) of the next observation by the critic that learns: it chooses.
        later: the same by the target network: it values the choice.
        discount: of a reward one step later.
        penalty: for setting the gripper moving.
    """
    following = of_choice(later, online.argmax(axis=1)).clip(-1, 1)
    return columns["reward"] - penalty * columns["grasp_moves"] + discount * columns["continues"] * following

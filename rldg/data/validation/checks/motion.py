"""Actions against the motion that followed: the few sums per episode from which `response` judges.

The arm follows a command late and in part. What holds whatever its controller: a step's displacement depends on that
step's command, a little on earlier ones, and not on later ones; in the frame of the command, with its sign and scale.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from rldg.data.validation.subject import Subject

LAGS = (-1, 0, 1)  # of the command against the displacement, in steps
SOURCE = ("task", "policy_kind", "checkpoint_hash", "time")  # what the episodes of one collection share
SHORTEST = 6  # steps of an episode that can tell anything
MOVING = 0.3  # share of an episode's largest displacement from which a step counts as moving
LEAST = np.array([0.005, 0.02])  # travel and turn within an episode that can tell anything [m, rad]


@dataclass(frozen=True, eq=False)
class Motion:
    """Of one episode; an axis of length 2 is translation, rotation. What was too little to judge is nan."""

    source: tuple[str, ...]  # of the collection it belongs to: episodes recorded in one way
    products: (
        np.ndarray
    )  # (2, 6, 6) sums of products of: command at the three lags, the last two displacements, this one
    rows: int  # steps x axes that went into the products of each part
    axes: np.ndarray  # (3, 6) per axis the sums of command x displacement, command², displacement²
    cosine: np.ndarray  # (2,) between command and displacement, in the end-effector frame
    base_cosine: np.ndarray  # (2,) the same in the base frame
    gain: np.ndarray  # (2,) displacement over command, on the steps that move


def motion(subject: Subject) -> Motion | None:
    """None for an episode that is too short or not finite."""
    raw = subject.steps["observation/raw_state"][:, :7].astype(np.float64)
    action = subject.steps["action"][:, :6].astype(np.float64)
    norms = np.linalg.norm(raw[:, 3:], axis=1)
    if len(raw) < SHORTEST or not (np.isfinite(raw).all() and np.isfinite(action).all() and (norms > 0.5).all()):
        return None
    local, base = displacements(raw)
    command = action[:-1]
    both = (slice(0, 3), slice(3, 6))
    travel = np.array([np.linalg.norm(local[:, part], axis=1).sum() for part in both])
    enough = travel > LEAST
    return Motion(
        source=tuple(str(subject.metadata.get(name, "")) for name in SOURCE),
        products=np.array([_products(action[:, part], local[:, part]) for part in both]),
        rows=3 * (len(local) - 2),
        axes=np.array([(command * local).sum(axis=0), (command**2).sum(axis=0), (local**2).sum(axis=0)]),
        cosine=np.where(enough, [_cosine(command[:, part], local[:, part]) for part in both], np.nan),
        base_cosine=np.where(enough, [_cosine(command[:, part], base[:, part]) for part in both], np.nan),
        gain=np.where(enough, [_gain(command[:, part], local[:, part]) for part in both], np.nan),
    )


def displacements(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motion from each of the poses (T, 7) to the next, (T - 1, 6) [m, rad]: in the tool's frame and in the base's."""
    turns = Rotation.from_quat(poses[:, 3:])
    shift = np.diff(poses[:, :3], axis=0)
    turn = (turns[:-1].inv() * turns[1:]).as_rotvec()
    return np.hstack([turns[:-1].inv().apply(shift), turn]), np.hstack([shift, turns[:-1].apply(turn)])


def _products(command: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(6, 6), summed over steps and axes."""
    now = np.arange(2, len(moved))
    columns = [*(command[now + lag] for lag in LAGS), moved[now - 1], moved[now - 2], moved[now]]
    stacked = np.stack(columns, axis=-1).reshape(-1, len(columns))
    return stacked.T @ stacked


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt(max((a**2).sum() * (b**2).sum(), 1e-30)))


def _gain(command: np.ndarray, moved: np.ndarray) -> float:
    """Mean displacement over mean command where the tool moves, so that pressing on a wall does not count."""
    size = np.linalg.norm(moved, axis=1)
    moving = size > MOVING * size.max()
    return float(size[moving].mean() / max(np.linalg.norm(command[moving], axis=1).mean(), 1e-12))

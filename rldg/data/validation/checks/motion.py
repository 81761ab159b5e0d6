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
LARGEST = 1e6  # of any number; nothing is told from beyond
MOVING = 0.3  # share of an episode's large displacements from which a step counts as moving
LEAST = (0.005, 0.02)  # travel and turn from which an episode tells the scale [m, rad]
PARTS = (slice(0, 3), slice(3, 6))  # of a twist: translation, rotation


@dataclass(frozen=True, eq=False)
class Motion:
    """Of one episode; an axis of length 2 is translation, rotation, one of length 6 their three axes each."""

    source: tuple[str, ...]  # of the collection it belongs to: episodes recorded in one way
    products: np.ndarray  # (2, 6, 6) sums of products: command at the three lags, last two displacements, this one
    rows: int  # steps x axes that went into the products of each part
    axes: (
        np.ndarray
    )  # (4, 6) sums of command x displacement in the tool's frame, in the base's, command², displacement²
    gain: np.ndarray  # (2,) displacement over command on the steps that move; nan if hardly any does


def motion(subject: Subject) -> Motion | None:
    """None for an episode that is too short, or whose numbers are not finite or absurd."""
    raw = subject.steps["observation/raw_state"][:, :7].astype(np.float64)
    action = subject.steps["action"][:, :6].astype(np.float64)
    norms = np.linalg.norm(raw[:, 3:], axis=1)
    sane = (np.abs(raw) < LARGEST).all() and (np.abs(action) < LARGEST).all() and (norms > 0.5).all()
    if len(raw) < SHORTEST or not sane:
        return None
    local, base = displacements(raw)
    command = action[:-1]
    return Motion(
        source=tuple(str(subject.metadata.get(name, "")) for name in SOURCE),
        products=np.array([_products(action[:, part], local[:, part]) for part in PARTS]),
        rows=3 * (len(local) - 2),
        axes=np.array(
            [(a * b).sum(axis=0) for a, b in ((command, local), (command, base), (command,) * 2, (local,) * 2)]
        ),
        gain=np.array(
            [_gain(command[:, part], local[:, part], least) for part, least in zip(PARTS, LEAST, strict=True)]
        ),
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


def _gain(command: np.ndarray, moved: np.ndarray, least: float) -> float:
    """Displacement over command on the steps that move, so that pressing on a wall does not count; medians.

    Steps without any command have no scale: a person's keys turn the tool in few, contact and settling in many.
    """
    size, commanded = np.linalg.norm(moved, axis=1), np.linalg.norm(command, axis=1)
    size, commanded = size[commanded > 0], commanded[commanded > 0]
    if size.sum() < least:
        return np.nan
    moving = size > MOVING * np.quantile(size, 0.9)
    return float(np.median(size[moving]) / max(np.median(commanded[moving]), 1e-12))

"""What the actions of a data set look like next to the socket, where the correct move is known (RLDG, Fig. 8).

The paper takes the transitions within 4 mm (x, y) and 10 mm (z) of a pose from which the correct move is -x, -y. Here
that pose lies 5 mm beside the target on both axes, a little over the socket's mouth; the three other quadrants are
mirrored onto it, which leaves the square of possible actions what it is.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from rldg.data.reader import open_dataset
from rldg.errors import DatasetError

OFFSET = 0.005  # metres beside the target on either axis
HEIGHT = -0.015  # metres along the target's z axis, which points into the socket: for connectors of some 10 mm
WINDOW = (0.004, 0.004, 0.010)  # metres around that pose


@dataclass(frozen=True)
class SocketActions:
    """Lateral actions near the socket, mirrored so that the correct move is towards (-1, -1)."""

    moves: tuple[np.ndarray, ...]  # by success: (n, 2) shares of the largest possible step, each in about [-1, 1]

    def __add__(self, other: "SocketActions") -> "SocketActions":
        return SocketActions(self.moves + other.moves)

    @property
    def episodes(self) -> int:
        """Successes that were looked through."""
        return len(self.moves)

    @cached_property
    def xy(self) -> np.ndarray:
        """All of them, (n, 2)."""
        return np.concatenate([np.zeros((0, 2)), *self.moves])

    @property
    def progress(self) -> float:
        """Mean share of the largest possible correct move: 1 is straight towards the axis at full speed."""
        return mean_progress(self.xy)

    @property
    def correct(self) -> float:
        """Share of the actions that move towards the axis both in x and in y."""
        return float((self.xy < 0).all(axis=1).mean()) if len(self.xy) else float("nan")


def mean_progress(xy: np.ndarray) -> float:
    """How far mirrored moves (n, 2) go towards the axis, see `SocketActions.progress`; not a number for none."""
    return float(-xy.mean()) if len(xy) else float("nan")


def near_socket(pose: np.ndarray, twist: np.ndarray, height: float = HEIGHT) -> np.ndarray:
    """Mirrored lateral moves (m, 2) of those steps that are near the socket.

    Args:
        pose: (T, 7) tool centre point in the target frame [m, quaternion xyzw].
        twist: (T, >=3) action in the end-effector frame; any unit.
        height: of the window's middle along the target's z axis [m].
    """
    beside = np.abs(pose[:, :2]) - OFFSET
    over = pose[:, 2] - height
    near = (np.abs(np.column_stack([beside, over])) <= WINDOW).all(axis=1)
    if not near.any():
        return np.zeros((0, 2))
    moves = Rotation.from_quat(pose[near, 3:]).apply(twist[near, :3])
    return moves[:, :2] * np.sign(pose[near, :2])


def socket_actions(folder: Path, height: float = HEIGHT) -> SocketActions:
    """The actions near the socket in the successes of the data set in `folder`, as policies are trained on them.

    `height` [m] is that of the window's middle along the target's z axis: about 4 mm over the mouth.

    Raises:
        DatasetError: when the data set does not say where the tool was relative to the target.
    """
    dataset = open_dataset(folder).successes()
    moves = []
    for episode in dataset:
        if "observation/tcp_in_target" not in episode.steps or "action_normalized" not in episode.steps:
            raise DatasetError(f"{folder} holds no 'tcp_in_target' and 'action_normalized', so moves cannot be judged.")
        twist = np.clip(episode.steps["action_normalized"], -1, 1)
        moves.append(near_socket(episode.steps["observation/tcp_in_target"], twist, height))
    return SocketActions(tuple(moves))


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Energy distance of two samples (n, d) and (m, d), in their unit; 0 when they are distributed alike.

    The square root of 2 E|A - B| - E|A - A'| - E|B - B'| (Székely and Rizzo, 2013).
    """
    square = 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()
    return float(np.sqrt(max(square, 0.0)))

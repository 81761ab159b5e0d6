"""Transitions as columns of arrays, and the draw of half-prior batches."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from rldg.rollout import Episode
from rldg.specialists import grasp
from rldg.specialists.arrays import Arrays, Tree, part, prefixed
from rldg.specialists.sight import stored
from rldg.specialists.spec import AgentSpec

PRIOR, ONLINE, COLUMN = "replay.prior", "replay.online", "replay.column."


def transitions(episode: Episode, spec: AgentSpec, frozen: Tree | None = None) -> Arrays:
    """Columns of T + 1 rows: each observation once, what was done on it, and what came of it.

    A row's next observation is the next row's. The last row, marked `last`, is the final observation alone.
    `continues` is 0 where the episode ended by itself; a time-out continues (1): it says nothing of the state it
    happened in. What the gripper was told, and whether that set it moving, are columns of an agent that grasps.
    `frozen` are the weights for an agent that keeps what its encoder makes of pictures.
    """
    seen = spec.observe({"state": episode.state, "privileged": episode.privileged, "images": episode.images})
    after = spec.observe(episode.final)
    parts = {name: np.concatenate([value, after[name][None]]) for name, value in seen.items()}
    columns = {
        **stored(spec, frozen or {}, parts),
        "action": _padded(episode.action_normalized[:, : spec.actions].astype(np.float32)),
        "reward": _padded(episode.reward.astype(np.float32)),
        "continues": _padded(1 - episode.is_terminal.astype(np.float32)),
        "intervention": _padded(episode.is_intervention),
    }
    if spec.grasps:
        choice = grasp.choices(episode.action_normalized[:, 6])
        moves = grasp.moves(choice, episode.state["gripper_pose"][:, 0])
        columns |= {"grasp": _padded(choice), "grasp_moves": _padded(moves)}
    return columns | {"last": np.arange(len(episode) + 1) == len(episode)}


def joined(parts: list[Arrays]) -> Arrays:
    """Columns of several episodes, one after the other."""
    return {name: np.concatenate([columns[name] for columns in parts]) for name in parts[0]} if parts else {}


def episodes(columns: Arrays) -> list[Arrays]:
    """Inverse of `joined`: the columns of each episode."""
    if not columns:
        return []
    ends = 1 + np.flatnonzero(columns["last"])
    return [{name: column[a:b] for name, column in columns.items()} for a, b in pairwise([0, *ends.tolist()])]


def _padded(column: np.ndarray) -> np.ndarray:
    return np.concatenate([column, np.zeros_like(column[:1])])


class GrowingArray:
    """Rows in order; its room doubles when it is full, and unused room costs no memory until it is written."""

    def __init__(self, rows: np.ndarray) -> None:
        self._room, self._size = rows, len(rows)

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> np.ndarray:
        """What is stored, (size, ...)."""
        return self._room[: self._size]

    def append(self, rows: np.ndarray) -> None:
        """Appends rows (k, ...)."""
        size = self._size + len(rows)
        if size > len(self._room):
            room = np.empty((2 * size, *rows.shape[1:]), rows.dtype)
            room[: self._size] = self.rows
            self._room = room
        self._room[self._size : size] = rows
        self._size = size


class Replay:
    """Every step so far, once, and which of them are prior data, which the agent's own; it forgets nothing.

    Steps that an operator took over are both. What is stored never changes; `relabel` has other values drawn instead.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        arrays = arrays or {PRIOR: np.empty(0, np.int64), ONLINE: np.empty(0, np.int64)}
        self._columns = {name: GrowingArray(rows) for name, rows in part(COLUMN, arrays).items()}
        self.prior, self.online = GrowingArray(arrays[PRIOR]), GrowingArray(arrays[ONLINE])  # rows of the columns
        self._instead: Arrays = {}  # of a column, what is drawn

    def __len__(self) -> int:
        return len(self._columns["last"]) if self._columns else 0

    def arrays(self) -> Arrays:
        """All that is stored, by name; none of it ever changes but by growing."""
        columns = {name: column.rows for name, column in self._columns.items()}
        return prefixed(COLUMN, columns) | {PRIOR: self.prior.rows, ONLINE: self.online.rows}

    def add(self, columns: Arrays, prior: bool) -> None:
        """Adds the `transitions` of whole episodes, as prior data or as the agent's own."""
        if not columns:
            return
        taken = len(self) + np.flatnonzero(~columns["last"])
        if prior:
            self.prior.append(taken)
        else:
            self.online.append(taken)
            self.prior.append(taken[columns["intervention"][~columns["last"]]])
        for name, rows in columns.items():
            self._columns.setdefault(name, GrowingArray(rows[:0])).append(rows)

    def column(self, name: str) -> np.ndarray:
        """Column `name` as it was stored, (size, *shape)."""
        return self._columns[name].rows

    def relabel(self, name: str, values: np.ndarray) -> None:
        """Has `take` read `values` (size, ...) instead of what column `name` holds; to be done anew after `add`."""
        self._instead[name] = values

    def take(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Column `name` at `rows` (...), as an array (..., *shape)."""
        return (self._instead[name] if name in self._instead else self.column(name))[rows]

    def sample(
        self, generator: np.random.Generator, batches: int, batch_size: int, only_prior: bool = False
    ) -> np.ndarray:
        """Rows (batches, batch_size), half of each batch prior (RLPD); all of it while the other kind is missing."""
        prior = batch_size if only_prior or not len(self.online) else batch_size // 2
        prior = prior if len(self.prior) else 0
        drawn = np.empty((batches, batch_size), np.int64)
        for kind, columns in ((self.prior, slice(0, prior)), (self.online, slice(prior, batch_size))):
            part_of_batch = drawn[:, columns]
            if part_of_batch.size:
                part_of_batch[:] = kind.rows[generator.integers(len(kind), size=part_of_batch.shape)]
        return drawn

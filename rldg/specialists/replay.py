"""Transitions as rows of one array, and the draw of half-prior batches."""

import numpy as np

from rldg.rollout import Episode
from rldg.specialists.features import features


def transitions(episode: Episode, actions: int, observe_force: bool) -> np.ndarray:
    """Rows float32 (T, 2n + m + 2): observation, action, next observation, reward, continues.

    A time-out continues (1): it says nothing of the state it happened in.
    """
    before = features(episode.state, episode.privileged, observe_force)
    last = features(episode.final["state"], episode.final["privileged"], observe_force)
    after = np.concatenate([before[1:], last[None]])
    continues = 1 - episode.is_terminal.astype(np.float32)
    columns = [before, episode.action_normalized[:, :actions], after, episode.reward[:, None], continues[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)


class ReplayBuffer:
    """All transitions so far, in order; it grows by doubling and forgets nothing."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows
        self._size = len(rows)

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> np.ndarray:
        """What is stored, (size, width)."""
        return self._rows[: self._size]

    def add(self, rows: np.ndarray) -> None:
        """Appends rows (k, width)."""
        if self._size + len(rows) > len(self._rows):
            room = np.empty((2 * (self._size + len(rows)), rows.shape[1]), np.float32)
            room[: self._size] = self.rows
            self._rows = room
        self._rows[self._size : self._size + len(rows)] = rows
        self._size += len(rows)


def symmetric_sample(
    generator: np.random.Generator, prior: ReplayBuffer, online: ReplayBuffer, batches: int, batch_size: int
) -> np.ndarray:
    """Rows (batches, batch_size, width), half of each batch from `prior` (RLPD); all of it while `online` is empty."""
    half = batch_size // 2 if len(online) else batch_size
    drawn = np.empty((batches, batch_size, prior.rows.shape[1]), np.float32)
    drawn[:, :half] = prior.rows[generator.integers(len(prior), size=(batches, half))]
    if half < batch_size:
        drawn[:, half:] = online.rows[generator.integers(len(online), size=(batches, batch_size - half))]
    return drawn

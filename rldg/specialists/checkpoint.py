"""The two newest checkpoints of a run. What only ever grows is written once, a piece with each checkpoint."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rldg.errors import CheckpointError
from rldg.specialists.arrays import Arrays, read_arrays, write_arrays

PREFIX, GROWTH, KEPT = "checkpoint_", "growth_", 2
PIECES = "growth_pieces"


class Checkpoints:
    """Saves and finds checkpoints in `folder`.

    A checkpoint is a file of arrays, and the pieces by which other arrays had grown with each checkpoint up to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pieces = 0
        self._written: dict[str, int] = {}  # rows of each growing array that are in pieces

    def save(self, step: int, arrays: Mapping[str, np.ndarray], growing: Mapping[str, np.ndarray]) -> None:
        """Writes the checkpoint of `step`, then drops all but the newest two.

        `arrays` are written whole; of `growing`, whose rows never change, those that the checkpoint before lacked.
        """
        self._folder.mkdir(exist_ok=True)
        new = {name: rows[self._written.get(name, 0) :] for name, rows in growing.items()}
        write_arrays(self._piece(self._pieces), new)
        self._pieces += 1
        self._written = {name: len(rows) for name, rows in growing.items()}
        path = self._folder / f"{PREFIX}{step:09d}.npz"
        write_arrays(path, {**arrays, PIECES: np.array(self._pieces)})
        paths = self._newest_first()
        later = paths.index(path)  # of a run that went on from an earlier checkpoint than its last
        for old in paths[:later] + paths[later + KEPT :]:
            old.unlink()

    def latest(self) -> Arrays | None:
        """The newest readable checkpoint, `arrays` and `growing` together, or None if there is none.

        What is saved next goes on from it. Raises `CheckpointError` when all are damaged.
        """
        paths = self._newest_first()
        for path in paths:
            try:
                arrays = read_arrays(path)
                pieces = [read_arrays(self._piece(index)) for index in range(int(arrays.pop(PIECES)))]
            except CheckpointError:
                if path == paths[-1]:
                    raise
                continue
            growing = {name: np.concatenate([p[name] for p in pieces if name in p]) for name in pieces[-1]}
            self._pieces, self._written = len(pieces), {name: len(rows) for name, rows in growing.items()}
            return arrays | growing
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob(f"{PREFIX}*.npz"), reverse=True)

    def _piece(self, index: int) -> Path:
        return self._folder / f"{GROWTH}{index:06d}.npz"

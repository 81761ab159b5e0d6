"""Named arrays in files and pipes (npz without pickle), and the two newest checkpoints of a run."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rldg.errors import CheckpointError

PREFIX, KEPT = "checkpoint_", 2


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as the bytes of an npz file."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


def unpack(content: bytes) -> dict[str, np.ndarray]:
    """Inverse of `pack`; refuses pickled content."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays so that `path` is the old file or the whole new one, never half of it."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(pack(arrays))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Named arrays of a file; raises `CheckpointError` when it is missing or damaged."""
    try:
        return unpack(path.read_bytes())
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def save_checkpoint(folder: Path, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the checkpoint of `step`, then drops all but the newest two."""
    folder.mkdir(exist_ok=True)
    write_arrays(folder / f"{PREFIX}{step:09d}.npz", arrays)
    for path in sorted(folder.glob(f"{PREFIX}*.npz"))[:-KEPT]:
        path.unlink()


def latest_checkpoint(folder: Path) -> dict[str, np.ndarray] | None:
    """The newest readable checkpoint, or None if there is none; raises `CheckpointError` when all are damaged."""
    paths = sorted(folder.glob(f"{PREFIX}*.npz"), reverse=True)
    for path in paths:
        try:
            return read_arrays(path)
        except CheckpointError:
            if path == paths[-1]:
                raise
    return None

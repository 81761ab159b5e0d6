"""Named arrays: how weights, transitions and checkpoints travel through files and pipes (npz without pickle)."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rldg.errors import CheckpointError
from rldg.stage import write_durably

Arrays = dict[str, np.ndarray]
Tree = Any  # nested dicts and lists of arrays


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as the bytes of an npz file."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


def unpack(content: bytes) -> Arrays:
    """Inverse of `pack`; refuses pickled content."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays so that `path` is the old file or the whole new one, never half of it."""
    write_durably(path, pack(arrays))


def read_arrays(path: Path) -> Arrays:
    """Named arrays of a file; raises `CheckpointError` when it is missing or damaged."""
    try:
        return unpack(path.read_bytes())
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def prefixed(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The arrays under longer names."""
    return {prefix + name: value for name, value in arrays.items()}


def part(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Inverse of `prefixed`, of those that bear the prefix."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def named_arrays(tree: Tree) -> Arrays:
    """Weights as flat names: keys and list indices joined by dots."""
    if not isinstance(tree, dict | list):
        return {"": np.asarray(tree)}
    flat: Arrays = {}
    for key, node in tree.items() if isinstance(tree, dict) else enumerate(tree):
        flat |= {f"{key}.{name}".rstrip("."): value for name, value in named_arrays(node).items()}
    return flat


def from_named_arrays(arrays: Mapping[str, np.ndarray]) -> Tree:
    """Inverse of `named_arrays`: a node whose keys are numbers is a list."""
    if arrays.keys() == {""}:
        return arrays[""]
    nodes: dict[str, Arrays] = {}
    for name, value in arrays.items():
        key, _, rest = name.partition(".")
        nodes.setdefault(key, {})[rest] = value
    if nodes and all(key.isdecimal() for key in nodes):
        return [from_named_arrays(nodes[str(index)]) for index in range(len(nodes))]
    return {key: from_named_arrays(node) for key, node in nodes.items()}

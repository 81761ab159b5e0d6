"""Trees of arrays in the msgpack form that Flax and the Orbax of 2023 write; nothing in it can run code."""

import math
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import msgpack
import numpy as np

from rldg.errors import CheckpointError

FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
NUMBERS = FLOATS | {"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}

_ARRAY = 1  # Flax's extension type: msgpack of [shape, name of the dtype, C-order bytes]
_PLACEHOLDER = "PLACEHOLDER://"  # Orbax: the array lies in a file of its own


class ElsewhereError(Exception):
    """The file names its arrays, and they lie beside it (Orbax's tensorstore layout)."""


def read_tree(path: Path, dtypes: frozenset[str] = FLOATS) -> dict[str, Any]:
    """The nested dictionary of read-only arrays in a file.

    The file is mapped, so that memory holds the arrays and hardly more. No length that the file claims is believed
    before that many bytes are there.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else than arrays of `dtypes`.
        ElsewhereError: it stands for arrays that lie beside it.
    """

    def array(code: int, content: bytes) -> np.ndarray:
        if code != _ARRAY:
            raise ValueError(f"it holds an object of the unknown kind {code}")
        shape, dtype, raw = msgpack.unpackb(content, max_array_len=32)
        if dtype not in dtypes:
            raise ValueError(f"it holds an array of {dtype!r}; valid: {', '.join(sorted(dtypes))}")
        if not all(isinstance(size, int) and 0 <= size < 2**31 for size in shape):
            raise ValueError(f"it holds an array of shape {shape}")
        expected = math.prod(shape) * jnp.dtype(dtype).itemsize
        if len(raw) != expected:
            raise ValueError(f"an array of shape {tuple(shape)} has {len(raw)} bytes instead of {expected}")
        return np.frombuffer(raw, jnp.dtype(dtype)).reshape(shape)

    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # An Octo has a few hundred entries; lists of any length would be allocated before they are read.
            tree = msgpack.unpackb(content, ext_hook=array, max_array_len=32, max_map_len=10_000)
        _check_tree(tree)
    except (OSError, ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise CheckpointError(f"{path} cannot be read: {_reason(error)}.") from None
    return tree


def _check_tree(tree: Any) -> None:
    if not isinstance(tree, dict):
        raise ValueError(f"it holds a {type(tree).__name__} instead of named arrays")
    for name, value in tree.items():
        if not isinstance(name, str):
            raise ValueError(f"it holds an entry named {name!r:.40}")
        if isinstance(value, str) and value.startswith(_PLACEHOLDER):
            raise ElsewhereError
        if not isinstance(value, np.ndarray):
            _check_tree(value)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).rstrip(".") or "it is no msgpack file, or was cut or damaged"


def packed(tree: Mapping[str, Any]) -> Iterator[bytes]:
    """A file's content for `read_tree`, one array after the other: memory holds no second copy of them all."""
    packer = msgpack.Packer()
    yield packer.pack_map_header(len(tree))
    for name, value in tree.items():
        yield packer.pack(name)
        if isinstance(value, Mapping):
            yield from packed(value)
        else:
            array = np.asarray(value)
            leaf = packer.pack((array.shape, array.dtype.name, array.tobytes()))
            yield packer.pack(msgpack.ExtType(_ARRAY, leaf))


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their path, "a/b/c", in its order."""
    leaves = {}
    for name, value in tree.items():
        leaves |= flat(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return leaves

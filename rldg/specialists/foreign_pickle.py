"""Arrays out of a pickle that others wrote, without running anything that it asks for.

A pickle is a program that may call whatever it names. Here every name that arrays need stands for a record of our own
that keeps the arguments; any other name is refused. Arrays are built from these records afterwards, from raw bytes.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rldg.errors import CheckpointError
from rldg.specialists.arrays import Tree

LARGEST = 1 << 30  # bytes of a file that is read at all
KINDS = {f"{kind}{size}" for kind in "fiu" for size in (1, 2, 4, 8)} - {"f1"} | {"b1"}  # types of numbers


class _Type:
    """A `numpy.dtype`: its name and byte order."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = {"<": "<", ">": ">", "|": "|"}[state[1]]


class _Array:
    """A `numpy.ndarray` before its content, and with it."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


@dataclass
class _Buffer:
    """An array of pickle protocol 5."""

    content: Any
    type: Any
    shape: Any
    order: Any = "C"


@dataclass
class _JaxArray:
    """A `jax.Array`: what it was as a NumPy array."""

    function: Any
    arguments: Any
    state: Any
    aval: Any = None


class _Frozen(dict):
    """A `flax.core.FrozenDict`."""


def _latin(text: str, coding: str) -> bytes:
    """How protocol 2 writes bytes."""
    return text.encode({"latin1": "latin1"}[coding])


KNOWN = {
    ("_codecs", "encode"): _latin,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("flax.core.frozen_dict", "FrozenDict"): _Frozen,
    ("jax._src.array", "_reconstruct_array"): _JaxArray,
    ("jax.interpreters.xla", "_reconstruct_array"): _JaxArray,
    ("collections", "OrderedDict"): dict,
}
for _module in ("numpy.core", "numpy._core"):
    KNOWN[f"{_module}.multiarray", "_reconstruct"] = _Array
    KNOWN[f"{_module}.numeric", "_frombuffer"] = _Buffer


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Our own stand-in for what is needed; nothing else exists."""
        try:
            return KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which arrays do not need") from None


def read_foreign_pickle(path: Path) -> Tree:
    """The nested dicts and arrays of a pickle. Raises `CheckpointError` if there is anything else in it."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has over {LARGEST} bytes")
        with open(path, "rb") as file:
            return _plain(_Reader(file).load())
    except Exception as error:  # whatever a broken or hostile file makes a pickle machine raise
        raise CheckpointError(f"{path} is no pickle of arrays alone: {error}.") from None


def _plain(node: Any) -> Tree:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, _JaxArray | _Array):
        node = _state_of(node.state)
    elif isinstance(node, _Buffer):
        node = _array(node.content, node.type, node.shape, node.order == "F")
    if not isinstance(node, np.ndarray):
        raise TypeError(f"it holds a {type(node).__name__}")
    return node


def _state_of(state: Any) -> np.ndarray:
    _, shape, kind, fortran, content = state
    return _array(content, kind, shape, bool(fortran))


def _array(content: Any, kind: Any, shape: Any, fortran: bool) -> np.ndarray:
    if not isinstance(kind, _Type) or kind.name not in KINDS:
        raise TypeError("it holds an array of something other than numbers")
    flat = np.frombuffer(bytes(content), np.dtype(kind.order + kind.name))
    array = flat.reshape([int(side) for side in shape], order="F" if fortran else "C")
    return array.astype(array.dtype.newbyteorder("="))

"""Reads foreign pickles that hold arrays, dicts, lists and scalars, without ever running what is in them.

A pickle is a program. Python's own machine for it looks names up and calls what they stand for; even with a list of
allowed names, a few bytes make it reserve any amount of memory (a sparse memo) or overflow the C stack (the hash of a
deeply nested key). So this is another machine, over `pickletools.genops`, which only knows how to take such programs
apart: it imports nothing and calls nothing that the file names. The few names by which NumPy, JAX and flax write arrays
and dicts stand for constructions of ours, that check every size against the bytes that are there.

Time and memory are proportional to the size of the file; the content of large arrays stays on disk until it is used.
"""

import mmap
import pickletools
import re
import struct
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from rldg.errors import DatasetError

MAX_OPERATIONS = 20_000_000  # some 50,000 transitions; each can make one small object at most
_MAPPED_FROM = 4096  # bytes from which data is looked at in the file instead of being copied
_MAX_DIMENSIONS = 8
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]")  # truth values, integers, floating numbers

_NAMES = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): "array" for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): "scalar" for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): "buffer" for core in ("core", "_core")},
    ("numpy", "dtype"): "dtype",
    ("numpy", "ndarray"): "ndarray",
    ("jax._src.array", "_reconstruct_array"): "jax",
    ("jax._src.device_array", "reconstruct_device_array"): "jax",
    ("flax.core.frozen_dict", "FrozenDict"): "frozen",
}


class _Refused(Exception):
    """Why a pickle is not read."""


class _Name:
    """One of the names in `_NAMES`; it can be used in the places where NumPy uses it and nowhere else."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class _Unfinished:
    """A dtype or an array between the operation that announces it and the one that describes it."""

    def __init__(self, finish: Callable[[Any], Any]) -> None:
        self.finish = finish
        self.memo: list[int] = []  # where else it has to be replaced


def load_pickle(path: Path) -> Any:
    """The content of a pickle: dicts with text keys, lists, tuples, arrays, numbers, text, bytes, None.

    Arrays are read-only; those of 4 KiB and more are read from the file when they are used, so it has to stay.

    Raises:
        DatasetError: the file is no such pickle; the message names the offending operation and its place.
    """
    machine = _Machine()
    read: _Mapped | None = None
    try:
        with open(path, "rb") as file:
            read = _Mapped(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        source: Any = read  # genops needs no more of a file than this
        for count, (operation, argument, _) in enumerate(pickletools.genops(source)):
            if count > MAX_OPERATIONS:
                raise _Refused(f"it has more than {MAX_OPERATIONS:,} operations")
            machine.step(operation.name, argument)
        return machine.result()
    except _Refused as refusal:
        raise DatasetError(f"{path} is not read: before byte {read.tell() if read else 0}, {refusal}.") from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, struct.error, Warning):
        raise DatasetError(
            f"{path} is not a whole pickle: it breaks off or errs before byte {read.tell() if read else 0}."
        ) from None


class _Mapped:
    """A file as `genops` reads it: short pieces as bytes, long ones as views of the mapping."""

    def __init__(self, mapping: mmap.mmap) -> None:
        self._mapping = mapping
        self._view = memoryview(mapping)
        self._position = 0

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> Any:
        piece = self._view[self._position : self._position + max(size, 0)]
        self._position += len(piece)
        return piece if len(piece) >= _MAPPED_FROM else bytes(piece)

    def readline(self) -> bytes:
        end = self._mapping.find(b"\n", self._position)
        return bytes(self.read((len(self._view) if end < 0 else end + 1) - self._position))


class _Machine:
    """A stack, the stacks below its marks, and a memo: what the operations of a pickle work on."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, operation: str, argument: Any) -> None:
        """Carries one operation out, or refuses it."""
        if operation in _PUSHED:
            self._stack.append(argument)
        elif operation in _CONSTANTS:
            self._stack.append(_CONSTANTS[operation]())
        elif operation in _OPERATIONS:
            _OPERATIONS[operation](self, argument)
        elif operation not in ("PROTO", "FRAME", "STOP"):
            raise _Refused(f"the operation {operation} has no place among arrays, dicts and lists")

    def result(self) -> Any:
        """What is left when the program has ended."""
        (value,) = self._stack
        if self._below or isinstance(value, (_Name, _Unfinished)):
            raise _Refused("it ends in the middle of something")
        return value

    def _marked(self) -> list[Any]:
        """Takes everything above the last mark from the stack."""
        items, self._stack = self._stack, self._below.pop()
        return items

    def mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def memoize(self, _: Any) -> None:
        self.put(len(self._memo))

    def put(self, index: int) -> None:
        value = self._stack[-1]
        self._memo[index] = value
        if isinstance(value, _Unfinished):
            value.memo.append(index)

    def get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def short_tuple(self, size: int) -> None:
        start = len(self._stack) - size
        if start < 0:
            raise IndexError
        self._stack[start:] = [tuple(self._stack[start:])]

    def make_tuple(self, _: Any) -> None:
        self._push(tuple(self._marked()))

    def make_list(self, _: Any) -> None:
        self._push(list(self._marked()))

    def make_dict(self, _: Any) -> None:
        items = self._marked()
        self._push({})
        self._fill(items)

    def append(self, _: Any) -> None:
        value = self._stack.pop()
        self._top(list).append(value)

    def appends(self, _: Any) -> None:
        items = self._marked()
        self._top(list).extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value])

    def set_items(self, _: Any) -> None:
        self._fill(self._marked())

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _fill(self, items: list[Any]) -> None:
        target = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:  # another key's hash may recurse without end, or be made to collide
                raise _Refused(f"it has a dict with a key of type {type(key).__name__}; only text can be one")
            target[key] = value

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise _Refused(f"it fills a {type(self._stack[-1]).__name__} as if it were a {kind.__name__}")
        return self._stack[-1]

    def global_name(self, argument: str) -> None:
        module, name = argument.split(" ", 1)
        self._name(module, name)

    def stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str or (module, name) not in _NAMES:
            raise _Refused(f"it asks for {str(module)[:60]!r}.{str(name)[:60]!r}, and only arrays are built")
        self._push(_Name(_NAMES[module, name]))

    def reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, _Name) or type(arguments) is not tuple:
            raise _Refused("it calls something that is no construction of an array")
        match function.kind, arguments:
            case "dtype", (str(code), *_):
                self._push(_Unfinished(lambda state: _dtype(code, state)))
            case "array", (_Name(kind="ndarray"), (0,), bytes()):
                self._push(_Unfinished(_described_array))
            case "scalar", (dtype, data):
                self._push(_array(data, dtype, (), "C").item())
            case "buffer", (data, dtype, shape, str(order)):
                self._push(_array(data, dtype, shape, order))
            case "jax", (_Name(kind="array"), (_Name(kind="ndarray"), (0,), bytes()), state, dict()):
                self._push(_described_array(state))
            case "frozen", (dict() as content,):
                self._push(content)
            case kind, _:
                raise _Refused(f"it builds a {kind} in an unknown way")

    def build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack.pop()
        if not isinstance(target, _Unfinished):
            raise _Refused(f"it sets the state of a {type(target).__name__}")
        value = target.finish(state)
        self._push(value)
        for index in target.memo:
            self._memo[index] = value


def _dtype(code: str, state: Any) -> np.dtype:
    match state:
        case (3 | 4, "<" | ">" | "|" | "=" as order, None, None, None, *_) if _DTYPE.fullmatch(code):
            return np.dtype(code).newbyteorder(order)
    raise _Refused(f"it has an array of type {code[:20]!r}; only truth values, integers and floating numbers are read")


def _described_array(state: Any) -> np.ndarray:
    match state:
        case (1, shape, dtype, bool(fortran), data):
            return _array(data, dtype, shape, "F" if fortran else "C")
    raise _Refused("it describes an array in an unknown way")


def _array(data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    """A read-only view of `data`, whose size has to be what type and shape say."""
    if not isinstance(dtype, np.dtype) or not isinstance(data, (bytes, bytearray, memoryview)) or order not in "CF":
        raise _Refused("it has an array of objects, or one of unknown type or order")
    sound = type(shape) is tuple and len(shape) <= _MAX_DIMENSIONS and all(type(n) is int and n >= 0 for n in shape)
    if not sound or prod(shape) * dtype.itemsize != len(data):
        raise _Refused(f"it has an array whose shape and type do not fit its {len(data)} bytes")
    array = np.ndarray(shape, dtype, data, order="F" if order == "F" else "C")
    array.flags.writeable = False
    return array


_PUSHED = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "TUPLE": _Machine.make_tuple,
    "TUPLE1": lambda machine, _: machine.short_tuple(1),
    "TUPLE2": lambda machine, _: machine.short_tuple(2),
    "TUPLE3": lambda machine, _: machine.short_tuple(3),
    "LIST": _Machine.make_list,
    "DICT": _Machine.make_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.global_name,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}

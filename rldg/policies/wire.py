"""Messages between policy servers and their clients: msgpack with arrays, byte for byte what openpi's client speaks.

An array is a map of the byte strings `__ndarray__`, `data`, `dtype` and `shape`; a NumPy number one of `__npgeneric__`,
`data` and `dtype`. What is decoded becomes maps, lists, text, bytes, numbers and arrays of numbers; nothing else can
come out of a message, and an array is never larger than the bytes that came with it.
"""

import math
import re
from typing import Any

import msgpack
import numpy as np

from rldg.errors import RldgError

MAX_BYTES = 1 << 24  # of one message: ten pictures of 720 x 720 pixels
MAX_DIMENSIONS = 8

_NUMBERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")  # booleans, integers, floats: no objects, no text, no records


class MessageError(RldgError):
    """A message that is not what the protocol says."""


def pack(message: Any) -> bytes:
    """The bytes of a message. Raises `MessageError` if it holds anything but plain values and arrays of numbers."""
    try:
        return msgpack.packb(message, default=_packed)  # pyright: ignore[reportReturnType]
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"This cannot be sent: {error}.") from None


def unpack(data: bytes) -> dict[str, Any]:
    """The map that a message is; its arrays are writable copies.

    Raises `MessageError` if it is no msgpack, no map with text as keys, or holds an array that is none.
    """
    try:
        message = msgpack.unpackb(data, object_hook=_unpacked, ext_hook=_refused)
    except MessageError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise MessageError(f"The message is no msgpack: {error or type(error).__name__}.") from None
    if not isinstance(message, dict):
        raise MessageError(f"A message is a map; got {type(message).__name__}.")
    if strange := [key for key in message if not isinstance(key, str)]:
        raise MessageError(f"The keys of a message are text; got {strange[0]!r:.40}.")
    return message


def _packed(value: Any) -> Any:
    if isinstance(value, np.ndarray) and _NUMBERS.fullmatch(value.dtype.str):
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, np.generic) and _NUMBERS.fullmatch(value.dtype.str):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"{type(value).__name__} is neither a plain value nor an array of numbers")


def _unpacked(value: dict[Any, Any]) -> Any:
    if b"__ndarray__" in value:
        return _array(value)
    if b"__npgeneric__" in value:
        number = value.get(b"data")
        if not isinstance(number, bool | int | float):
            raise MessageError(f"A NumPy number is a number; got {type(number).__name__}.")
        try:
            return _dtype(value).type(number)
        except OverflowError:
            raise MessageError(f"{number} is out of the range of {value[b'dtype']}.") from None
    return value


def _array(value: dict[Any, Any]) -> np.ndarray:
    dtype, shape, data = _dtype(value), value.get(b"shape"), value.get(b"data")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(map(_is_size, shape)):
        raise MessageError(f"The shape of an array is up to {MAX_DIMENSIONS} sizes of 1 and more; got {shape!r:.60}.")
    expected = math.prod(shape) * dtype.itemsize
    if not isinstance(data, bytes) or len(data) != expected:
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise MessageError(f"An array of shape {shape!r:.60} and type {dtype.str} has {expected} bytes; got {got}.")
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _is_size(size: Any) -> bool:
    return type(size) is int and 0 < size <= MAX_BYTES  # an empty array tells nothing


def _dtype(value: dict[Any, Any]) -> np.dtype:
    name = value.get(b"dtype")
    if not isinstance(name, str) or not _NUMBERS.fullmatch(name):
        raise MessageError(f"The type of an array is one of numbers, such as |u1 or <f4; got {name!r:.40}.")
    return np.dtype(name)


def _refused(code: int, _: bytes) -> Any:
    raise MessageError(f"Extension types are not understood; got number {code}.")

"""TFRecord framing: length, its checksum, content, its checksum (tensorflow/core/lib/io/record_writer.h)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from rldg.errors import DatasetError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


def _masked_crc(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(content: bytes) -> bytes:
    """`content` as one TFRecord."""
    length = struct.pack("<Q", len(content))
    return b"".join([length, _FOOTER.pack(_masked_crc(length)), content, _FOOTER.pack(_masked_crc(content))])


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (offset in bytes, content) per record. Raises `DatasetError` naming file and record if one is broken."""
    with open(path, "rb") as file:
        number = 0
        while True:
            offset = file.tell()
            content = _read_record(file, path, number)
            if content is None:
                return
            yield offset, content
            number += 1


def read_record(path: Path, offset: int, number: int) -> bytes:
    """The record at `offset` [bytes]; `number` is its place in the file, for the error message."""
    with open(path, "rb") as file:
        file.seek(offset)
        content = _read_record(file, path, number)
    if content is None:
        raise DatasetError(f"{path}: record {number} is missing.")
    return content


def _read_record(file: BinaryIO, path: Path, number: int) -> bytes | None:
    header = file.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise DatasetError(f"{path}: record {number} is cut off within its header.")
    length, crc = _HEADER.unpack(header)
    if crc != _masked_crc(header[:8]):
        raise DatasetError(f"{path}: record {number} has a corrupt length.")
    content = file.read(length)
    footer = file.read(_FOOTER.size)
    if len(content) < length or len(footer) < _FOOTER.size:
        raise DatasetError(f"{path}: record {number} is cut off after {len(content)} of {length} bytes.")
    if _FOOTER.unpack(footer)[0] != _masked_crc(content):
        raise DatasetError(f"{path}: record {number} is corrupt (checksum mismatch).")
    return content

"""TFRecord framing: length, its checksum, content, its checksum (tensorflow/core/lib/io/record_writer.h)."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

from rldg.errors import DatasetError

_HEADER = struct.Struct("<QI")
HEADER_SIZE = _HEADER.size  # bytes from where a record begins to its content
_FOOTER = struct.Struct("<I")
_SEARCH = 1 << 20  # bytes that a search for the next record takes at a time


class BrokenRecordError(DatasetError):
    """A record that cannot be read; `resumes` is where the next one begins if the framing still tells, else None."""

    def __init__(self, path: Path, number: int, fault: str, resumes: int | None = None) -> None:
        super().__init__(f"{path}: record {number} {fault}.")
        self.fault = fault
        self.resumes = resumes


@dataclass(frozen=True)
class Record:
    """A stretch of a file: an intact record, or with `fault` what stands in the place of one or of several."""

    number: int  # its place in the file
    offset: int  # bytes
    size: int  # bytes, framing included
    content: bytes = b""
    fault: str = ""  # what is wrong with it, as the end of a sentence


def _masked_crc(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(content: bytes) -> bytes:
    """`content` as one TFRecord."""
    return b"".join(framed(content))


def framed(content: bytes) -> tuple[bytes, bytes, bytes]:
    """The same as what stands before it, itself, and what stands behind it: a long content need not be copied."""
    length = struct.pack("<Q", len(content))
    return length + _FOOTER.pack(_masked_crc(length)), content, _FOOTER.pack(_masked_crc(content))


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (offset in bytes, content) per record. Raises `DatasetError` naming file and record if one is broken."""
    with _opened(path) as (file, size):
        number = offset = 0
        while offset < size:
            content = _read_record(file, size, path, offset, number)
            yield offset, content
            offset, number = file.tell(), number + 1


def read_record(path: Path, offset: int, number: int) -> bytes:
    """The record at `offset` [bytes]; `number` is its place in the file, for the error message."""
    with _opened(path) as (file, size):
        if offset >= size:
            raise DatasetError(f"{path}: record {number} is missing.")
        return _read_record(file, size, path, offset, number)


def scan_records(path: Path) -> Iterator[Record]:
    """Yields every stretch of the file: what is broken with its fault, and after it the records that are intact.

    Behind a broken record it goes on where the record's own length leads, if a record begins there, else at the next
    place whose length has the right checksum. Raises `DatasetError` if the file cannot be read at all.
    """
    with _opened(path) as (file, size):
        number = offset = 0
        while offset < size:
            try:
                record = Record(number, offset, 0, _read_record(file, size, path, offset, number))
                end = file.tell()
            except BrokenRecordError as error:
                record = Record(number, offset, 0, fault=error.fault)
                end = error.resumes
                if end is None or (end < size and not _begins_record(file, size, end)):
                    end = _next_record(file, size, offset + 1)
            yield Record(number, offset, end - offset, record.content, record.fault)
            offset, number = end, number + 1


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size. A pipe or a device, which might never end, is refused."""
    if not path.is_file():
        raise DatasetError(f"{path} is not a file of records.")
    with open(path, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _read_record(file: BinaryIO, size: int, path: Path, offset: int, number: int) -> bytes:
    """The content of the record at `offset`; afterwards the file stands at its end."""
    file.seek(offset)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise BrokenRecordError(path, number, "is cut off within its header")
    length, crc = _HEADER.unpack(header)
    if crc != _masked_crc(header[:8]):
        raise BrokenRecordError(path, number, "has a corrupt length")
    end = offset + _HEADER.size + length + _FOOTER.size
    if end > size:  # asked before reading: a length may claim more than there is memory
        there = min(length, size - offset - _HEADER.size)
        raise BrokenRecordError(path, number, f"is cut off after {there} of {length} bytes")
    content = file.read(length)
    if _FOOTER.unpack(file.read(_FOOTER.size))[0] != _masked_crc(content):
        raise BrokenRecordError(path, number, "is corrupt (checksum mismatch)", resumes=end)
    return content


def _begins_record(file: BinaryIO, size: int, offset: int) -> bool:
    file.seek(offset)
    header = file.read(_HEADER.size)
    return len(header) == _HEADER.size and _HEADER.unpack(header)[1] == _masked_crc(header[:8])


def _next_record(file: BinaryIO, size: int, start: int) -> int:
    """The first offset from `start` on at which an intact header stands and its record fits; else the file's end."""
    while start + _HEADER.size <= size:
        file.seek(start)
        stretch = file.read(_SEARCH + _HEADER.size - 1)
        for place in _header_places(np.frombuffer(stretch, np.uint8)):
            length = int.from_bytes(stretch[place : place + 8], "little")
            if start + int(place) + _HEADER.size + length + _FOOTER.size <= size:
                return start + int(place)
        start += _SEARCH
    return size


def _header_places(data: np.ndarray) -> np.ndarray:
    """Offsets in `data` (n,) uint8 at which eight bytes are followed by their masked CRC-32C.

    A CRC is linear: that of eight bytes is the XOR of what each of them contributes at its place.
    """
    count = len(data) - _HEADER.size + 1
    zero = google_crc32c.value(bytes(8))
    crc = np.full(count, zero, np.uint32)
    stored = np.zeros(count, np.uint32)
    for place in range(8):
        table = [google_crc32c.value(bytes(place) + bytes([byte]) + bytes(7 - place)) ^ zero for byte in range(256)]
        crc ^= np.array(table, np.uint32)[data[place : place + count]]
    for place in range(4):
        stored |= data[8 + place : 8 + place + count].astype(np.uint32) << np.uint32(8 * place)
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return np.flatnonzero(rotated + np.uint32(0xA282EAD8) == stored)

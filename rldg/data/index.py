"""Where everything lies in the TFRecord files of a split, so that one step's picture is read without its episode.

A record is a serialised `tf.train.Example`: messages within messages, each behind its length. The index keeps the place
of every column and of every encoded picture. It is stored beside the data as `.index-<split>.npz` (hidden, so that it
is no part of the data set) and holds as long as the files have the sizes and modification times it was made from.
"""

import io
import json
import logging
import os
import weakref
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.example import Field, decode_column
from rldg.data.tfrecord import HEADER_SIZE, read_records
from rldg.data.writer import write_durably
from rldg.errors import DatasetError

logger = logging.getLogger(__name__)

_OPEN_FILES = 256  # kept open per index; Linux allows a process 1,024 unless told otherwise
_LENGTH_DELIMITED = 2  # the wire type of messages, text and bytes


class _OpenFile:
    """A file descriptor that is closed with its last user: another thread may still read what the cache dropped."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)


@dataclass(frozen=True)
class Index:
    """R records in some files. A place is (start, size) in bytes within the record's file, (-1, 0) for what is absent.

    Pictures are numbered through all records in their order: those of record r stand at
    `pictures[name][first_picture[name][r] : first_picture[name][r + 1]]`.
    """

    files: tuple[Path, ...]
    file: np.ndarray  # (R,) number of each record's file
    offset: np.ndarray  # (R,) int64, where the record begins
    columns: dict[str, np.ndarray]  # flat name -> (R, 2) int64, places of the serialised `tf.train.Feature`s
    pictures: dict[str, np.ndarray]  # flat name of a camera -> (pictures, 2) int64, places of encoded pictures
    first_picture: dict[str, np.ndarray]  # flat name of a camera -> (R + 1,) int64
    _opened: Callable[[Path], _OpenFile] = field(
        default_factory=lambda: lru_cache(_OPEN_FILES)(_OpenFile), repr=False, compare=False
    )

    def read(self, file: int, start: int, size: int) -> bytes:
        """The bytes at a place of a file. Raises `DatasetError` if they are not there any more."""
        path = self.files[file]
        try:
            content = os.pread(self._opened(path).number, size, start)
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}.") from None
        if len(content) < size:
            raise DatasetError(f"{path} was cut off since it was indexed; run the same command again.")
        return content

    def value(self, name: str, record: int, field: Field) -> Any:
        """One column of a record, as `rldg.data.example.decode` gives it. Raises `DatasetError` if it is not there."""
        start, size = self.columns[name][record].tolist()
        if start < 0:
            raise DatasetError(f"{self.place(record)}: '{name}' is missing.")
        content = self.read(int(self.file[record]), start, size)
        try:
            return decode_column(content, name, field)
        except DatasetError as error:
            raise DatasetError(f"{self.place(record)}: {error}.") from None

    def place(self, record: int) -> str:
        """File and number of a record, for messages."""
        path = self.files[int(self.file[record])]
        return f"{path}: record {record - self.first_record[path]}"

    @cached_property
    def first_record(self) -> dict[Path, int]:
        """File -> number of its first record; the records of a file follow each other."""
        return dict(zip(self.files, np.searchsorted(self.file, np.arange(len(self.files))).tolist(), strict=True))

    @property
    def nbytes(self) -> int:
        """Size in memory, in bytes."""
        parts = [self.file, self.offset, *self.columns.values(), *self.pictures.values(), *self.first_picture.values()]
        return sum(part.nbytes for part in parts)


def open_index(
    folder: Path, split: str, paths: list[Path], columns: Collection[str], cameras: Collection[str], *, verify: bool
) -> Index:
    """The index of the files `paths`: the stored one if it is fresh and `verify` is False, else made by reading all.

    Raises `DatasetError` naming file and record if one is broken.

    Args:
        folder: of the data set, where the index is stored. A folder that cannot be written to does without.
        split: of the data set.
        paths: its files, in order.
        columns: flat names of all columns.
        cameras: those of them that hold one picture per step.
        verify: whether to read every record and compare its checksum even if a fresh index is there.
    """
    stored, stamp = folder / f".index-{split}.npz", _stamp(paths)
    if not verify:
        found = _load(stored, paths, stamp, columns, cameras)
        if found:
            return found
        logger.info("Indexing the %d files of split '%s' in %s.", len(paths), split, folder)
    index = build_index(paths, columns, cameras)
    if not verify and _stamp(paths) == stamp:
        _save(stored, index, stamp)
    return index


def build_index(paths: list[Path], columns: Collection[str], cameras: Collection[str]) -> Index:
    """Reads every record, checksums included. Raises `DatasetError` naming file and record if one is broken."""
    file, offsets = [], []
    places: dict[str, list[tuple[int, int]]] = {name: [] for name in columns}
    pictures: dict[str, list[tuple[int, int]]] = {name: [] for name in cameras}
    ends: dict[str, list[int]] = {name: [0] for name in cameras}
    for number, path in enumerate(paths):
        for record, (offset, content) in enumerate(read_records(path)):
            try:
                found = _features(content)
                shift = offset + HEADER_SIZE
                for name, kept in places.items():
                    start, end = found.get(name, (-1 - shift, -1 - shift))
                    kept.append((start + shift, end - start))
                for name, kept in pictures.items():
                    kept.extend(
                        (start + shift, end - start) for start, end in _values(content, *found.get(name, (0, 0)))
                    )
                    ends[name].append(len(kept))
            except (IndexError, ValueError) as error:
                raise DatasetError(f"{path}: record {record}: not a tf.train.Example message ({error}).") from None
            file.append(number)
            offsets.append(offset)
    return Index(
        tuple(paths),
        np.array(file, np.int32),
        np.array(offsets, np.int64),
        {name: _table(kept) for name, kept in places.items()},
        {name: _table(kept) for name, kept in pictures.items()},
        {name: np.array(kept, np.int64) for name, kept in ends.items()},
    )


def _features(content: bytes) -> dict[str, tuple[int, int]]:
    """Name -> start and end of each `tf.train.Feature` in a serialised `tf.train.Example`."""
    found = {}
    for _, *features in _fields(content, 0, len(content), number=1):
        for _, *entry in _fields(content, *features, number=1):
            parts = {number: (start, end) for number, start, end in _fields(content, *entry)}
            if len(parts) == 2:
                found[content[slice(*parts[1])].decode()] = parts[2]
    return found


def _values(content: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and end of each value of a `tf.train.Feature` that holds a `BytesList`."""
    for _, *values in _fields(content, start, end, number=1):
        for _, first, last in _fields(content, *values, number=1):
            yield first, last


def _fields(content: bytes, start: int, end: int, number: int = 0) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each length-delimited field of a message, or of those with one number.

    Numbers in a row, the only other thing in these messages, are length-delimited as well.
    """
    while start < end:
        tag, start = _varint(content, start)
        size, start = _varint(content, start)
        if tag & 7 != _LENGTH_DELIMITED or start + size > end:
            raise ValueError(f"unexpected field at byte {start}")
        if not number or tag >> 3 == number:
            yield tag >> 3, start, start + size
        start += size


def _varint(content: bytes, start: int) -> tuple[int, int]:
    """A number in protobuf's variable length, and where the next thing begins."""
    value = content[start]
    if value < 128:
        return value, start + 1
    value, shift = value & 127, 7
    while True:
        start += 1
        byte = content[start]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, start + 1
        shift += 7


def _table(places: list[tuple[int, int]]) -> np.ndarray:
    return np.array(places, np.int64).reshape(-1, 2)


def _stamp(paths: list[Path]) -> str:
    """What tells whether files have changed: names, sizes, modification times."""
    found = [(path.name, path.stat()) for path in paths]
    return json.dumps([(name, status.st_size, status.st_mtime_ns) for name, status in found])


def _save(stored: Path, index: Index, stamp: str) -> None:
    content = io.BytesIO()
    arrays: dict[str, Any] = {"records/file": index.file, "records/offset": index.offset, "stamp": np.array(stamp)}
    for part in ("columns", "pictures", "first_picture"):
        arrays |= {f"{part}/{name}": values for name, values in getattr(index, part).items()}
    np.savez(content, **arrays)
    try:
        write_durably(stored, content.getvalue())
    except OSError as error:
        logger.info("The index stays in memory only: %s.", error)


def _load(
    stored: Path, paths: list[Path], stamp: str, columns: Collection[str], cameras: Collection[str]
) -> Index | None:
    """The stored index, None if there is none, it is broken, or the files have changed since."""
    try:
        with open(stored, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if arrays["stamp"].item() != stamp:
                return None
            return Index(
                tuple(paths),
                arrays["records/file"],
                arrays["records/offset"],
                {name: arrays[f"columns/{name}"] for name in columns},
                {name: arrays[f"pictures/{name}"] for name in cameras},
                {name: arrays[f"first_picture/{name}"] for name in cameras},
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None

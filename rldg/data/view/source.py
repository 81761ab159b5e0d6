"""One split of a data set as the page needs it: what can be read, and what cannot, side by side.

`rldg.data.reader.open_dataset` refuses a data set in which a record is broken, as training has to. Here the
rest of it is still to be seen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tensorflow_datasets as tfds

from rldg.data.example import Columns, Field, decode, flat_fields
from rldg.data.reader import Entry
from rldg.data.tfrecord import read_record, read_records
from rldg.errors import DatasetError

METADATA, STEPS = "episode_metadata/", "steps/"


@dataclass(frozen=True)
class Source:
    """Episodes are numbered as `rldg data show` does; one is read from disk whenever it is asked for."""

    folder: Path
    split: str
    fields: dict[str, Field]
    entries: tuple[Entry, ...]
    broken: tuple[str, ...]  # a sentence for each file that breaks off

    def columns(self, number: int) -> Columns:
        """The columns of an episode. Raises `DatasetError` if there is none of that number, or if it is broken."""
        if not 0 <= number < len(self.entries):
            raise DatasetError(f"{self.folder} has no episode {number} in its split '{self.split}'.")
        entry = self.entries[number]
        try:
            content = read_record(entry.file, entry.offset, entry.record)
        except OSError as error:
            raise DatasetError(f"{entry.file} cannot be read ({error.strerror}).") from None
        return _decoded(entry.file, entry.record, content, self.fields)


def open_sources(folder: Path) -> list[Source]:
    """Every split of the data set in `folder`. Raises `DatasetError` if there is none."""
    if not (folder / "features.json").exists():
        raise DatasetError(f"{folder} holds no data set: it has no features.json.")
    fields = flat_fields(tfds.features.FeaturesDict.from_config(str(folder)))
    if not any(name.startswith(STEPS) for name in fields):
        raise DatasetError(f"{folder} is not RLDS: its features hold no 'steps'.")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.tfrecord-*")):
        if match := re.search(r"-(\w+)\.tfrecord-[\d-]+(of-\d+)?$", path.name):
            files.setdefault(match[1], []).append(path)
    return [_open(folder, split, fields, paths) for split, paths in sorted((files or {"train": []}).items())]


def _open(folder: Path, split: str, fields: dict[str, Field], paths: list[Path]) -> Source:
    entries: list[Entry] = []
    broken = []
    for path in paths:
        try:
            for entry in _entries(path, fields):
                entries.append(entry)
        except (DatasetError, OSError) as error:
            broken.append(str(error))
    return Source(folder, split, fields, tuple(entries), tuple(broken))


def _entries(path: Path, fields: dict[str, Field]) -> Iterator[Entry]:
    counted = next(name for name in (f"{STEPS}action", f"{STEPS}is_last", *fields) if name in fields)
    light = {name: field for name, field in fields.items() if name.startswith(METADATA) or name == counted}
    for record, (offset, content) in enumerate(read_records(path)):
        columns = _decoded(path, record, content, light)
        length = len(columns.pop(counted))
        metadata = {
            name.removeprefix(METADATA): value.decode(errors="replace") if isinstance(value, bytes) else value
            for name, value in columns.items()
        }
        yield Entry(path, offset, record, length, metadata)


def _decoded(path: Path, record: int, content: bytes, fields: dict[str, Field]) -> Columns:
    try:
        return decode(content, fields)
    except DatasetError as error:
        raise DatasetError(f"{path}: record {record}: {error}.") from None

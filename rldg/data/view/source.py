"""One split of a data set as the page needs it: what can be read, and what cannot, side by side.

`rldg.data.reader.open_dataset` refuses a data set in which a record is broken, as training has to. Here the
rest of it is still to be seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rldg.data.description import read_features
from rldg.data.example import Columns, Field, decode, flat_fields
from rldg.data.reader import Entry
from rldg.data.shards import shards
from rldg.data.tfrecord import Record, read_record, scan_records
from rldg.errors import DatasetError

METADATA, STEPS = "episode_metadata/", "steps/"


@dataclass(frozen=True)
class Source:
    """Episodes are numbered as `rldg data show` does; one is read from disk whenever it is asked for."""

    folder: Path
    split: str
    fields: dict[str, Field]
    entries: tuple[Entry, ...]
    broken: tuple[str, ...]  # a sentence for each stretch of a file that cannot be read

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
    fields = flat_fields(read_features(folder))
    if not any(name.startswith(STEPS) for name in fields):
        raise DatasetError(f"{folder} is not RLDS: its features hold no 'steps'.")
    files = shards(folder) or {"train": {}}
    return [_open(folder, split, fields, list(found.values())) for split, found in files.items()]


def _open(folder: Path, split: str, fields: dict[str, Field], paths: list[Path]) -> Source:
    found = [one for path in paths for one in _entries(path, fields)]
    entries = tuple(one for one in found if isinstance(one, Entry))
    return Source(folder, split, fields, entries, tuple(one for one in found if isinstance(one, str)))


def _entries(path: Path, fields: dict[str, Field]) -> Iterator[Entry | str]:
    """What stands in a file: an entry per episode, and a sentence in the place of what is broken."""
    counted = next(name for name in (f"{STEPS}action", f"{STEPS}is_last", *fields) if name in fields)
    light = {name: field for name, field in fields.items() if name.startswith(METADATA) or name == counted}
    try:
        for record in scan_records(path):
            yield (
                f"{path}: record {record.number} {record.fault}."
                if record.fault
                else _entry(path, record, light, counted)
            )
    except (DatasetError, OSError) as error:
        yield str(error)


def _entry(path: Path, record: Record, light: dict[str, Field], counted: str) -> Entry | str:
    try:
        columns = _decoded(path, record.number, record.content, light)
    except DatasetError as error:
        return str(error)
    length = len(columns.pop(counted))
    metadata = {
        name.removeprefix(METADATA): value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in columns.items()
    }
    return Entry(path, record.offset, record.number, length, metadata)


def _decoded(path: Path, record: int, content: bytes, fields: dict[str, Field]) -> Columns:
    try:
        return decode(content, fields)
    except DatasetError as error:
        raise DatasetError(f"{path}: record {record}: {error}.") from None

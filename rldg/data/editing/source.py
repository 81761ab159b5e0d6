"""A data set that is edited: every split of it, and the places where its episodes stand."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rldg.data.description import read_info
from rldg.data.manifest import file_sha256
from rldg.data.reader import Dataset, Entry, open_dataset
from rldg.data.shards import shards
from rldg.data.writer import dataset_name
from rldg.errors import DatasetError, UnknownNameError

TRAIN = "train"


@dataclass(frozen=True, eq=False)
class Source:
    """A data set with all of its splits, in memory without their steps."""

    folder: Path
    splits: dict[str, Dataset]

    @property
    def dataset(self) -> Dataset:
        """One of the splits: they all hold the same fields."""
        return next(iter(self.splits.values()))

    @property
    def name_and_version(self) -> tuple[str, str]:
        """What the data set is called."""
        return dataset_name(self.folder)

    @cached_property
    def features(self) -> dict[str, Any]:
        """The content of `features.json`."""
        return json.loads((self.folder / "features.json").read_text(encoding="utf-8"))

    @cached_property
    def sha256(self) -> str:
        """One checksum for features and records: that of the manifest's lines about them.

        `grep -E 'tfrecord|features.json' SHA256SUMS | sha256sum` gives the same. Cards, statistics and whatever else
        was added to the folder do not count.
        """
        records = {entry.file for split in self.splits.values() for entry in split.entries}
        lines = (f"{file_sha256(path)}  {path.name}\n" for path in sorted({self.folder / "features.json", *records}))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def split(self, name: str = "") -> str:
        """`name` if there is such a split; by default "train", or the only one. Raises `UnknownNameError`."""
        if not name and len(self.splits) == 1:
            return next(iter(self.splits))
        if (name or TRAIN) not in self.splits:
            raise UnknownNameError(f"split of {self.folder}:", name or TRAIN, self.splits)
        return name or TRAIN

    def places(self, split: str) -> "list[Place]":
        """Where the episodes of one split stand, in their order."""
        return [Place(self, split, number) for number in range(len(self.splits[split]))]

    def __iter__(self) -> "Iterator[Place]":
        return (place for split in self.splits for place in self.places(split))

    def __len__(self) -> int:
        """Number of episodes in all splits."""
        return sum(map(len, self.splits.values()))


@dataclass(frozen=True)
class Place:
    """Where one episode stands."""

    source: Source
    split: str
    episode: int  # its number in the split, from 0

    @property
    def entry(self) -> Entry:
        """What is known of the episode without its steps."""
        return self.source.splits[self.split].entries[self.episode]

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from the other episodes of its source."""
        return self.split, self.episode

    def record(self) -> bytes:
        """The serialised `tf.train.Example`, read from disk now."""
        return self.source.splits[self.split].record(self.episode)


# Split of the new data set -> the episodes that it will hold, in their order.
Plan = dict[str, list[Place]]


def open_source(folder: Path | str) -> Source:
    """Opens every split that holds episodes. Raises `DatasetError` if there is none, or one is broken."""
    folder = Path(folder)
    opened = {name: open_dataset(folder, name) for name in _split_names(folder)}
    splits = {name: dataset for name, dataset in opened.items() if len(dataset)}
    if not splits:
        open_dataset(folder)  # says so if there is no data set at all
        raise DatasetError(f"{folder} holds no episode.")
    return Source(folder, splits)


def _split_names(folder: Path) -> list[str]:
    """Those that files or `dataset_info.json` name: neither may hide what the other knows of."""
    files = shards(folder) if folder.is_dir() else {}
    return sorted(files.keys() | {split.name for split in read_info(folder).splits})

"""Views of a data set: all its splits as one, and some of its columns only. Nothing is copied."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rldg.data.description import read_info
from rldg.data.reader import Dataset, open_dataset
from rldg.errors import DatasetError


def open_splits(folder: Path) -> dict[str, Dataset]:
    """Split -> its episodes, in the order of `dataset_info.json`; "train" alone where that file is missing.

    Raises `DatasetError` as `open_dataset` does.
    """
    names = [split.name for split in read_info(folder).splits] or ["train"]
    return {name: open_dataset(folder, name) for name in names}


def joined(splits: Mapping[str, Dataset]) -> Dataset:
    """The episodes of several splits of one data set, one split after the other."""
    parts = list(splits.values())
    return replace(parts[0], entries=tuple(entry for part in parts for entry in part.entries))


def with_columns(dataset: Dataset, *names: str) -> Dataset:
    """The same episodes with these step columns only (e.g. "action"), which reads much faster than with pictures.

    Raises `DatasetError` naming the columns that there are.
    """
    for name in names:
        if f"steps/{name}" not in dataset.fields:
            raise missing_column(name, (n.removeprefix("steps/") for n in dataset.fields if n.startswith("steps/")))
    return replace(dataset, fields={f"steps/{name}": dataset.fields[f"steps/{name}"] for name in names})


def column_values(dataset: Dataset, name: str) -> Iterator[Any]:
    """One step column, episode by episode, as `rldg.data.example.decode` gives it; nothing else is read.

    Raises `DatasetError` naming the columns that there are.
    """
    index, ((flat, field),) = dataset.record_index, with_columns(dataset, name).fields.items()
    return (index.value(flat, index.first_record[entry.file] + entry.record, field) for entry in dataset.entries)


def missing_column(name: str, columns: Iterable[str]) -> DatasetError:
    """The error that says that there is no column `name` among `columns`."""
    return DatasetError(f"There is no column '{name}'; it has {', '.join(sorted(columns))}.")

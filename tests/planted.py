"""Copies of a data set with something changed in them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rldg.data.description import read_features
from rldg.data.example import decode, encode, flat_fields
from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter

Columns = dict[str, Any]


def copied(source: Path, target: Path) -> Path:
    """The data set's files, without the record of its collection."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("stage.json", ".lock"))
    return target


def rewritten(source: Path, target: Path, edit: Callable[[int, Columns], Any]) -> Path:
    """The data set with every record decoded, given to `edit(index, columns)` to change in place, and encoded again.

    What `edit` returns, if anything, is written instead: columns, or several episodes' columns.
    """
    features = read_features(source)
    fields = flat_fields(features)
    dataset = open_dataset(source)
    writer = DatasetWriter(target, name=source.name)
    written = 0
    for index in range(len(dataset)):
        columns = decode(dataset.record(index), fields)
        result = edit(index, columns) or columns
        for episode in result if isinstance(result, list) else [result]:
            writer.write_record(written, encode(episode), features.to_json())
            written += 1
    return target

"""The data sets that are published together: their record files, and whether they hold the same features."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow_datasets as tfds

from rldg.data.example import flat_fields
from rldg.data.publishing.files import as_path, read_json
from rldg.errors import DatasetError

_RECORDS = re.compile(r".+-(?P<split>[^-]+)\.tfrecord-\d+(-of-\d+)?")


@dataclass(frozen=True)
class SourceFile:
    """One file of records."""

    path: str
    split: str
    records: int  # how many `dataset_info.json` lists; 0 where it lists none
    size: int  # bytes


@dataclass(frozen=True)
class Source:
    """One data set, as `rldg collect` wrote it, or any other that `rldg.data.reader.open_dataset` reads."""

    path: str  # as it was given
    name: str
    version: str
    features: dict[str, Any]  # content of features.json
    files: tuple[SourceFile, ...]

    @property
    def listing(self) -> list[tuple[str, int]]:
        """Name and size [bytes] of each record file: by them a changed source is known from afar."""
        return [(as_path(file.path).name, file.size) for file in self.files]


def find_sources(folders: Sequence[str]) -> list[Source]:
    """The data sets in these folders.

    Raises `DatasetError` if there is none, one is given twice, has files missing, or holds other features than the
    first one: their records could not stand in one data set as they are.
    """
    if not folders:
        raise DatasetError("No source is given; name at least one folder that holds a features.json.")
    resolved = [str(as_path(folder).resolve()) for folder in folders]
    for number, folder in enumerate(resolved):
        if folder in resolved[:number]:
            raise DatasetError(f"{folders[number]} is given twice.")
    sources = [_find(folder) for folder in folders]
    for source in sources[1:]:
        if source.features != sources[0].features:
            raise DatasetError(
                f"{source.path} holds other features than {sources[0].path}: "
                f"{_difference(sources[0].features, source.features)}; publish it as a data set of its own."
            )
    return sources


def read_features(content: dict[str, Any]) -> Any:
    """The `tfds.features.FeaturesDict` that a `features.json` describes."""
    return tfds.features.FeaturesDict.from_json(content)


def _find(given: str) -> Source:
    folder = as_path(given)
    if not (folder / "features.json").exists():
        raise DatasetError(f"{given} holds no data set: it has no features.json.")
    info = read_json(folder / "dataset_info.json") if (folder / "dataset_info.json").exists() else {}
    listed = {split["name"]: list(map(int, split.get("shardLengths", []))) for split in info.get("splits", [])}
    paths: dict[str, list[Any]] = {split: [] for split in listed}
    for path in sorted(folder.iterdir()):
        if match := _RECORDS.fullmatch(path.name):
            paths.setdefault(match["split"], []).append(path)
    files = []
    for split, found in sorted(paths.items()):
        lengths = listed.get(split, [])
        if len(found) < len(lengths):
            raise DatasetError(
                f"{given} has {len(found)} of the {len(lengths)} files of '{split}' that its dataset_info.json lists."
            )
        lengths = [*lengths, *[0] * (len(found) - len(lengths))]
        files += [
            SourceFile(str(path), split, records, path.stat().length)
            for path, records in zip(found, lengths, strict=True)
        ]
    return Source(
        given,
        info.get("name", folder.name),
        info.get("version", ""),
        read_json(folder / "features.json"),
        tuple(files),
    )


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The names of the fields in which two descriptions differ."""
    fields, others = flat_fields(read_features(one)), flat_fields(read_features(other))
    names = sorted(name for name in fields.keys() | others.keys() if fields.get(name) != others.get(name))
    return ", ".join(names) if names else "their fields agree in name, type and shape, but not in their description"

"""The data sets that are published together: their record files, and whether they hold the same features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rldg.data.description import FEATURES, INFO, read_features, read_info
from rldg.data.example import flat_fields
from rldg.data.publishing.files import as_path, read_json
from rldg.data.shards import shards
from rldg.errors import DatasetError


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
                f"{_difference(sources[0], source)}; publish it as a data set of its own."
            )
    return sources


def _find(given: str) -> Source:
    folder = as_path(given)
    if not (folder / FEATURES).exists():
        raise DatasetError(f"{given} holds no data set: it has no {FEATURES}.")
    read_features(folder)  # refuses what is not to be trusted
    info = read_info(folder)
    found = shards(folder)
    files: list[SourceFile] = []
    for split in sorted({*found, *(listed.name for listed in info.splits)}):
        paths: list[Any] = list(found.get(split, {}).values())
        lengths = info.split(split).lengths
        if len(paths) < len(lengths):
            raise DatasetError(
                f"{given} has {len(paths)} of the {len(lengths)} files of '{split}' that its {INFO} lists."
            )
        lengths = [*lengths, *[0] * (len(paths) - len(lengths))]
        files += [
            SourceFile(str(path), split, records, path.stat().length)
            for path, records in zip(paths, lengths, strict=True)
        ]
    return Source(given, info.name or folder.name, info.version, read_json(folder / FEATURES), tuple(files))


def _difference(one: Source, other: Source) -> str:
    """The names of the fields in which two sources differ."""
    fields, others = (flat_fields(read_features(as_path(source.path))) for source in (one, other))
    names = sorted(name for name in fields.keys() | others.keys() if fields.get(name) != others.get(name))
    return ", ".join(names) if names else "their fields agree in name, type and shape, but not in their description"

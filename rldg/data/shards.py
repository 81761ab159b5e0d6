"""The record files of a data set's folder, by split."""

import re
from pathlib import Path

_NAME = re.compile(r"(?P<dataset>.+)-(?P<split>[^-]+)\.tfrecord-(?P<index>\d{1,9})(-of-(?P<count>\d{1,9}))?")


def shards(folder: Path) -> dict[str, dict[int, Path]]:
    """Split -> number in the file's name -> file, both in order; temporary files are none."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match["split"], {})[int(match["index"])] = path
    return {split: dict(sorted(files.items())) for split, files in sorted(found.items())}


def shard_dataset(path: Path) -> str:
    """The data set's name as the file's name gives it; empty if it is no record file."""
    match = _NAME.fullmatch(path.name)
    return match["dataset"] if match else ""


def shard_count(path: Path) -> int | None:
    """How many files the split has, where the file's name ends in `-of-COUNT`."""
    match = _NAME.fullmatch(path.name)
    return int(match["count"]) if match and match["count"] else None

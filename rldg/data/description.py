"""`features.json` and `dataset_info.json`, which say what a data set holds: read with distrust.

A data set comes from anywhere. TFDS imports whatever module a `features.json` names, which would run it, opens the
files that it names, and turns to TensorFlow for data types that NumPy does not know; so names are compared with a list
before TFDS sees them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from rldg.errors import DatasetError

FEATURES = "features.json"
INFO = "dataset_info.json"

_features: Any = tfds.features
_CLASSES = {
    f"{kind.__module__}.{kind.__name__}"
    for kind in (
        _features.BBoxFeature,
        _features.ClassLabel,
        _features.Dataset,
        _features.FeaturesDict,
        _features.Image,
        _features.Scalar,
        _features.Sequence,
        _features.Tensor,
        _features.Text,
        _features.Video,
    )
}
_DTYPES = {
    "bool", "string", "object",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
}  # fmt: skip
# Where the file may hold a name that TFDS acts upon -> what may stand there.
_ALLOWED: dict[str, set[str]] = {
    "type": _CLASSES,
    "pythonClassName": _CLASSES,
    "python_class_name": _CLASSES,
    "dtype": _DTYPES,
    "names_file": set(),
}


@dataclass(frozen=True)
class Split:
    """What `dataset_info.json` says of one split."""

    name: str
    lengths: tuple[int, ...]  # records per file
    size: int  # bytes of all files


@dataclass(frozen=True)
class Info:
    """What `dataset_info.json` says; empty where it is silent."""

    name: str = ""
    version: str = ""
    splits: tuple[Split, ...] = ()

    def split(self, name: str) -> Split:
        """The split of this name; one without files if it is not listed."""
        return next((split for split in self.splits if split.name == name), Split(name, (), 0))


def read_features(folder: Path) -> Any:
    """The `tfds.features.FeaturesDict` of the data set in `folder`.

    Raises `DatasetError` if `features.json` is absent or is not the description of a data set.
    """
    path = folder / FEATURES
    content = _read_json(path)
    _refuse_foreign_names(content, path)
    try:
        features = _features.FeatureConnector.from_json(content)
    except Exception as error:  # whatever TFDS meets in a file that is not one of its own
        raise DatasetError(f"{path} does not describe a data set ({_short(error)}).") from None
    if not isinstance(features, _features.FeaturesDict):
        raise DatasetError(f"{path} describes a {type(features).__name__}, not a FeaturesDict.")
    return features


def read_info(folder: Path) -> Info:
    """What `dataset_info.json` says; an empty `Info` without that file. Raises `DatasetError` if it is broken."""
    path = folder / INFO
    if not path.exists():
        return Info()
    content = _read_json(path)
    try:
        splits = tuple(
            Split(str(split["name"]), tuple(map(int, split.get("shardLengths", []))), int(split.get("numBytes", 0)))
            for split in content.get("splits", [])
        )
        if any(length < 0 for split in splits for length in split.lengths):
            raise ValueError("a negative number of records")
        return Info(str(content.get("name", "")), str(content.get("version", "")), splits)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(f"{path} does not list the splits of a data set ({_short(error)}).") from None


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise DatasetError(f"{path} is missing, or not a file.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise DatasetError(f"{path} cannot be read as JSON ({_short(error)}).") from None


def _refuse_foreign_names(content: Any, path: Path) -> None:
    """Raises `DatasetError` for a class that TFDS would import, a type only TensorFlow knows, a file it would open."""
    waiting = [content]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            for key, value in node.items():
                if key in _ALLOWED and isinstance(value, str) and value not in _ALLOWED[key]:
                    raise DatasetError(f"{path} names the {key} '{value[:80]}', which is none that is read here.")
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _short(error: Exception) -> str:
    """An exception in one line, without a final full stop."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(".:")

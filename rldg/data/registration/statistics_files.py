"""`dataset_statistics_<hash>.json`: what Octo and OpenVLA compute before they train, under the names they look for.

Both hash the description of the data set as TFDS prints it, then which state is normalised, then the transform. The
description holds the path under which the loader sees the data set: elsewhere it has another name.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from rldg.data.manifest import MANIFEST, write_manifest
from rldg.data.reader import Dataset
from rldg.data.registration.choices import NOTHING_CHOSEN, Choices
from rldg.data.registration.entry import ACTION_SIZE, Registration, register
from rldg.data.statistics import Statistics, compute_statistics
from rldg.data.templating import render
from rldg.data.views import joined, open_splits
from rldg.data.writer import write_durably

_ORDER = ("mean", "std", "max", "min")


@dataclass(frozen=True)
class StatisticsFile:
    """A file as a loader would have written it into the data set's folder."""

    name: str
    content: dict[str, Any]


def transform_source(entry: Registration) -> str:
    """The standardisation transform in Python, as `inspect.getsource` gives it once it is pasted."""
    return render("transform.py", entry=entry)


def module_spec(entry: Registration) -> str:
    """Where Octo finds the transform once it is pasted."""
    return f"octo.data.oxe.oxe_standardization_transforms:{entry.function}"


def octo_statistics(description: str, entry: Registration, statistics: Statistics) -> StatisticsFile:
    """Octo's file: quantiles are called `p01` and `p99`; `proprio` is there if a state is registered."""
    names = {**{name: name for name in _ORDER}, "p99": "q99", "p01": "q01"}
    content = _common(entry, statistics, names)
    if entry.state:
        content["proprio"] = {new: statistics["proprio"][old] for new, old in names.items()}
    return StatisticsFile(_name(description, str(entry.state), f"{module_spec(entry)}()"), content)


def openvla_statistics(description: str, entry: Registration, statistics: Statistics) -> StatisticsFile:
    """OpenVLA's file. It loads no state, so that of `proprio` is all zeros, as many as an action has."""
    names = {name: name for name in (*_ORDER, "q01", "q99")}
    content = _common(entry, statistics, names)
    counts = {name: content.pop(name) for name in ("num_transitions", "num_trajectories")}
    content["proprio"] = {name: [0.0] * ACTION_SIZE for name in names}
    return StatisticsFile(_name(description, "()", transform_source(entry)), content | counts)


def tfds_description(folder: Path, seen_as: str, path_key: str) -> str:
    """`str(builder.info)` as the TFDS version prints it that the loader pins.

    Args:
        folder: of the data set.
        seen_as: its path as the loader puts it together.
        path_key: how that TFDS calls the path: "data_path" in 4.9.2 (Octo), "data_dir" from 4.9.3 on (OpenVLA).
    """
    info = tfds.builder_from_directory(str(folder)).info
    text = str(info).replace(f"\n    data_dir={str(info.data_dir)!r},\n", f"\n    {path_key}={seen_as!r},\n", 1)
    # Later versions print this as well.
    return text.replace(f"\n    nondeterministic_order={info.nondeterministic_order},\n", "\n", 1)


# Loader -> how it names the path, and its file.
LOADERS: dict[str, tuple[str, Callable[[str, Registration, Statistics], StatisticsFile]]] = {
    "octo": ("data_path", octo_statistics),
    "openvla": ("data_dir", openvla_statistics),
}


def statistics_file(loader: str, folder: Path, entry: Registration, statistics: Statistics) -> StatisticsFile:
    """The file that "octo" or "openvla" looks for in `folder`; `statistics` are those of all splits together."""
    path_key, build = LOADERS[loader]
    return build(tfds_description(folder, entry.folder, path_key), entry, statistics)


def loader_input_statistics(whole: Dataset, entry: Registration) -> Statistics:
    """Statistics of what the loaders read. `whole` holds all splits, failures too, as both take them."""
    return compute_statistics(whole, entry.action, f"observation/{entry.state}")


def write_statistics(folder: Path, loaders: Iterable[str], choices: Choices = NOTHING_CHOSEN) -> dict[str, Path]:
    """Writes the files of `loaders` into the data set's folder, and lists them in its manifest if it has one.

    Returns loader -> path. Raises `DatasetError` for a data set that no loader takes.
    """
    whole = joined(open_splits(folder))
    entry = register(whole, choices)
    statistics = loader_input_statistics(whole, entry)
    written = {}
    for loader in loaders:
        file = statistics_file(loader, folder, entry, statistics)
        written[loader] = folder / file.name
        write_durably(written[loader], json.dumps(file.content).encode())
    if (folder / MANIFEST).exists():
        write_manifest(folder)
    return written


def _common(entry: Registration, statistics: Statistics, names: dict[str, str]) -> dict[str, Any]:
    action = {new: statistics["action"][old] + [0.0] * entry.padding for new, old in names.items()}
    return {"action": action, **{name: statistics[name] for name in ("num_transitions", "num_trajectories")}}


def _name(*hashed: str) -> str:
    return f"dataset_statistics_{hashlib.sha256(''.join(hashed).encode()).hexdigest()}.json"

"""What of a data set is exported: its splits, the episodes and columns that were asked for, record by record."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rldg.data.example import Columns, decode
from rldg.data.exchange.fields import features_of, fields_of
from rldg.data.exchange.images import encoding_of
from rldg.data.reader import Dataset, open_dataset
from rldg.errors import DatasetError, UnknownNameError

STEPS = "steps/"


def open_splits(folder: Path, *, drop: Sequence[str] = (), successes: bool = False) -> dict[str, Dataset]:
    """Split -> its episodes, for every split that `dataset_info.json` lists.

    Args:
        folder: of the data set.
        drop: step columns to leave out, such as "observation/tcp_in_target".
        successes: whether failed episodes are left out.

    Raises:
        DatasetError: there is no data set, it is broken, or no episode is left.
        UnknownNameError: a column to drop does not exist.
    """
    info = folder / "dataset_info.json"
    listed = json.loads(info.read_text(encoding="utf-8")).get("splits", []) if info.exists() else []
    splits = {name: open_dataset(folder, name) for name in [split["name"] for split in listed] or ["train"]}
    fields = next(iter(splits.values())).fields
    for column in drop:
        if STEPS + column not in fields:
            names = (name.removeprefix(STEPS) for name in fields if name.startswith(STEPS))
            raise UnknownNameError("column", column, names)
    kept = {name: field for name, field in fields.items() if name.removeprefix(STEPS) not in drop}
    splits = {
        name: replace(dataset.successes() if successes else dataset, fields=kept) for name, dataset in splits.items()
    }
    if not any(len(dataset) for dataset in splits.values()):
        raise DatasetError(f"{folder} has no {'successful ' if successes else ''}episode to export.")
    return splits


def records(dataset: Dataset) -> Iterator[Columns]:
    """The columns of each episode under their flat names, pictures and text as bytes; one episode is held at a time."""
    for index, entry in enumerate(dataset.entries):
        try:
            yield decode(dataset.record(index), dataset.fields)
        except DatasetError as error:
            raise DatasetError(f"{entry.file}: record {entry.record}: {error}.") from None


def control_rate(dataset: Dataset) -> float | None:
    """Control steps per second as the episodes' metadata tell it, or None."""
    metadata: dict[str, Any] = dataset.entries[0].metadata if dataset.entries else {}
    if "rate" in metadata:
        return float(metadata["rate"])
    try:
        return float(json.loads(metadata["action_contract"])["rate"])
    except (KeyError, ValueError, TypeError):
        return None


def encodings(dataset: Dataset) -> dict[str, str]:
    """Flat name of each picture -> "jpeg" or "png", as the first record holds it."""
    first = next(records(dataset), {})
    pictures = {name: first[name] for name, field in dataset.fields.items() if field.kind == "image" and name in first}
    return {name: encoding_of(value[0] if isinstance(value, list) else value) for name, value in pictures.items()}


def described(dataset: Dataset) -> dict[str, Any]:
    """The content of a `features.json` for what is left of the data set: its own if that is everything."""
    content = json.loads((dataset.folder / "features.json").read_text(encoding="utf-8"))
    return content if fields_of(content) == dataset.fields else features_of(dataset.fields, encodings(dataset))

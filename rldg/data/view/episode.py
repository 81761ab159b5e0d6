"""What the page is told of one episode, by the server and in an exported folder alike: numbers, then pictures."""

import json
from typing import Any

import numpy as np

from rldg.data.view.plots import episode_plots
from rldg.data.view.source import STEPS, Source


def episode_json(source: Source, number: int) -> dict[str, Any]:
    """Everything but the pictures of an episode, ready for strict JSON.

    `steps` T; `rate` [steps per second] or None where the data set does not say; `cameras` with the size in bytes of
    each picture in `episode_frames`; `plots`, see `episode_plots`; `texts` name -> one text per step; `flags` name ->
    the steps at which it is true. Raises `DatasetError` if the record is broken.
    """
    columns = _steps(source, number)
    entry = source.entries[number]
    contract = _parsed(entry.metadata.get("action_contract"))
    rate = contract.get("rate")
    return {
        "steps": entry.length,
        "rate": rate if isinstance(rate, int | float) and rate > 0 else None,
        "cameras": [
            {"name": name.split("/")[-1].removeprefix("image_"), "sizes": [len(picture) for picture in columns[name]]}
            for name in _named(source, "image")
        ],
        "plots": episode_plots(columns, known_units=bool(contract)),
        "texts": {name: [text.decode(errors="replace") for text in columns[name]] for name in _named(source, "text")},
        "flags": {
            name: np.flatnonzero(columns[name]).tolist()
            for name in _named(source, "number")
            if columns[name].dtype == np.bool_ and columns[name].ndim == 1
        },
    }


def episode_frames(source: Source, number: int) -> bytes:
    """The pictures of an episode as they stand in its record, one after the other: all of the first camera, then all
    of the second. `cameras` of `episode_json` says where each ends. Raises `DatasetError` if the record is broken.
    """
    columns = _steps(source, number)
    return b"".join(picture for name in _named(source, "image") for picture in columns[name])


def _steps(source: Source, number: int) -> dict[str, Any]:
    """The columns of the steps, without the prefix that they have in the record."""
    columns = source.columns(number).items()
    return {name.removeprefix(STEPS): column for name, column in columns if name.startswith(STEPS)}


def _named(source: Source, kind: str) -> list[str]:
    """The step columns of a kind."""
    names = (name for name, field in source.fields.items() if name.startswith(STEPS) and field.kind == kind)
    return sorted(name.removeprefix(STEPS) for name in names)


def _parsed(contract: Any) -> dict[str, Any]:
    try:
        content = json.loads(contract or "{}")
    except (TypeError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

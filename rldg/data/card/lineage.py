"""The edits that a data set came from (`lineage.json`), as lines to read."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from rldg.errors import DatasetError


def lineage_lines(folder: Path) -> list[tuple[int, str]]:
    """(depth, text) of each edit and each data set that it began with, the last edit first; empty without edits.

    Folders are shown by their last part: where they lay is nobody's business. Raises `DatasetError` if the file holds
    something else.
    """
    path = folder / "lineage.json"
    if not path.exists():
        return []
    try:
        return list(_lines(json.loads(path.read_text(encoding="utf-8")), 0))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DatasetError(f"{path} does not say which edits made this data set ({error!r}).") from None


def _lines(edit: dict[str, Any], depth: int) -> Iterator[tuple[int, str]]:
    settings = ", ".join(f"{name} {_shown(value)}" for name, value in edit["parameters"].items() if _is_said(value))
    yield depth, edit["operation"] + (f": {settings}" if settings else "")
    for parent in edit["parents"]:
        episodes = sum(parent.get("episodes", {}).values())
        size = f", {episodes} episodes" if episodes else ""
        yield depth + 1, f"{parent['name']} {parent.get('version', '')}".rstrip() + size
        if parent.get("lineage"):
            yield from _lines(parent["lineage"], depth + 2)


def _is_said(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], {})


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return PurePath(value).name if isinstance(value, str) and value.startswith("/") else str(value)

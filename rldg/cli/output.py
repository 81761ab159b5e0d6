"""What every verb prints: text for people, or with `--json` one line of JSON, last on standard output."""

import json
from collections.abc import Mapping
from typing import Any


def emit(result: Mapping[str, Any], as_json: bool, text: str) -> None:
    """Prints `result` as one line of strict JSON when that was asked for, else `text`. NumPy and paths are fine."""
    print(json.dumps(result, default=_plain, allow_nan=False) if as_json else text)


def _plain(value: Any) -> Any:
    """NumPy arrays and scalars as lists and numbers, everything else (paths, dates) as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """Columns aligned to the left, as wide as their longest cell."""
    cells = [header, *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )

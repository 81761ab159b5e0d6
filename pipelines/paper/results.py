"""The results: one JSON file per module, with where every number comes from. Everything that is shown is made of these.

`docs/paper/NAME.json` holds

| key | what |
|---|---|
| `module`, `title`, `about` | the module's name, its title, its docstring |
| `outcomes` | per claim: what it says, what the paper reports, the rule, the quantity here, the verdict |
| `tables`, `figures`, `notes` | see `pipelines.paper.findings` |
| `preliminary` | whether it comes from fewer than three seeds or from a quick run, so that no verdict counts |
| `provenance` | the plan, and per cell its verb, arguments, needs, seconds, versions and machine |

A number that could not be measured is null.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from pipelines.paper.cell import Cell
from pipelines.paper.findings import Findings, Outcome
from pipelines.paper.plan import Plan
from rldg.errors import DatasetError
from rldg.stage import code_version, write_json

SEEDS = 3  # from which on a verdict counts


def write_results(folder: Path, module: ModuleType, plan: Plan, cells: Sequence[Cell], found: Findings) -> Path:
    """Writes what `module` found as `folder/NAME.json` and returns its path."""
    content = {
        "module": short_name(module),
        "title": module.TITLE,
        "about": (module.__doc__ or "").strip(),
        "preliminary": plan.quick or len(plan.seeds) < SEEDS,
        "outcomes": [_outcome(outcome) for outcome in found.outcomes],
        "tables": [asdict(table) for table in found.tables],
        "figures": [asdict(figure) for figure in found.figures],
        "notes": list(found.notes),
        "provenance": _provenance(plan, cells),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{short_name(module)}.json"
    write_json(path, _strict(content))
    return path


def read_results(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The results in `folder` by module, in the order of `names`; modules that have not been run are absent."""
    found = {}
    for name in names:
        path = folder / f"{name}.json"
        if path.exists():
            try:
                found[name] = json.loads(path.read_text(encoding="utf-8"))
            except json.JSONDecodeError as error:
                raise DatasetError(
                    f"{path} is not valid JSON ({error}); run python -m pipelines.paper again."
                ) from None
    return found


def short_name(module: ModuleType) -> str:
    """A module's name without its packages."""
    return module.__name__.rpartition(".")[2]


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        **asdict(outcome.claim),
        "rule": str(outcome.claim.rule),
        "here": asdict(outcome.here),
        "rising": list(outcome.rising),
        "note": outcome.note,
        "verdict": str(outcome.verdict),
    }


def _provenance(plan: Plan, cells: Sequence[Cell]) -> dict[str, Any]:
    records = {str(cell): cell.read_record() for cell in with_needs(cells)}
    return {
        "plan": asdict(plan),
        "code_version": code_version(),
        "machines": sorted({json.dumps(record["machine"], sort_keys=True) for record in records.values()}),
        "core_seconds": round(sum(record["seconds"] for record in records.values()), 1),
        "cells": records,
    }


def with_needs(cells: Iterable[Cell]) -> list[Cell]:
    """The cells and all that they need, each once, needs first."""
    found: dict[Path, Cell] = {}

    def add(cell: Cell) -> None:
        if cell.folder not in found:
            for need in cell.needs:
                add(need)
            found[cell.folder] = cell

    for cell in cells:
        add(cell)
    return list(found.values())


def _strict(value: Any) -> Any:
    """Values that strict JSON knows: numbers that are not finite become null, paths text."""
    if isinstance(value, dict):
        return {str(key): _strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [_strict(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)

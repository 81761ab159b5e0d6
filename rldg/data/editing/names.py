"""The names that conditions, strata and groups are written in: an episode's metadata, and a few that follow from it."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rldg.data.editing.expression import Condition
from rldg.data.editing.source import Place, Source
from rldg.data.reader import Dataset
from rldg.errors import DatasetError, UnknownNameError

# What is known without reading the record.
_LISTED = {
    "episode": lambda place: place.episode,
    "split": lambda place: place.split,
    "steps": lambda place: place.entry.length,
}
# What is told from a step column: the first of these columns that there is. Instructions stand under the first name in
# our sets and most others, under the second in those that follow RT-1 and Bridge.
_RECORDED = {
    "instruction": (
        ("language_instruction", "observation/natural_language_instruction"),
        lambda column: column[0],
    ),
    "intervention_share": (("is_intervention",), lambda column: float(np.mean(column))),
}


def valid_names(dataset: Dataset) -> list[str]:
    """Every name that an episode of `dataset` has a value for.

    The scalars of its `episode_metadata`, and `episode` (its number), `split`, `steps` (how many), `instruction` (of
    its first step) and `intervention_share` (of its steps, 0 .. 1). The last two are read from the record.
    """
    scalars = {
        name
        for entry in dataset.entries[:1]
        for name, value in entry.metadata.items()
        if name.isidentifier() and isinstance(value, str | int | float)
    }
    return sorted({*scalars, *_LISTED, *(name for name in _RECORDED if step_column(dataset, name))})


def checked_names(source: Source, names: Iterable[str]) -> tuple[str, ...]:
    """`names` as they are. Raises `UnknownNameError` if the episodes of `source` have no such value."""
    valid = valid_names(source.dataset)
    for name in names:
        if name not in valid:
            raise UnknownNameError(f"name in {source.folder}:", name, valid)
    return tuple(names)


def values(place: Place, names: Iterable[str]) -> dict[str, Any]:
    """The values of these names, which are valid, for the episode at `place`."""
    known = place.entry.metadata | {name: value(place) for name, value in _LISTED.items()}
    return {name: known[name] if name in known else _recorded(place, name) for name in names}


def value_of(place: Place, names: Iterable[str]) -> tuple[Hashable, ...]:
    """The same as a tuple, by which episodes can be grouped."""
    return tuple(values(place, names).values())


def grouped(places: Iterable[Place], names: Sequence[str]) -> dict[tuple[Hashable, ...], list[Place]]:
    """Values of `names` -> the places that have them, in their order; one group of all without names."""
    groups: defaultdict[tuple[Hashable, ...], list[Place]] = defaultdict(list)
    for place in places:
        groups[value_of(place, names)].append(place)
    return groups


def select(source: Source, where: str) -> list[Place]:
    """The places of `source` whose episodes satisfy the condition `where`.

    Raises:
        UsageError: the condition cannot be evaluated, or uses an unknown name.
        DatasetError: no episode satisfies it; says which values there are.
    """
    condition = Condition(where, valid_names(source.dataset))
    chosen: list[Place] = []
    seen: dict[str, dict[Any, None]] = {name: {} for name in sorted(condition.names)}
    for place in source:
        given = values(place, condition.names)
        for name, value in given.items():
            seen[name][value] = None
        if condition(given):
            chosen.append(place)
    if not chosen:
        there = "; ".join(f"{name} is {_one_of(list(found))}" for name, found in seen.items())
        raise DatasetError(f"No episode of {source.folder} satisfies {where!r} ({there or 'it names no value'}).")
    return chosen


def step_column(dataset: Dataset, name: str) -> str:
    """The step column in which `dataset` holds the `instruction` or the `intervention_share`; "" if it has none."""
    candidates, _ = _RECORDED[name]
    return next((column for column in candidates if f"steps/{column}" in dataset.fields), "")


def _recorded(place: Place, name: str) -> Any:
    dataset = place.source.splits[place.split]
    column = step_column(dataset, name)
    only = replace(dataset, fields={f"steps/{column}": dataset.fields[f"steps/{column}"]})
    _, value = _RECORDED[name]
    return value(only[place.episode].steps[column])


def _one_of(found: list[Any], most: int = 5) -> str:
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return " or ".join([*map(repr, found[:most]), *more])

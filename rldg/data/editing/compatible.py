"""Whether data sets may become one: the same features, the same meaning of actions, no episode twice."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow_datasets as tfds

from rldg.data.description import read_features
from rldg.data.editing.source import Source
from rldg.errors import DatasetError

_MOST = 5  # differences that a message lists


def check_features(sources: Sequence[Source]) -> None:
    """Raises `DatasetError` naming every feature in which a set differs from the first."""
    first, *others = sources
    expected = _leaves(first)
    for other in others:
        found = _leaves(other)
        differing = [
            _difference(f"'{name}'", expected.get(name), first.folder, found.get(name), other.folder)
            for name in sorted(expected.keys() | found.keys())
            if expected.get(name) != found.get(name)
        ]
        if differing:
            raise DatasetError(f"These sets hold different features: {_shown(differing)}.")


def check_contracts(sources: Sequence[Source]) -> None:
    """Raises `DatasetError` naming every term in which the action contract of an episode differs from the first's.

    Actions under different contracts have other scales, rates or frames, so that no model can learn from both. Sets
    without `action_contract` in their metadata have none to compare.
    """
    origins: dict[str, str] = {}  # contract -> the first episode that has it
    for source in sources:
        for place in source:
            contract = place.entry.metadata.get("action_contract")
            if contract is not None:
                origins.setdefault(contract, f"episode {place.episode} of {source.folder}")
    if len(origins) < 2:
        return
    (expected, first), (found, other), *_ = origins.items()
    terms, others = _terms(expected), _terms(found)
    differing = [
        _difference(name, terms.get(name), first, others.get(name), other)
        for name in sorted(terms.keys() | others.keys())
        if terms.get(name) != others.get(name)
    ]
    raise DatasetError(f"These sets differ in what actions mean: {_shown(differing)}.")


def check_ids(sources: Sequence[Source]) -> None:
    """Raises `DatasetError` naming an `episode_id` that stands twice, and how many do."""
    seen: dict[str, str] = {}
    repeated = []
    for source in sources:
        for place in source:
            name = str(place.entry.metadata.get("episode_id", ""))
            here = f"episode {place.episode} of {source.folder}"
            if name and name in seen:
                repeated.append(f"'{name}' is {seen[name]} and {here}")
            seen[name] = here
    if repeated:
        raise DatasetError(
            f"Episodes stand twice: {_shown(repeated, 1)}; drop them from one set, or allow repeated ids if they are "
            f"different episodes, such as those of two checkpoints under the same seed."
        )


def _leaves(source: Source) -> dict[str, str]:
    """Flat name -> what is stored there, to the last detail: kind, shape, type, encoding."""
    return dict(_flat("", read_features(source.folder)))


def _flat(name: str, feature: Any) -> Iterable[tuple[str, str]]:
    if isinstance(feature, tfds.features.FeaturesDict):
        for key, value in feature.items():
            yield from _flat(f"{name}/{key}".lstrip("/"), value)
    elif isinstance(feature, tfds.features.Dataset):
        yield from _flat(name, feature.feature)
    else:
        described = feature.to_json()  # `repr` leaves the encoding out
        kind = described["proto_cls"].rsplit(".", 1)[-1].removesuffix("Feature")
        yield name, f"{kind} {json.dumps(described['content'], sort_keys=True)}"


def _terms(contract: str) -> dict[str, Any]:
    try:
        terms = json.loads(contract)
    except ValueError:
        terms = contract
    return terms if isinstance(terms, dict) else {"the contract": contract or "empty"}


def _difference(name: str, value: Any, place: object, other_value: Any, other_place: object) -> str:
    there, here = ("absent" if given is None else given for given in (value, other_value))
    return f"{name} is {there} in {place}, {here} in {other_place}"


def _shown(lines: list[str], most: int = _MOST) -> str:
    more = f"; and {len(lines) - most} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more

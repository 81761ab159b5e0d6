"""Whether the three forms of the action agree, and all episodes mean the same by it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from rldg import geometry
from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import Subject
from rldg.env.types import ActionContract

AGREEMENT = 1e-4  # between two forms of one action [m, rad]


def contract_of(subject: Subject) -> ActionContract | None:
    """The contract in an episode's metadata; None if it cannot be read."""
    try:
        content = json.loads(subject.metadata["action_contract"])
        contract = ActionContract(**content)
        numbers = (contract.translation_scale, contract.rotation_scale, contract.rate)
        return contract if all(isinstance(n, int | float) and 0 < n < np.inf for n in numbers) else None
    except (ValueError, TypeError, RecursionError):
        return None


def check_contract(subject: Subject) -> Iterator[Finding]:
    """`action` = `action_normalized` times the scale; `base_action` = `action` turned into the base frame."""
    contract = contract_of(subject)
    if contract is None:
        names = ", ".join(field.name for field in fields(ActionContract))
        what = f"action_contract is {subject.metadata['action_contract'][:80]!r}"
        yield Finding("contract_broken", what, f"JSON with {names}", subject.place)
        return
    action = subject.steps["action"][:, :6]
    expected = contract.to_metric(subject.steps["action_normalized"])[:, :6]
    yield from _compared(subject, "action_scale", "'action'", action, expected, "'action_normalized' times the scale")
    raw = subject.steps["observation/raw_state"][:, :7].astype(np.float64)
    turned = np.array(
        [geometry.rotate_twist(pose, twist) for pose, twist in zip(raw, action.astype(np.float64), strict=True)]
    )
    base = subject.steps["base_action"][:, :6]
    yield from _compared(subject, "action_base", "'base_action'", base, turned, "'action' turned into the base frame")


def _compared(
    subject: Subject, kind: str, name: str, found: np.ndarray, expected: np.ndarray, right: str
) -> Iterator[Finding]:
    difference = np.abs(found - expected).max(axis=1)
    wrong = np.flatnonzero(difference > AGREEMENT)  # what is not finite is said elsewhere
    if wrong.size:
        what = f"{name} is off by up to {difference[wrong].max():.3g} on {wrong.size} of {len(subject)} steps"
        yield Finding(kind, what, right, subject.at(wrong[0]))


@dataclass(frozen=True)
class Meaning:
    """By what an episode's actions are to be understood."""

    task: str
    task_hash: str
    contract: str


def meaning(subject: Subject) -> Meaning:
    """What is compared between episodes."""
    metadata = subject.metadata
    return Meaning(metadata["task"], metadata["task_hash"], metadata["action_contract"])


def compare_meanings(found: Sequence[tuple[Place, Meaning]]) -> Iterator[Finding]:
    """One action contract in the whole data set, one version of each task."""
    first: dict[str, Meaning] = {}
    hashes: dict[str, Meaning] = {}
    for place, this in found:
        other = first.setdefault("", this)
        if this.contract != other.contract:
            what = f"the action contract {this.contract} is not that of the first episode"
            yield Finding("contracts_differ", what, other.contract, place)
        if this.task_hash != (known := hashes.setdefault(this.task, this)).task_hash:
            what = f"task '{this.task}' stands here in another version ({this.task_hash}) than before"
            yield Finding("task_versions", what, f"one version ({known.task_hash})", place, "warning")

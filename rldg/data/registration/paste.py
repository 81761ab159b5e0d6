"""`write_entries`: what Octo and OpenVLA need to be told of a data set, ready to paste, and what it all means."""

import shlex
from dataclasses import asdict
from pathlib import Path

from rldg.data.registration.checks import loader_warnings
from rldg.data.registration.choices import NOTHING_CHOSEN, Choices
from rldg.data.registration.entry import Registration, register
from rldg.data.registration.statistics_files import loader_input_statistics, module_spec, transform_source
from rldg.data.templating import render
from rldg.data.views import joined, open_splits
from rldg.data.wording import action_in_words
from rldg.data.writer import write_durably

FILES = ("octo.py", "openvla.py", "note.txt")


def write_entries(folder: Path, out: Path, choices: Choices = NOTHING_CHOSEN) -> tuple[Registration, list[str]]:
    """Writes `FILES` about the data set in `folder` to `out`.

    Returns what was registered, and what the loaders would trip over, a sentence each. Raises `DatasetError` for what
    no training survives.
    """
    splits = open_splits(folder)
    whole = joined(splits)
    entry = register(whole, choices)
    warnings = loader_warnings(splits, entry, loader_input_statistics(whole, entry))
    content = {
        "entry": entry,
        "transform": transform_source(entry).rstrip(),
        "module_spec": module_spec(entry),
        "episodes": len(whole),
        "steps": whole.steps,
        "fields": _fields(entry, {entry.metadata.get("action_contract", "") for entry in whole.entries}),
        "warnings": warnings,
        "folder": shlex.quote(str(folder)),
        "options": "".join(
            f" --{name.replace('_', '-')} {shlex.quote(text)}" for name, text in asdict(choices).items() if text
        ),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        write_durably(out / name, render(name, **content).encode())
    return entry, warnings


def _fields(entry: Registration, contracts: set[str]) -> list[tuple[str, str, str]]:
    """(what, column, meaning) of everything that the loaders read."""
    action = action_in_words(contracts, entry.action)
    if entry.padding:
        action += f" Of {entry.action_size} stored numbers; the transform adds {entry.padding} times 0 for the seventh."
    rows = [
        ("action", entry.action, action),
        ("instruction", entry.instruction, "The task in words, the same text on every step of an episode."),
        ("OpenVLA sees", f"observation/{entry.single}", "Its `primary` camera; it sees no other."),
        ("Octo sees", f"observation/{entry.primary}", "Its `primary` camera."),
    ]
    if entry.wrist:
        rows.append(("and", f"observation/{entry.wrist}", "Its `wrist` camera."))
    if entry.state:
        rows.append(("Octo reads", f"observation/{entry.state}", "The robot's state, if its model takes one."))
    return rows

"""`write_card`: a data card beside the records, which says what another lab needs to know before it trains on them."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from rldg.data.card import pictures
from rldg.data.card.front_matter import front_matter
from rldg.data.card.lineage import lineage_lines
from rldg.data.card.survey import Survey, survey
from rldg.data.manifest import data_files, file_sha256, write_manifest
from rldg.data.reader import Dataset
from rldg.data.registration.choices import NOTHING_CHOSEN, Choices
from rldg.data.registration.entry import chosen_action
from rldg.data.statistics import compute_statistics
from rldg.data.templating import render
from rldg.data.views import joined, open_splits
from rldg.data.wording import OUR_ACTIONS, TWIST, action_in_words, control_rates
from rldg.data.writer import dataset_name, write_durably
from rldg.errors import DatasetError

LICENSE = "cc-by-4.0"  # what the data sets of Open X-Embodiment carry
MARKER = "<!-- Written by `rldg data card`: it will be overwritten. -->"
# Metadata whose values a card shows, if the episodes have them.
PROVENANCE = {
    "policy_kind": "policy",
    "checkpoint_hash": "checkpoint",
    "checkpoint_step": "checkpoint's training step",
    "judged_by": "success judged by",
    "backend": "backend",
    "station": "station",
    "task_hash": "task's content",
    "code_version": "rldg",
    "time": "collection began",
}
SHOWN = 6  # values of one kind


def write_card(folder: Path, *, license: str = LICENSE, choices: Choices = NOTHING_CHOSEN) -> list[Path]:  # noqa: A002
    """Writes `README.md`, the pictures under `card/` and the manifest into the data set's folder; returns their paths.

    Raises `DatasetError` if there is no episode, or a README.md that was written by other hands.
    """
    readme = folder / "README.md"
    if readme.exists() and MARKER not in readme.read_text(encoding="utf-8", errors="replace"):
        raise DatasetError(f"{readme} was not written by `rldg data card`; move it away, or its words would be lost.")
    splits = open_splits(folder)
    whole = joined(splits)
    if not len(whole):
        raise DatasetError(f"{folder} holds no episode to describe.")
    action = chosen_action(whole, choices)
    state = f"observation/{choices.state or 'state'}"
    statistics = compute_statistics(whole, action, state)
    counts = survey(whole, action, (statistics["action"]["min"], statistics["action"]["max"]))
    contracts = {entry.metadata.get("action_contract", "") for entry in whole.entries}
    names = TWIST if any(contracts) and action in OUR_ACTIONS else tuple(map(str, range(len(counts.edges))))
    name, _ = dataset_name(folder)
    content = {
        "marker": MARKER,
        "name": name,
        "license": license,
        "front_matter": front_matter(name, license, _tasks(whole), splits, whole.steps),
        "episodes": len(whole),
        "steps": whole.steps,
        "cameras": [(_picture_name(camera), whole.fields[f"steps/{camera}"].shape) for camera in whole.cameras],
        "tasks": _task_rows(counts),
        "interventions": counts.interventions if "steps/is_intervention" in whole.fields else None,
        "columns": [
            (key.removeprefix("steps/"), field)
            for key, field in sorted(whole.fields.items())
            if key.startswith("steps/")
        ],
        "rates": control_rates(contracts),
        "labelled": _is_labelled(whole),
        "splits": [_split_row(name, part) for name, part in splits.items()],
        "failures": sorted(
            Counter(e.metadata.get("failure_reason") or "unknown" for e in whole.entries if not e.success).items()
        ),
        "action": action,
        "meaning": action_in_words(contracts, action),
        "state": state,
        "action_rows": _statistics_rows(statistics["action"], names),
        "state_rows": _statistics_rows(statistics["proprio"]) if "proprio" in statistics else [],
        "provenance": _provenance(whole),
        "lineage": lineage_lines(folder),
        "checksum": _records_checksum(folder),
    }
    (folder / "card").mkdir(exist_ok=True)
    written = []
    for file, picture in _pictures(whole, counts, names).items():
        written.append(folder / "card" / file)
        write_durably(written[-1], picture)
    write_durably(readme, render("card.md", **content).encode())
    return [readme, *written, write_manifest(folder)]


def _tasks(dataset: Dataset) -> set[str]:
    return {str(entry.metadata["task"]) for entry in dataset.entries if entry.metadata.get("task")}


def _task_rows(counts: Survey) -> list[tuple[str, str, int, int]]:
    """(task, instruction, episodes, successes)."""
    return [(*kind, episodes, counts.successes[kind]) for kind, episodes in sorted(counts.episodes.items())]


def _statistics_rows(statistics: Mapping[str, list[float]], names: Sequence[str] | None = None) -> list[list[str]]:
    """A row per dimension: its name (by default its number), then its statistics."""
    columns = [statistics[key] for key in ("mean", "std", "min", "q01", "q99", "max")]
    return [
        [names[number] if names else str(number), *(f"{value:.4g}" for value in values)]
        for number, values in enumerate(zip(*columns, strict=True))
    ]


def _is_labelled(dataset: Dataset) -> bool:
    return any("success" in entry.metadata for entry in dataset.entries)


def _split_row(name: str, part: Dataset) -> dict[str, Any]:
    successes, episodes = len(part.successes()), len(part)
    rate = ""
    if episodes:
        interval = binomtest(successes, episodes).proportion_ci(method="wilson")
        rate = f"{successes / episodes:.1%} ({interval.low:.1%} to {interval.high:.1%})"
    return {"name": name, "episodes": episodes, "steps": part.steps, "successes": successes, "rate": rate}


def _provenance(dataset: Dataset) -> list[tuple[str, str]]:
    """(what, its values with the number of episodes of each) of all `PROVENANCE` that the episodes speak of."""
    rows = []
    for key, what in PROVENANCE.items():
        values = Counter(str(entry.metadata[key]) for entry in dataset.entries if entry.metadata.get(key))
        listed = [f"{value} ({episodes})" for value, episodes in sorted(values.items())]
        if listed:
            rows.append((what, ", ".join(listed) if len(listed) <= SHOWN else f"{len(listed)} different ones"))
    seeds = [entry.metadata["seed"] for entry in dataset.entries if "seed" in entry.metadata]
    if seeds:
        rows.append(("seeds", f"{len(set(seeds))} different ones from {min(seeds)} to {max(seeds)}"))
    return rows


def _pictures(dataset: Dataset, counts: Survey, names: Sequence[str]) -> dict[str, bytes]:
    """File name -> content; the strips are of the first success, or of the first episode without one."""
    shown = (dataset.successes() or dataset)[0]
    lengths = {outcome: [e.length for e in dataset.entries if e.success == outcome] for outcome in (True, False)}
    return {
        "lengths.png": pictures.episode_lengths(lengths[True], lengths[False]),
        "actions.png": pictures.action_histograms(counts, names),
        **{f"{_picture_name(camera)}.jpg": pictures.strip(shown.steps[camera]) for camera in dataset.cameras},
    }


def _picture_name(camera: str) -> str:
    return camera.removeprefix("observation/").replace("/", "_")


def _records_checksum(folder: Path) -> str:
    """SHA-256 of the manifest's lines about records, which no card changes."""
    records = [path for path in data_files(folder) if ".tfrecord-" in path.name]
    lines = [f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in records]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

"""What the loaders of Octo and OpenVLA trip over late or silently, found before they start and without them."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldg.data.reader import Dataset
from rldg.data.registration.entry import Registration
from rldg.data.registration.statistics_files import LOADERS, statistics_file
from rldg.data.statistics import Statistics
from rldg.data.views import joined, with_columns
from rldg.errors import DatasetError


def loader_warnings(splits: Mapping[str, Dataset], entry: Registration, statistics: Statistics) -> list[str]:
    """A sentence for each thing that goes wrong, or not as one thinks, when the originals load these splits.

    Raises `DatasetError` for what no training survives: no split "train", no instruction in any episode.
    """
    whole = joined(splits)
    found = [
        _place(whole.folder, entry),
        _held_out({name: len(part) for name, part in splits.items()}),
        _instructions(whole, entry),
        _failures(whole),
        *_constants(statistics["action"], entry),
        *_stale(whole.folder, entry, statistics),
    ]
    return [sentence for sentence in found if sentence]


def _place(folder: Path, entry: Registration) -> str:
    if "://" in entry.data_dir or (Path(entry.folder).expanduser() / "dataset_info.json").exists():
        return ""
    parent, target = shlex.quote(str(Path(entry.folder).parent)), shlex.quote(entry.folder)
    return (
        f"The loaders look for the data set in {entry.folder}, where nothing is: move it there, or link it with "
        f"`mkdir -p {parent} && ln -s {shlex.quote(str(folder.resolve()))} {target}`."
    )


def _held_out(sizes: dict[str, int]) -> str:
    """Both validate on a split "val", or else on what remains of "train" behind 95 %, rounded to whole episodes."""
    if not sizes.get("train"):
        raise DatasetError(f"Both loaders train on the split 'train', which is missing or empty; there is {sizes}.")
    if "val" in sizes:
        return "" if sizes["val"] else "The split 'val' is empty, so both loaders fail when they validate."
    if round(0.95 * sizes["train"]) < sizes["train"]:
        return ""
    return (
        f"Both loaders hold the last 5 % of the episodes out, which of {sizes['train']} is none, and fail when they "
        f"validate: have 11 episodes, or a split 'val' (`rldg data split`)."
    )


def _instructions(dataset: Dataset, entry: Registration) -> str:
    texts = (episode.steps[entry.instruction] for episode in with_columns(dataset, entry.instruction))
    without = sum(not any(text) for text in texts)
    if without == len(dataset):
        raise DatasetError(
            f"No episode has an instruction ('{entry.instruction}'), and OpenVLA would wait for one for ever."
        )
    return f"{without} episodes have no instruction: OpenVLA leaves them out." if without else ""


def _failures(dataset: Dataset) -> str:
    failed = len(dataset) - len(dataset.successes())
    return (
        f"{failed} of {len(dataset)} episodes failed, and both loaders train on every episode: write a data set of "
        f"the successes first (`rldg data filter`)."
        if failed
        else ""
    )


def _constants(action: dict[str, list[float]], entry: Registration) -> list[str]:
    constant = [low == high for low, high in zip(action["min"], action["max"], strict=True)]
    motion = [str(number) for number, still in enumerate(constant[:6]) if still]
    sentences = []
    if motion:
        sentences.append(f"Numbers {', '.join(motion)} of '{entry.action}' never change, so nothing is learned there.")
    if constant[6:] == [True] and action["min"][6] != 0:
        sentences.append(
            f"The gripper in '{entry.action}' is always {action['min'][6]:g}: OpenVLA replaces what never changes by 0 "
            f"and will answer 0, closed."
        )
    return sentences


def _stale(folder: Path, entry: Registration, statistics: Statistics) -> list[str]:
    """An edit that keeps the data set's size keeps the name of its statistics, and the loaders read the old ones."""
    sentences = []
    for loader in LOADERS:
        file = statistics_file(loader, folder, entry, statistics)
        path = folder / file.name
        if path.exists() and not _agrees(path.read_bytes(), file.content):
            sentences.append(
                f"{path} holds other statistics than the data set has now, and the loader for {loader} would take "
                f"them: write it anew with `rldg data stats --write {loader}`."
            )
    return sentences


def _agrees(content: bytes, now: dict[str, Any]) -> bool:
    """Whether bounds and counts are the same; means differ in their last digits with who computed them."""
    try:
        stored = json.loads(content)
        return (
            all(stored[key] == now[key] for key in ("num_transitions", "num_trajectories"))
            and all(stored["action"][key] == now["action"][key] for key in ("min", "max"))
        )  # fmt: skip
    except (ValueError, TypeError, KeyError):
        return False

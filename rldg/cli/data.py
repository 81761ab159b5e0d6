"""Looks into RLDS data sets.

Examples:
  rldg data show runs/data      what the data set holds
  rldg data show runs/data 3    one episode, step by step
  rldg data stats runs/data     mean, deviation, bounds and quantiles of actions and states
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rldg.cli.output import emit, table
from rldg.errors import UsageError

if TYPE_CHECKING:
    from rldg.data.example import Field
    from rldg.data.reader import Dataset


@dataclass(frozen=True)
class Show:
    """Prints what a data set, or one of its episodes, holds."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """The data set: the folder with `features.json`."""
    episode: Annotated[int | None, tyro.conf.Positional, tyro.conf.arg(metavar="EPISODE")] = None
    """An episode's number, from 0."""
    json: bool = False
    """One line of JSON on standard output."""


@dataclass(frozen=True)
class Stats:
    """Prints the statistics by which actions and states are normalised."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """The data set: the folder with `features.json`."""
    failures: bool = False
    """Take failed episodes in, too."""
    action: str = "action"
    """Column of the actions; foreign data sets have e.g. `eef_action`."""
    json: bool = False
    """One line of JSON on standard output."""


Args = Annotated[Show, tyro.conf.subcommand("show")] | Annotated[Stats, tyro.conf.subcommand("stats")]


def main(args: Show | Stats) -> int:
    """Exit status 0, or by exception 1 for a data set that is broken."""
    from rldg.data.reader import open_dataset

    dataset = open_dataset(args.folder)
    match args:
        case Show(episode=None):
            emit(*_overview(dataset, args.json))
        case Show(episode=int(number)):
            emit(*_episode(dataset, number, args.json))
        case Stats():
            emit(*_statistics(dataset, args))
    return 0


def _overview(dataset: "Dataset", as_json: bool) -> tuple[dict[str, Any], bool, str]:
    lengths = [entry.length for entry in dataset.entries]
    reasons = Counter(e.metadata.get("failure_reason") or "unknown" for e in dataset.entries if not e.success)
    result = {
        "episodes": len(dataset),
        "successes": len(dataset.successes()),
        "failures": dict(reasons),
        "steps": dataset.steps,
        "shortest": min(lengths, default=0),
        "longest": max(lengths, default=0),
        "fields": {name: _kind(field) for name, field in sorted(dataset.fields.items())},
    }
    text = (
        f"{result['episodes']} episodes, {result['successes']} of them successful, {result['steps']} steps "
        f"({result['shortest']} to {result['longest']} per episode)\n"
        + "".join(f"failed by {reason}: {number}\n" for reason, number in reasons.most_common())
        + table(("field", "holds"), list(result["fields"].items()))
    )
    return result, as_json, text


def _kind(field: "Field") -> str:
    kind = {"number": field.dtype.name, "text": "text", "image": "picture"}[field.kind]
    return f"{kind} {field.shape or ''}".strip()


def _episode(dataset: "Dataset", number: int, as_json: bool) -> tuple[dict[str, Any], bool, str]:
    if not 0 <= number < len(dataset):
        raise UsageError(f"{dataset.folder} has episodes 0 to {len(dataset) - 1}, not {number}.")
    episode = dataset[number]
    actions = [name for name in ("action", "eef_action", "base_action") if name in episode.steps]
    reward = episode.steps.get("reward", [""] * len(episode))
    rows = (
        [(t, reward[t], " ".join(f"{x:8.4f}" for x in episode.steps[actions[0]][t])) for t in range(len(episode))]
        if actions
        else []
    )
    text = (
        "\n".join(f"{name}: {value}" for name, value in episode.metadata.items())
        + f"\n\n{table(('step', 'reward', actions[0] if actions else ''), rows)}"
    )
    columns = {name: episode.steps[name] for name in (*actions, "reward", "is_terminal") if name in episode.steps}
    return {"metadata": episode.metadata, "length": len(episode), "steps": columns}, as_json, text


def _statistics(dataset: "Dataset", args: Stats) -> tuple[dict[str, Any], bool, str]:
    from rldg.data.statistics import compute_statistics

    statistics = compute_statistics(dataset if args.failures else dataset.successes(), action=args.action)
    header = ("column", "dimension", "mean", "std", "min", "q01", "q99", "max")
    rows = [
        (name, i, *(f"{statistics[name][key][i]:.5g}" for key in header[2:]))
        for name in ("action", "proprio")
        if name in statistics
        for i in range(len(statistics[name]["mean"]))
    ]
    counts = f"{statistics['num_transitions']} steps in {statistics['num_trajectories']} episodes"
    return statistics, args.json, f"{counts}\n{table(header, rows)}"

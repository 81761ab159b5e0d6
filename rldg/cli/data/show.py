"""Prints what a data set holds, or one of its episodes, step by step.

Examples:
  rldg data show runs/data
  rldg data show runs/data 3
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
class Args:
    """Arguments of `rldg data show`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # An episode's number, from 0.
    episode: Annotated[int | None, tyro.conf.Positional, tyro.conf.arg(metavar="EPISODE")] = None
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 for a data set that is broken."""
    from rldg.data.reader import open_dataset  # TFDS: not for --help

    dataset = open_dataset(args.folder)
    if args.episode is None:
        emit(*_overview(dataset, args.json))
    else:
        emit(*_episode(dataset, args.episode, args.json))
    return 0


def _overview(dataset: "Dataset", as_json: bool) -> tuple[dict[str, Any], bool, str]:
    from rldg.data.lineage import read_lineage

    lineage = read_lineage(dataset.folder)
    lengths = [entry.length for entry in dataset.entries]
    reasons = Counter(e.metadata.get("failure_reason") or "unknown" for e in dataset.entries if not e.success)
    result = {
        "episodes": len(dataset),
        "successes": len(dataset.successes()),
        "failures": dict(reasons),
        "steps": dataset.steps,
        "shortest": min(lengths, default=0),
        "longest": max(lengths, default=0),
        "lineage": lineage.summary() if lineage else [],
        "fields": {name: _kind(field) for name, field in sorted(dataset.fields.items())},
    }
    text = (
        f"{result['episodes']} episodes, {result['successes']} of them successful, {result['steps']} steps "
        f"({result['shortest']} to {result['longest']} per episode)\n"
        + "".join(f"{line}\n" for line in result["lineage"])
        + "".join(f"failed by {reason}: {number}\n" for reason, number in reasons.most_common())
        + table(("field", "holds"), list(result["fields"].items()))
    )
    return result, as_json, text


def _kind(field: "Field") -> str:
    kind = {"number": field.dtype.name, "text": "text", "image": "picture"}[field.kind]
    return f"{kind} {field.shape or ''}".strip()


def _episode(dataset: "Dataset", number: int, as_json: bool) -> tuple[dict[str, Any], bool, str]:
    import numpy as np  # not for --help

    from rldg.data.lineage import read_lineage

    if not 0 <= number < len(dataset):
        raise UsageError(f"{dataset.folder} has episodes 0 to {len(dataset) - 1}, not {number}.")
    episode = dataset[number]
    lineage = read_lineage(dataset.folder)
    origins = [(parent.path, origin) for parent, origin in lineage.trace(number)] if lineage else []
    actions = [name for name in ("action", "eef_action", "base_action") if name in episode.steps]
    reward = episode.steps.get("reward", [""] * len(episode))
    rows = (
        [(t, reward[t], " ".join(f"{x:8.4f}" for x in episode.steps[actions[0]][t])) for t in range(len(episode))]
        if actions
        else []
    )
    share = float(np.mean(episode.steps.get("is_intervention", [False])))
    text = (
        "".join(f"from episode {o.episode} of '{o.split}' in {path}\n" for path, o in origins)
        + "\n".join(f"{name}: {value}" for name, value in episode.metadata.items())
        + f"\nintervention share: {share:.0%}\n\n{table(('step', 'reward', actions[0] if actions else ''), rows)}"
    )
    columns = {name: episode.steps[name] for name in (*actions, "reward", "is_terminal") if name in episode.steps}
    result = {
        "metadata": episode.metadata,
        "length": len(episode),
        "intervention_share": share,
        "origins": [{"path": path, **origin.model_dump()} for path, origin in origins],
        "steps": columns,
    }
    return result, as_json, text

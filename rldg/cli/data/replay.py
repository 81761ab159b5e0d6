"""Runs a simulated episode again from its seed, with its recorded actions or with a policy, and says whether states,
pictures, actions and outcome are the recorded ones to the last bit.

Examples:
  rldg data replay runs/data 3
  rldg data replay runs/data 3 --policy runs/specialist
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rldg.cli.output import emit, table
from rldg.errors import UsageError

if TYPE_CHECKING:
    from rldg.data.replay import Replay


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data replay`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # The episode's number, from 0.
    episode: Annotated[int, tyro.conf.Positional, tyro.conf.arg(metavar="EPISODE")]
    # Who acts instead of the recorded actions; give the policy that the episode came from.
    policy: str = ""
    # Name or YAML of the task, if it is not found under its recorded name.
    task: str = ""
    # Replay even if the task or the policy are not those of the recording.
    allow_changes: bool = False
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 if the episode was reproduced, 1 if not."""
    from rldg.data.reader import open_dataset  # TFDS: not for --help
    from rldg.data.replay import replay

    dataset = open_dataset(args.folder)
    if not 0 <= args.episode < len(dataset):
        raise UsageError(f"{dataset.folder} has episodes 0 to {len(dataset) - 1}, not {args.episode}.")
    result = replay(dataset, args.episode, policy=args.policy, task=args.task, allow_changes=args.allow_changes)
    emit({"episode": args.episode, "reproduced": result.reproduced, **asdict(result)}, args.json, _text(result))
    return 0 if result.reproduced else 1


def _text(result: "Replay") -> str:
    outcomes = [_outcome(*pair) for pair in zip(result.steps, result.success, result.failure_reason, strict=True)]
    lines = [f"changed since: {changed}" for changed in result.changed]
    lines += [f"recorded: {outcomes[0]}", f"replayed: {outcomes[1]}"]
    if result.reproduced:
        return "\n".join([*lines, "reproduced to the last bit"])
    rows = [(d.column, d.step, "-" if d.largest is None else f"{d.largest:.3g}") for d in result.differences]
    return "\n".join([*lines, "not reproduced", table(("column", "first differing step", "largest difference"), rows)])


def _outcome(steps: int, success: bool, reason: str) -> str:
    return f"{steps} steps, {'success' if success else f'failed by {reason}'}"

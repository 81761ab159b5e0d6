"""Writes a data set anew with other instructions, with an outcome that an operator judged, or with the actions that
another policy would have taken.

--where and --episodes say which episodes: those that both select. All others are taken over as they are.

Examples:
  rldg data relabel runs/data --instruction "plug the USB cable in" --out runs/renamed
  rldg data relabel runs/data --paraphrases --seed 1 --out runs/paraphrased
  rldg data relabel runs/data --instructions texts.yaml --where "success" --out runs/renamed
  rldg data relabel runs/data --outcome failure --reason jam --episodes 3 10-12 --out runs/judged
  rldg data relabel runs/teleoperated --actions runs/specialist --out runs/relabelled
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rldg.cli.edited import EditArgs, tell
from rldg.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Args(EditArgs):
    """Arguments of `rldg data relabel`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # New instruction; of several, each episode draws one.
    instruction: tuple[str, ...] = ()
    # YAML of new instructions: a text, a list to draw from, or a mapping from tasks to either.
    instructions: Path | None = None
    # Draw from the instruction and paraphrases of each task's own file.
    paraphrases: bool = False
    # What an operator judged.
    outcome: Literal["success", "failure"] | None = None
    # Why it failed: time_out, jam, force_limit, or in words of your own.
    reason: str = ""
    # Policy whose actions on the recorded observations take the place of the recorded actions.
    actions: str = ""
    # Let a specialist sample these actions instead of taking the most likely ones.
    stochastic: bool = False
    # Condition on the episodes, as in `rldg data filter`.
    where: str = ""
    # Numbers of the episodes, from 0, and ranges that include both ends.
    episodes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="N|N-N ...")] = ()
    # Split in which the numbers count; by default train, or the only one.
    split: str = ""
    # Seed of the draw.
    seed: int = 0


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 if the data set cannot hold the labels and 2 if they are not said clearly."""
    if args.instruction and args.instructions:
        raise UsageError("Pass --instruction or --instructions FILE, not both.")
    if args.reason and not args.outcome:
        raise UsageError("--reason belongs to --outcome failure.")
    from rldg.data.editing.instructions import read_instructions  # TFDS: not for --help
    from rldg.data.editing.outcome import Outcome
    from rldg.data.editing.relabel import relabel_dataset

    result = relabel_dataset(
        args.folder,
        args.out,
        instructions=read_instructions(args.instructions) if args.instructions else args.instruction or None,
        paraphrases=args.paraphrases,
        outcome=Outcome(args.outcome == "success", args.reason) if args.outcome else None,
        actions=args.actions,
        stochastic=args.stochastic,
        where=args.where,
        episodes=args.episodes,
        split=args.split,
        seed=args.seed,
        overwrite=args.overwrite,
    )
    return tell(result, args)

"""Compares two evaluations of the same locked scenes: the paired difference in success and its 95 % interval.

Example: rldg compare runs/demo/evaluation/rl runs/demo/evaluation/teleoperator
A folder may hold several evaluations: of several tasks, and of several policies that differ in their training seed.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from rldg.cli.output import emit


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg compare`."""

    # Folder of the first arm's evaluation (or evaluations).
    a: tyro.conf.Positional[Path]
    # Folder of the second arm's; the difference is first minus second.
    b: tyro.conf.Positional[Path]
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 when the two could be compared, whatever the difference."""
    from rldg.evaluation.compare import compare, find_evaluations  # SciPy: not for --help

    result = compare(find_evaluations(args.a), find_evaluations(args.b))
    difference = result.difference
    text = (
        f"{args.a}: {result.successes[0]}/{result.trials[0]}\n{args.b}: {result.successes[1]}/{result.trials[1]}\n"
        f"paired difference {100 * difference.mean:+.1f} points, "
        f"95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f}, "
        f"over {difference.scenes} common scenes of {', '.join(result.tasks)}"
    )
    if max(result.runs) > 1:
        text += f" and {result.runs[0]} against {result.runs[1]} training runs"
    if result.unshared:
        text += f"\n{result.unshared} scenes that only one of them was tried on were left out"
    emit(asdict(result), args.json, text)
    return 0

"""The numbers in README: gathered from finished runs into docs/results.json, and from there into README's table.

python -m pipelines.results                      # README from docs/results.json
python -m pipelines.results --runs runs/demo_*   # the same, after reading finished demos of several seeds afresh

The demos that are read differ in every seed, each being made by
`python -m pipelines.demo --seed 1 --generalist-seeds 1 --out runs/demo_1`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import tyro

from rldg.evaluation.compare import compare, find_evaluations
from rldg.evaluation.statistics import wilson
from rldg.evaluation.trials import Summary
from rldg.stage import write_durably, write_json

RESULTS = Path("docs/results.json")
README = Path("README.md")
ROWS = {
    "specialist": "RL specialist, from state",
    "rl": "Octo on {episodes} RL episodes",
    "teleoperator": "Octo on {episodes} teleoperated episodes",
}
BEGIN, END = "<!-- results: python -m pipelines.results -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Args:
    """Arguments of the pipeline."""

    # Finished demos to read; without any docs/results.json stays as it is.
    runs: tuple[Path, ...] = ()


def gather(runs: Sequence[Path]) -> dict[str, Any]:
    """What README says of finished demos: successes summed up, times and steps by demo."""
    summaries = [json.loads((run / "summary.json").read_text(encoding="utf-8")) for run in runs]
    arms = {arm: [e for run in runs for e in find_evaluations(run / "evaluation" / arm)] for arm in ROWS}
    difference = compare(arms["rl"], arms["teleoperator"]).difference
    return {
        "task": summaries[0]["specialist"]["task"],
        "episodes": summaries[0]["generalists"][0]["episodes"],
        "wall_seconds": [summary["wall_seconds"] for summary in summaries],
        "train_seconds": [summary["specialist"]["train_seconds"] for summary in summaries],
        "policies": {arm: _outcomes([e.summary for e in found]) for arm, found in arms.items()},
        "paired_difference": {name: round(getattr(difference, name), 4) for name in ("mean", "low", "high")},
    }


def _outcomes(found: Sequence[Summary]) -> dict[str, Any]:
    successes = [one.successes for one in found]
    steps = sum((one.cycle_steps or 0) * one.successes for one in found)
    return {
        "successes": successes,
        "trials": [one.trials for one in found],
        "cycle_steps": round(steps / max(1, sum(successes)), 1),
    }


def markdown(results: dict[str, Any]) -> str:
    """README's table."""
    lines = [
        "| policy | successes, by seed | in all | 95 % interval | steps per success |",
        "|---|---|---|---|---|",
    ]
    for arm, label in ROWS.items():
        found = results["policies"][arm]
        by_seed = ", ".join(map(str, found["successes"]))
        successes, trials = sum(found["successes"]), sum(found["trials"])
        low, high = wilson(successes, trials)
        label = label.format(episodes=results["episodes"])
        lines.append(
            f"| {label} | {by_seed} | {successes}/{trials} | {low:.0%} .. {high:.0%} | {found['cycle_steps']} |"
        )
    low, mean, high = (100 * results["paired_difference"][name] for name in ("low", "mean", "high"))
    lines.append(
        f"\nRL minus teleoperated, on the same scenes: {mean:+.0f} points, 95 % interval {low:+.0f} .. {high:+.0f} "
        f"(`{results['task']}`). One demo takes {median(results['wall_seconds']) / 60:.1f} minutes, its specialist "
        f"{median(results['train_seconds']):.0f} s (medians, two idle cores)."
    )
    return "\n".join(lines)


def fill(page: Path, begin: str, end: str, table: str) -> None:
    """Puts `table` between two marks of a page; leaves a page without them as it is."""
    head, found, rest = page.read_text(encoding="utf-8").partition(begin)
    if found and end in rest:
        tail = rest.partition(end)[2]
        write_durably(page, f"{head}{begin}\n{table}\n{end}{tail}".encode())


def main(args: Args) -> None:
    """Writes docs/results.json, if runs are given, and README's table."""
    if args.runs:
        write_json(RESULTS, gather(args.runs))
    fill(README, BEGIN, END, markdown(json.loads(RESULTS.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

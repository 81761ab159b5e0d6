"""The numbers in README: gathered from finished runs into docs/results.json, and from there into README's table.

python -m pipelines.results                      # README from docs/results.json
python -m pipelines.results --run runs/evidence  # the same, after reading a finished demo afresh
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from rldg.evaluation.statistics import wilson
from rldg.evaluation.trials import read_summary
from rldg.stage import write_json

RESULTS = Path("docs/results.json")
README = Path("README.md")
BEGIN, END = "<!-- results: python -m pipelines.results -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Args:
    """Arguments of the pipeline."""

    # A finished demo to read; without it docs/results.json stays as it is.
    run: Path | None = None


def gather(run: Path) -> dict[str, Any]:
    """What README says of a finished demo."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    cycles = {}
    for arm in ("specialist", "rl", "teleoperator"):
        found = [read_summary(path) for path in sorted((run / "evaluation" / arm).rglob("summary.json"))]
        steps = sum((one.cycle_steps or 0) * one.successes for one in found)
        cycles[arm] = round(steps / max(1, sum(one.successes for one in found)), 1)
    return summary | {"cycle_steps": cycles}


def markdown(results: dict[str, Any]) -> str:
    """README's table."""
    specialist, difference = results["specialist"], results["paired_difference"]
    rows = [("RL specialist, from state", specialist["successes"], specialist["trials"], "specialist")]
    for arm in results["generalists"]:
        label = {"rl": "RL", "teleoperator": "teleoperated"}[arm["data"]]
        rows.append((f"Octo on {arm['episodes']} {label} episodes", arm["successes"], arm["trials"], arm["data"]))
    lines = ["| policy | successes | 95 % interval | steps per success |", "|---|---|---|---|"]
    for label, successes, trials, arm in rows:
        low, high = wilson(successes, trials)
        lines.append(f"| {label} | {successes}/{trials} | {low:.0%} .. {high:.0%} | {results['cycle_steps'][arm]} |")
    low, mean, high = (100 * difference[name] for name in ("low", "mean", "high"))
    lines.append(
        f"\nRL minus teleoperated, on the same scenes: {mean:+.0f} points, 95 % interval {low:+.0f} .. {high:+.0f} "
        f"(`{specialist['task']}`)."
    )
    return "\n".join(lines)


def main(args: Args) -> None:
    """Writes docs/results.json, if a run is given, and README's table."""
    if args.run is not None:
        write_json(RESULTS, gather(args.run))
    text = README.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    table = markdown(json.loads(RESULTS.read_text(encoding="utf-8")))
    README.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

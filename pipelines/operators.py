"""How much the demo's claim depends on the operator: the demo repeated for each preset of the simulated teleoperator.

    python -m pipelines.operators --out runs/operators

The specialist, its data and the generalist trained on them are the same throughout; only the teleoperated data set and
its generalist change. Writes `operators.json`: per preset the successes of both generalists, their paired difference
with its interval, and how long the operator's successes take beside the specialist's.
"""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tyro

from pipelines.demo import ARMS
from pipelines.demo import Args as DemoArgs
from pipelines.demo import run as run_demo
from rldg.data.reader import open_dataset
from rldg.errors import RldgError
from rldg.stage import write_json

PRESETS = ("teleoperator", "teleoperator:average", "teleoperator:clumsy")


@dataclass(frozen=True)
class Args:
    """Arguments of the pipeline."""

    # What the demo is run with; its `out` and `teleoperator` are set here.
    demo: DemoArgs = field(default_factory=DemoArgs)
    # Run folder.
    out: Path = Path("runs/operators")


def run(args: Args) -> None:
    """One demo per preset; the stages that the presets share are made once and linked."""
    rows = []
    for preset in PRESETS:
        folder = args.out / preset.replace(":", "_")
        if preset != PRESETS[0]:
            share(args.out / PRESETS[0], folder)
        summary = run_demo(replace(args.demo, out=folder, teleoperator=preset))
        steps = {arm: median_steps(folder / "data" / arm) for arm in ARMS}
        rows.append(
            {
                "teleoperator": preset,
                "steps_per_success": steps,
                "slower_than_specialist": round(steps["teleoperator"] / steps["rl"], 2),
                "generalists": summary.generalists,
                "paired_difference": summary.paired_difference,
            }
        )
        write_json(args.out / "operators.json", rows)


def share(first: Path, other: Path) -> None:
    """Copies the stages of the first demo that do not depend on the operator into another demo's folder."""
    for stage in ("specialist", "data/rl", "generalists/rl"):
        if not (other / stage).exists():
            shutil.copytree(first / stage, other / stage)


def median_steps(data: Path) -> float:
    """Median control steps of the successes in a data set."""
    return float(np.median([entry.length for entry in open_dataset(data).entries if entry.success]))


if __name__ == "__main__":
    try:
        run(tyro.cli(Args, description=__doc__))
    except RldgError as error:
        raise SystemExit(f"rldg: {error}") from None

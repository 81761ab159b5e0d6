"""`summary.json` of a demo: what came out, in the fields that the report and other programs read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.verbs import read_result
from rldg.evaluation.compare import Evaluation, compare, find_evaluations
from rldg.evaluation.trials import read_summary
from rldg.stage import write_json

Runs = Mapping[tuple[str, int], Path]  # (arm, training seed) -> folder of the generalist


@dataclass(frozen=True)
class DemoSummary:
    """The content of `summary.json`; successes and trials of an arm are summed over its training seeds."""

    wall_seconds: float
    specialist: dict[str, Any]  # task, successes, trials, train_seconds
    generalists: list[dict[str, Any]]  # generalist, data, episodes, successes, trials
    paired_difference: dict[str, float]  # mean, low, high: RL minus teleoperator, share of trials

    def text(self) -> str:
        """A few lines for the terminal."""
        s, d = self.specialist, self.paired_difference
        arms = "\n".join(
            f"  {g['generalist']} on {g['episodes']} {g['data']} episodes: {g['successes']}/{g['trials']}"
            for g in self.generalists
        )
        return (
            f"\n{s['task']}\n"
            f"  specialist: {s['successes']}/{s['trials']}, trained in {s['train_seconds']:.0f} s\n{arms}\n"
            f"  RL minus teleoperated, same scenes: {100 * d['mean']:+.0f} points, "
            f"95 % interval {100 * d['low']:+.0f} .. {100 * d['high']:+.0f}\n"
            f"  in all {self.wall_seconds:.0f} s"
        )


def write_summary(out: Path, runs: Runs, generalist: str, episodes: int, wall_seconds: float) -> DemoSummary:
    """Reads the evaluations in `out/evaluation`, writes `out/summary.json` and returns it."""
    arms: dict[str, list[Evaluation]] = {}
    for (arm, _), folder in runs.items():
        found = find_evaluations(out / "evaluation" / folder.relative_to(out / "generalists"))
        arms.setdefault(arm, []).extend(found)
    comparison = compare(arms["rl"], arms["teleoperator"])
    specialist = read_summary(out / "evaluation" / "specialist" / "summary.json")
    summary = DemoSummary(
        wall_seconds=round(wall_seconds, 1),
        specialist={
            "task": specialist.task,
            "successes": specialist.successes,
            "trials": specialist.trials,
            "train_seconds": read_result(out / "specialist")["train_seconds"],
        },
        generalists=[
            {
                "generalist": generalist,
                "data": arm,
                "episodes": episodes,
                "successes": sum(evaluation.summary.successes for evaluation in evaluations),
                "trials": sum(evaluation.summary.trials for evaluation in evaluations),
            }
            for arm, evaluations in arms.items()
        ],
        paired_difference={name: getattr(comparison.difference, name) for name in ("mean", "low", "high")},
    )
    write_json(out / "summary.json", asdict(summary))
    return summary

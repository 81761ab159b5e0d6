"""Success over training: every kept checkpoint of a fine-tuned generalist, tried on the same few locked scenes."""

import json
from dataclasses import dataclass
from pathlib import Path

from rldg.evaluation.evaluate import EVALUATION_SEED, evaluate
from rldg.resolve import load_policy
from rldg.stage import write_json
from rldg.tasks import load_task
from rldg.workers import EpisodeRunner

CURVE = "curve.json"


@dataclass(frozen=True)
class Args:
    """One fine-tuning run and where its curve goes."""

    task: str
    policy: Path
    out: Path
    trials: int = 25
    overwrite: bool = False


def main(args: Args) -> int:
    """Writes `out/curve.json`: a list of {updates, successes, trials} in the order of updates."""
    task = load_task(args.task)
    points = []
    for step in sorted(int(path.name) for path in args.policy.iterdir() if path.name.isdecimal()):
        policy = f"{args.policy}@{step}"
        summary = evaluate(
            EpisodeRunner(args.task, policy, EVALUATION_SEED),
            args.out / str(step),
            args.trials,
            task=task,
            policy=policy,
            videos=0,
            inputs={"policy": load_policy(policy).metadata.weight_hash},
            overwrite=args.overwrite,
        )
        points.append({"updates": step, "successes": summary.successes, "trials": summary.trials})
    write_json(args.out / CURVE, points)
    return 0


def read_curve(out: Path) -> list[dict[str, int]]:
    """The points that `main` wrote."""
    return json.loads((out / CURVE).read_text(encoding="utf-8"))

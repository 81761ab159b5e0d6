"""What people in the loop bring: learning curves with and without interventions, at equal environment steps.

    python -m pipelines.hil --task fmb_assembly --seeds 1 2 3 --out runs/hil

Trains each arm with every seed to the same number of environment steps (of which the operator's are some), keeps a
snapshot of the policy every so many, and tries each, alone and without exploration noise, on the same locked scenes.
All arms begin with as many demonstrations. Behaviour cloning, which explores nothing, gets more of them, as many steps
again as the others explore, and has one point. Writes `hil.json` (per point the success rate of each arm with its 95 %
interval over scenes and seeds, and the paired difference to no interventions) and `hil.png`. The simulated operator
takes over by the rule of `rldg.policies.intervention.NoProgress`.

With these defaults, on one idle core, about half an hour.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from pipelines.verbs import carry_out
from rldg.cli import evaluate, train
from rldg.evaluation.statistics import paired_difference, success_interval
from rldg.evaluation.trials import read_trials
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.recipes import recipe
from rldg.stage import write_json
from rldg.tasks import load_task
from rldg.tasks.task import Task

ALONE, CLONE = "none", "bc"
# By arm: its line's colour and its name in the figure.
ARMS = {
    "interventions": ("#1f6fb4", "an operator intervenes"),
    ALONE: ("#b4541f", "nobody does"),
    "hg-dagger": ("#3a8f5c", "HG-DAgger"),
    CLONE: ("#777777", "behaviour cloning"),
}
OPERATOR = "teleoperator"
# Clones of half HIL-SERL's size, and fewer updates than theirs: half as many before exploration, one per step later.
SMALL_CLONE: dict[str, Any] = {"hidden": (256, 256), "pretrain_updates": 6_000, "updates_per_step": 1}


@dataclass(frozen=True)
class Args:
    """Arguments of the pipeline."""

    task: str = "fmb_assembly"
    seeds: tuple[int, ...] = (1, 2, 3)
    # Environment steps of each training, and between the points of the curve.
    steps: int = 12_000
    every: int = 2_000
    # Locked scenes that each point is tried on.
    trials: int = 50
    # Processes that try a point.
    workers: int = 1
    out: Path = Path("runs/hil")


def configuration(args: Args, arm: str, task: Task) -> SpecialistConfig:
    """Trains to the last step whatever it has learned: no candidates, so that steps are all that differs."""
    never = {"least_updates": 10**9, "confirm_episodes": 10**9}
    base = replace(recipe(task), max_env_steps=args.steps, snapshot_steps=args.every, **never)
    if arm in ("interventions", ALONE):
        return replace(base, operator=OPERATOR if arm == "interventions" else "")
    clone = recipe(task, arm)
    demonstrations = base.demonstrations
    if arm == CLONE:
        demonstrations += round(args.steps / task.horizon)
    steps = {"max_env_steps": clone.max_env_steps and args.steps, "snapshot_steps": args.every}
    return replace(clone, demonstrations=demonstrations, **SMALL_CLONE, **steps, **never)


def outcomes(args: Args, arm: str, task: Task) -> list[np.ndarray]:
    """By point of the curve, whether each scene succeeded, (scenes, seeds)."""
    runs = []
    for seed in args.seeds:
        out = args.out / arm / str(seed)
        config = configuration(args, arm, task)
        carry_out(train.Args(args.task, out / "specialist", seed, config=config))
        points = []
        for steps in range(args.every, config.max_env_steps + 1, args.every):
            snapshot = out / "specialist" / "snapshots" / f"{steps:07d}"
            points.append(tried(args, snapshot, out / "evaluation" / snapshot.name))
        runs.append(points or [tried(args, out / "specialist", out / "evaluation" / "last")])
    return list(np.array(runs, float).transpose(1, 2, 0))


def tried(args: Args, policy: Path, out: Path) -> list[bool]:
    """Whether a policy succeeded in each scene."""
    carry_out(
        evaluate.Args((args.task,), str(policy), out, episodes=args.trials, videos=0, workers=args.workers),
    )
    return [trial.success for trial in read_trials(out / "trials.jsonl")]


def main(args: Args) -> None:
    """Trains, tries, and writes the curves."""
    task = load_task(args.task)
    curves = {arm: outcomes(args, arm, task) for arm in ARMS}
    count = len(curves[ALONE])
    points: list[dict[str, Any]] = []
    for index in range(count):
        point: dict[str, Any] = {"env_steps": (index + 1) * args.every}
        for arm, curve in curves.items():
            scenes = curve[min(index, len(curve) - 1)]
            point[arm] = {"rate": float(scenes.mean()), "interval95": success_interval(scenes)}
            if arm != ALONE:
                point[arm]["difference"] = asdict(paired_difference(scenes, curves[ALONE][index]))
        points.append(point)
    about = {"task": args.task, "seeds": args.seeds, "trials": args.trials}
    write_json(args.out / "hil.json", about | {"points": points})
    draw(points, args.task, args.out / "hil.png")


def draw(points: list[dict[str, Any]], task: str, path: Path) -> None:
    """The curves with their intervals as bands."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    steps = [point["env_steps"] for point in points]
    figure, axis = plt.subplots(figsize=(6, 3.6))
    for arm, (colour, label) in ARMS.items():
        low, high = zip(*(point[arm]["interval95"] for point in points), strict=True)
        line = "--" if arm == CLONE else "-"
        axis.plot(steps, [point[arm]["rate"] for point in points], line, color=colour, label=label)
        axis.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.set(xlabel="environment steps", ylabel="success", ylim=(0, 1.02), title=task)
    axis.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

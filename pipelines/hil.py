"""What people in the loop bring: learning curves with and without interventions, at equal environment steps.

    python -m pipelines.hil --task fmb_assembly --seeds 1 2 3 --out runs/hil

Trains each arm with every seed to the same number of environment steps (of which the operator's are some), keeps a
snapshot of the policy every so many, and tries each, alone and without exploration noise, on the same locked scenes.
Writes `hil.json` (per point the success rate of each arm with its 95 % interval over scenes and seeds, and their paired
difference) and `hil.png`. The simulated operator takes over by the rule of `rldg.policies.intervention.NoProgress`.
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
from rldg.stage import write_json

ARMS = {"interventions": "teleoperator", "none": ""}  # who takes over while the policy explores
COLOURS = {"interventions": "#1f6fb4", "none": "#b4541f"}
LABELS = {"interventions": "an operator intervenes", "none": "nobody does"}


@dataclass(frozen=True)
class Args:
    """Arguments of the pipeline."""

    task: str = "fmb_assembly"
    seeds: tuple[int, ...] = (1, 2, 3)
    # Environment steps of each training, and between the points of the curve.
    steps: int = 12_000
    every: int = 1_000
    # Locked scenes that each point is tried on.
    trials: int = 50
    # Processes that try a point.
    workers: int = 2
    out: Path = Path("runs/hil")


def configuration(args: Args, operator: str) -> SpecialistConfig:
    """Trains to the last step whatever it has learned: no candidates, so that steps are all that differs."""
    never = {"least_updates": 10**9, "confirm_episodes": 10**9}
    base = SpecialistConfig(max_env_steps=args.steps, snapshot_steps=args.every, operator=operator)
    return replace(base, **never)


def outcomes(args: Args, arm: str) -> list[np.ndarray]:
    """By point of the curve, whether each scene succeeded, (scenes, seeds)."""
    runs = []
    for seed in args.seeds:
        out = args.out / arm / str(seed)
        carry_out(train.Args(args.task, out / "specialist", seed, config=configuration(args, ARMS[arm])))
        points = []
        for steps in range(args.every, args.steps + 1, args.every):
            snapshot = out / "specialist" / "snapshots" / f"{steps:07d}"
            trial = out / "evaluation" / snapshot.name
            verb = evaluate.Args(
                (args.task,), str(snapshot), trial, episodes=args.trials, videos=0, workers=args.workers
            )
            carry_out(verb)
            points.append([t.success for t in read_trials(trial / "trials.jsonl")])
        runs.append(points)
    return list(np.array(runs, float).transpose(1, 2, 0))


def main(args: Args) -> None:
    """Trains, tries, and writes the curves."""
    curves = {arm: outcomes(args, arm) for arm in ARMS}
    points: list[dict[str, Any]] = []
    for index, (helped, alone) in enumerate(zip(*curves.values(), strict=True)):
        point: dict[str, Any] = {"env_steps": (index + 1) * args.every}
        for arm, scenes in zip(ARMS, (helped, alone), strict=True):
            point[arm] = {"rate": float(scenes.mean()), "interval95": success_interval(scenes)}
        points.append(point | {"difference": asdict(paired_difference(helped, alone))})
    about = {"task": args.task, "seeds": args.seeds, "trials": args.trials}
    write_json(args.out / "hil.json", about | {"points": points})
    draw(points, args.task, args.out / "hil.png")


def draw(points: list[dict[str, Any]], task: str, path: Path) -> None:
    """Both curves with their intervals as bands."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    steps = [point["env_steps"] for point in points]
    figure, axis = plt.subplots(figsize=(6, 3.6))
    for arm in ARMS:
        low, high = zip(*(point[arm]["interval95"] for point in points), strict=True)
        axis.plot(steps, [point[arm]["rate"] for point in points], color=COLOURS[arm], label=LABELS[arm])
        axis.fill_between(steps, low, high, color=COLOURS[arm], alpha=0.2, linewidth=0)
    axis.set(xlabel="environment steps", ylabel="success", ylim=(0, 1.02), title=task)
    axis.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

"""The demo: on one connector, data from reinforcement learning against data from teleoperation, end to end.

    make demo            or            python -m pipelines.demo --task vga_insertion --out runs/vga
    make demo GENERALIST=openvla

Trains a specialist; collects as many successes from it as from the simulated teleoperator; trains one small generalist
(Octo or OpenVLA) from scratch on each; tries all of them on the same locked scenes; writes report.html and
summary.json into the run folder.
A stage that has finished and whose inputs have not changed is reused.

Claim (RLDG, arXiv 2412.09858, section 4): fine-tuned on the same number of successful episodes, a generalist does
better on RL data than on teleoperated data. Expected on two idle cores: under ten minutes.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from pipelines import curve
from pipelines.generalists import Generalist, fine_tuning
from pipelines.summary import DemoSummary, Runs, write_summary
from pipelines.verbs import carry_out
from rldg.cli import collect, evaluate, report, train
from rldg.errors import RldgError
from rldg.evaluation.findings import GENERALISTS
from rldg.specialists.recipes import recipe
from rldg.stage import write_json
from rldg.tasks import load_task

ARMS = ("rl", "teleoperator")


@dataclass(frozen=True)
class Args:
    """Arguments of the demo."""

    # Task name, or path of a task YAML.
    task: str = "usb_a_insertion"
    # Run folder.
    out: Path = Path("runs/demo")
    # Successful episodes in each data set.
    episodes: int = 45
    # Locked scenes per evaluation.
    trials: int = 100
    # Locked scenes per point of the curves of success over training.
    curve_trials: int = 20
    # Seed of the specialist and of both collections.
    seed: int = 0
    # Training seeds of the generalists: one of each arm per seed.
    generalist_seeds: tuple[int, ...] = (0,)
    # Which generalist: octo-tiny or openvla-tiny.
    generalist: Generalist = "octo"
    # Updates of each generalist; by default its recipe's (docs/finetune.md, docs/openvla_finetune.md).
    updates: int | None = None
    # Whose habits the teleoperated data has: teleoperator, teleoperator:average or teleoperator:clumsy.
    teleoperator: str = "teleoperator"


def run(args: Args) -> DemoSummary:
    """All stages, two side by side where two cores can serve them."""
    started = time.monotonic()
    out = args.out
    say("1/5 specialist: 20 demonstrations, then reinforcement learning from state")
    carry_out(train.Args(args.task, out / "specialist", args.seed, config=recipe(load_task(args.task))))
    say(f"2/5 data: {args.episodes} successes of the specialist, {args.episodes} of the simulated teleoperator")
    collect_data(args)
    say(f"3/5 generalists: the same small {GENERALISTS[args.generalist]}, trained from scratch on each data set")
    runs = train_generalists(args)
    say(f"4/5 evaluation on {args.trials} locked scenes, the same for all")
    evaluate_all(args, runs)
    say("5/5 report")
    summary = write_summary(out, runs, args.generalist, args.episodes, time.monotonic() - started)
    carry_out(report.Args(out))
    print(summary.text(), f"\n  open {out / 'report.html'} in a browser")
    return summary


def collect_data(args: Args) -> None:
    """As many successes of the specialist, sampled as in the paper, as of the teleoperator."""
    actors = dict(zip(ARMS, (str(args.out / "specialist"), args.teleoperator), strict=True))
    carry_out(
        *(
            collect.Args(
                task=args.task,
                policy=policy,
                episodes=args.episodes,
                out=args.out / "data" / arm,
                count_successes=True,
                stochastic=arm == "rl",
                seed=args.seed,
            )
            for arm, policy in actors.items()
        )
    )


def train_generalists(args: Args) -> Runs:
    """One generalist per arm and training seed; the two arms side by side."""
    alone = len(args.generalist_seeds) == 1
    runs = {
        (arm, seed): args.out / "generalists" / arm / ("" if alone else f"seed_{seed}")
        for seed in args.generalist_seeds
        for arm in ARMS
    }
    for seed in args.generalist_seeds:
        data = {arm: (args.out / "data" / arm,) for arm in ARMS}
        carry_out(*(fine_tuning(args.generalist, data[arm], runs[arm, seed], seed, args.updates) for arm in ARMS))
    return runs


def evaluate_all(args: Args, runs: Runs) -> None:
    """Specialist and generalists on the locked scenes, and the generalists' curves of success over training."""
    generalists = args.out / "generalists"
    folders = [args.out / "specialist", *runs.values()]
    for folder in folders:
        name = folder.relative_to(generalists) if folder.is_relative_to(generalists) else folder.name
        carry_out(evaluate.Args((args.task,), str(folder), args.out / "evaluation" / name, episodes=args.trials))
    curves = {run: args.out / "curves" / folder.relative_to(generalists) for run, folder in runs.items()}
    for seed in args.generalist_seeds:
        carry_out(*(curve.Args(args.task, runs[arm, seed], curves[arm, seed], args.curve_trials) for arm in ARMS))
    points = [
        {"data": arm, "seed": seed} | point for (arm, seed), out in curves.items() for point in curve.read_curve(out)
    ]
    write_json(args.out / "curves.json", points)


def say(line: str) -> None:
    """Announces a stage."""
    print(f"\n== {line}", flush=True)


if __name__ == "__main__":
    try:
        run(tyro.cli(Args, description=__doc__))
    except RldgError as error:
        raise SystemExit(f"rldg: {error}") from None

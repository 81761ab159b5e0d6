"""Three seen connectors, four unseen ones: specialists, one generalist per kind of data, everything on locked scenes.

    make connectors      or            python -m pipelines.connectors --trials 50

As in the paper: one specialist per seen connector (USB-A, Ethernet, VGA), their roll-outs merged into one set of 45
successes (15 each), the same of the simulated teleoperator; one small generalist on each set; both tried on all seven
connectors. Each specialist is tried on all seven too.

Claim (RLDG, section 4): RL data does better on the seen connectors (OpenVLA +23, Octo +37 points) and on the unseen
ones (Octo 50/80). Expected on two idle cores: a quarter of an hour.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from pipelines.demo import ARMS, say
from pipelines.generalists import Generalist, fine_tuning
from pipelines.verbs import carry_out
from rldg.cli import collect, evaluate, report, train
from rldg.cli.output import table
from rldg.errors import RldgError
from rldg.evaluation.compare import compare, find_evaluations
from rldg.evaluation.findings import GENERALISTS
from rldg.evaluation.statistics import wilson
from rldg.stage import write_json
from rldg.tasks import load_task, task_names

SEEN = ("usb_a_insertion", "ethernet_insertion", "vga_insertion")


@dataclass(frozen=True)
class Args:
    """Arguments of the pipeline."""

    # Run folder.
    out: Path = Path("runs/connectors")
    # Successful episodes per seen connector in each data set.
    episodes: int = 15
    # Locked scenes per connector and policy.
    trials: int = 50
    # Which generalist: octo-tiny or openvla-tiny.
    generalist: Generalist = "octo"
    # Seed of every stage.
    seed: int = 0


def unseen() -> tuple[str, ...]:
    """Names of the held-out connectors, without their variants."""
    tasks = [load_task(name) for name in task_names()]
    return tuple(task.name for task in tasks if not task.seen and task.name.endswith("_insertion"))


def run(args: Args) -> None:
    """All stages; `summary.json` holds successes by policy and connector, and the paired differences."""
    out = args.out
    for number, task in enumerate(SEEN, start=1):
        say(f"specialist {number}/{len(SEEN)}: {task}")
        carry_out(train.Args(task=task, out=out / "specialists" / task, seed=args.seed))
    for task in SEEN:
        say(f"data: {args.episodes} successes each of specialist and teleoperator on {task}")
        actors = dict(zip(ARMS, (str(out / "specialists" / task), "teleoperator"), strict=True))
        carry_out(
            *(
                collect.Args(
                    task=task,
                    policy=policy,
                    episodes=args.episodes,
                    out=out / "data" / arm / task,
                    count_successes=True,
                    stochastic=arm == "rl",
                    seed=args.seed,
                )
                for arm, policy in actors.items()
            )
        )
    say(f"generalists: one {GENERALISTS[args.generalist]} per kind of data, on all three seen connectors")
    carry_out(
        *(
            fine_tuning(
                args.generalist,
                tuple(out / "data" / arm / task for task in SEEN),
                out / "generalists" / arm,
                args.seed,
            )
            for arm in ARMS
        )
    )
    connectors = (*SEEN, *unseen())
    policies = {arm: out / "generalists" / arm for arm in ARMS} | {task: out / "specialists" / task for task in SEEN}
    for name, folder in policies.items():
        say(f"evaluation of {name} on {len(connectors)} connectors")
        carry_out(evaluate.Args(connectors, str(folder), out / "evaluation" / name, episodes=args.trials, videos=1))
    summarise(out, tuple(policies))
    carry_out(report.Args(out))


def summarise(out: Path, policies: tuple[str, ...]) -> None:
    """Writes `summary.json` and prints the table."""
    found = {name: find_evaluations(out / "evaluation" / name) for name in policies}
    rows, cells, differences = [], [], {}
    for group, tasks in {"seen": SEEN, "unseen": unseen()}.items():
        arms = [[e for e in found[arm] if e.summary.task in tasks] for arm in ARMS]
        difference = compare(*arms).difference
        differences[group] = asdict(difference)
        rows.append(
            (
                group,
                "RL minus teleoperated",
                f"{difference.mean:+.1%}",
                f"{difference.low:+.1%} .. {difference.high:+.1%}",
            )
        )
        for name in policies:
            chosen = [e.summary for e in found[name] if e.summary.task in tasks]
            successes, trials = sum(s.successes for s in chosen), sum(s.trials for s in chosen)
            low, high = wilson(successes, trials)
            rows.append((group, name, f"{successes}/{trials}", f"{low:.1%} .. {high:.1%}"))
            cells += [
                {"policy": name, "connectors": group, "task": s.task, "successes": s.successes, "trials": s.trials}
                for s in chosen
            ]
    write_json(out / "summary.json", {"paired_differences": differences, "successes": cells})
    print(table(("connectors", "policy", "success", "95 % interval"), rows))


if __name__ == "__main__":
    try:
        run(tyro.cli(Args, description=__doc__))
    except RldgError as error:
        raise SystemExit(f"rldg: {error}") from None

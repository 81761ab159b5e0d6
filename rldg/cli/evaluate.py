"""Runs a policy on locked scenes, the same for every policy: success with its interval, cycle time, failures, videos.

Example: rldg evaluate usb_a_insertion ethernet_insertion --policy runs/octo --episodes 100 --out runs/evaluation
The same command continues an evaluation that was interrupted; more episodes extend it.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from rldg.cli.output import emit, table
from rldg.cli.station import check_workers, is_simulated
from rldg.errors import UsageError
from rldg.tasks import load_task


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg evaluate`."""

    # Task names, or paths of task YAMLs. With several, each gets a folder of its own in `out`.
    tasks: tyro.conf.Positional[tuple[str, ...]]
    # expert, teleoperator, the folder of a trained policy, or the address of a policy server, ws://HOST:PORT.
    policy: str
    # Folder of the results.
    out: Path
    # Where: a station's name, or the path of its YAML (docs/station.md).
    station: str = "sim"
    # Scenes per task, counted from the first locked one.
    episodes: int = 100
    # Processes that roll out; 0 for one per processor, or one in all on a physical station or with a person.
    workers: int = 0
    # Successes to film per task, and failures; 0 renders no more than the policy needs.
    videos: int = 3
    # Replace what `out` holds.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 when every task was evaluated, whatever the success."""
    if not args.tasks or args.episodes < 1 or args.workers < 0 or args.videos < 0:
        raise UsageError("Give at least one task, one episode, and no negative number of workers or videos.")
    tasks = {text: load_task(text) for text in args.tasks}
    if len({task.name for task in tasks.values()}) < len(args.tasks):
        raise UsageError("Each task can be evaluated once per command.")
    from rldg.evaluation.evaluate import EVALUATION_SEED, evaluate  # MuJoCo: not for --help
    from rldg.resolve import load_policy
    from rldg.workers import EpisodeRunner

    acting = load_policy(args.policy)
    attended = acting.real_time or any(task.judged_by_person for task in tasks.values())
    workers = args.workers or (os.cpu_count() or 1 if is_simulated(args.station) and not attended else 1)
    check_workers(args.station, tasks.values(), workers)
    if acting.real_time and workers != 1:
        raise UsageError("A person acts in one episode at a time: --workers 1.")
    about = acting.metadata
    place = {} if args.station == "sim" else {"station": args.station}
    summaries = []
    for text, task in tasks.items():
        summaries.append(
            evaluate(
                EpisodeRunner(
                    text,
                    args.policy,
                    EVALUATION_SEED,
                    cameras=bool(args.videos or about.image_sizes or acting.real_time),
                    station=args.station,
                ),
                args.out / task.name if len(tasks) > 1 else args.out,
                args.episodes,
                task=task,
                policy=args.policy,
                workers=workers,
                videos=args.videos,
                configuration=place,
                inputs={"policy": about.weight_hash},
                overwrite=args.overwrite,
            )
        )
    emit({"out": args.out, "evaluations": [asdict(summary) for summary in summaries]}, args.json, _text(summaries))
    return 0


def _text(summaries: list) -> str:
    rows = []
    for one in summaries:
        low, high = one.wilson95
        cycle = f"{one.cycle_steps:.1f} steps, {one.cycle_seconds:.2f} s" if one.successes else "-"
        reasons = ", ".join(f"{count} {reason}" for reason, count in one.failures.items()) or "-"
        success, interval = f"{one.successes}/{one.trials}", f"{low:.1%} .. {high:.1%}"
        rows.append((one.task, success, interval, cycle, reasons, one.infrastructure_faults))
    return table(("task", "success", "95 % interval", "cycle", "failures", "faults"), rows)

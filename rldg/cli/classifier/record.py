"""Records pictures that are labelled as success or not, as an RLDS data set. The same command continues an interrupted
recording; asking for more extends it.

By the simulator's truth, the policy is perturbed, so that near misses come up. By a key, hold the space bar while you
see a success, in the terminal that this runs in.

Examples:
  rldg classifier record usb_a_insertion --out runs/labels
  rldg classifier record usb_a_insertion --labels key --policy teleoperator --out runs/labels
  rldg classifier record usb_a_insertion --labels key --policy browser --station stations/lab.yaml --out runs/labels
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from rldg.cli.output import emit
from rldg.errors import UsageError
from rldg.tasks import load_station, load_task

STEPS = 40  # of an episode that is labelled by truth


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg classifier record`."""

    # Task name, or path of a task YAML.
    task: tyro.conf.Positional[str]
    # Folder of the data set.
    out: Path
    # Where: a station's name, or the path of its YAML (docs/station.md).
    station: str = "sim"
    # Who labels: the simulator, or a person who holds the space bar.
    labels: Literal["truth", "key"] = "truth"
    # Who acts, as in `rldg collect`.
    policy: str = "expert"
    # Pictures of success that the data set shall hold at least.
    positives: int = 200
    # Other pictures that it shall hold at least.
    negatives: int = 1000
    # Control steps per episode; by default 40 with --labels truth, and the task's horizon with --labels key.
    steps: int | None = None
    # Name of the person who labels or teleoperates, for the record.
    operator: str = ""
    # Seed from which every episode's seed descends.
    seed: int = 0
    # Replace what another recording left in the folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once the data set holds the labels that were asked for."""
    if args.positives < 1 or args.negatives < 1 or (args.steps is not None and args.steps < 1):
        raise UsageError("--positives, --negatives and --steps must be at least 1.")
    task, station, by_hand = load_task(args.task), load_station(args.station), args.labels == "key"
    if not by_hand and station.backend != "mujoco":
        raise UsageError(f"Station '{args.station}' does not know the truth; label by --labels key.")
    from rldg.classifiers.labels import HeldSwitch, truth  # TFDS and MuJoCo: not for --help
    from rldg.classifiers.perturbed import Perturbed
    from rldg.classifiers.record import record, recording_env
    from rldg.resolve import load_policy
    from rldg.robots.terminal_key import TerminalKey
    from rldg.rollout.pace import Pace

    policy = load_policy(args.policy)
    env = recording_env(task, args.steps or (task.horizon if by_hand else STEPS), station)
    result = record(
        env,
        policy if by_hand else Perturbed(policy),
        HeldSwitch(TerminalKey()) if by_hand else truth,
        args.out,
        labels_by=args.labels,
        positives=args.positives,
        negatives=args.negatives,
        seed=args.seed,
        operator=args.operator,
        subscribers=(Pace(task.rate),) if by_hand else (),
        overwrite=args.overwrite,
    )
    text = f"{result['positives']} positives and {result['negatives']} negatives in {result['episodes']} episodes"
    emit({"task": task.name, "out": args.out, **result}, args.json, f"{text}; {args.out}")
    return 0

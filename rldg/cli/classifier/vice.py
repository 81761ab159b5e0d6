"""Trains a specialist and the reward classifier that judges it together (VICE): only positives are needed, and what the
policy itself runs into serves as negatives. The same command continues a training that was interrupted.

Examples:
  rldg classifier vice usb_a_insertion --data runs/labels --out runs/vice
  rldg evaluate usb_a_insertion --policy runs/vice/specialist --out runs/vice-evaluation
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from rldg.cli.output import emit
from rldg.errors import UsageError
from rldg.specialists.config import SpecialistConfig
from rldg.tasks import load_task

THRESHOLD = 0.5  # as in SERL: a classifier that is trained on true successes too never gets sure of them


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg classifier vice`."""

    # Task name, or path of a task YAML.
    task: tyro.conf.Positional[str]
    # Data sets that `rldg classifier record` wrote; only their positives are used.
    data: tuple[Path, ...]
    # Run folder: `specialist/`, `classifier/`, and `task.yaml`, the task as it is judged.
    out: Path
    # Probability from which on it is a success.
    threshold: float = THRESHOLD
    # Seed of everything random.
    seed: int = 0
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False
    # Sizes, rates and budget of the specialist's training. The pictures of every step are kept.
    config: SpecialistConfig = field(default_factory=lambda: SpecialistConfig(max_env_steps=10_000))


def main(args: Args) -> int:
    """Exit status 0 with a specialist, 1 when the budget ended before any candidate had succeeded."""
    if not args.data or not 0 < args.threshold < 1:
        raise UsageError("Give at least one --data folder, and a --threshold between 0 and 1.")
    task = load_task(args.task)
    from rldg.classifiers.train import TASK_FILE, write_task  # JAX and TFDS: not for --help
    from rldg.classifiers.vice import Vice, ViceConfig, positives_of, unlearned
    from rldg.classifiers.vice_actor import MakeWatched, ViceActor, first_classifier
    from rldg.specialists.spec import AgentSpec
    from rldg.specialists.train import single_threaded_xla, train

    single_threaded_xla()
    positives, newest, specialist = positives_of(args.data), args.out / "classifier", args.out / "specialist"
    args.out.mkdir(parents=True, exist_ok=True)
    write_task(args.out / TASK_FILE, task, newest, unlearned(task.name, positives), args.threshold)
    judged, vice = load_task(args.out / TASK_FILE), ViceConfig()
    cameras = tuple(name for name, _ in AgentSpec.of(args.config, judged).cameras)
    first = first_classifier(judged, positives, args.out / "first_classifier", vice, args.seed)
    train(
        judged,
        specialist,
        args.config,
        args.seed,
        overwrite=args.overwrite,
        make_env=MakeWatched(args.out / "first_classifier", cameras),
        actor=ViceActor,
        judging=Vice(first, positives, args.threshold, newest, vice, args.seed),
    )
    result = json.loads((specialist / "stage.json").read_text(encoding="utf-8"))["result"]
    text = (
        f"{specialist}: {result['successes_in_a_row']} successes in a row by the classifier's verdict, after "
        f"{result['train_seconds']:.0f} s"
    )
    emit({"task": task.name, "out": args.out, **result}, args.json, text)
    return 0 if result["successes_in_a_row"] else 1

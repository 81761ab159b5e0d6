"""Trains a reward classifier on labelled pictures, tests it on held-out episodes, and writes the task that it judges.

Examples:
  rldg classifier train usb_a_insertion --data runs/labels --out runs/classifier
  rldg train runs/classifier/task.yaml --out runs/specialist
"""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from rldg.classifiers.config import ClassifierConfig
from rldg.cli.classifier.shared import quality
from rldg.cli.output import emit
from rldg.errors import UsageError
from rldg.tasks import load_task


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg classifier train`."""

    # Task name, or path of a task YAML.
    task: tyro.conf.Positional[str]
    # Data sets that `rldg classifier record` wrote.
    data: tuple[Path, ...]
    # Run folder.
    out: Path
    # Cameras through which it looks; by default all of the data.
    cameras: tuple[str, ...] = ()
    # Probability from which on it is a success.
    threshold: float = 0.85
    # Seed of weights, batches and augmentation.
    seed: int = 0
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False
    # Sizes and rates of the training.
    config: ClassifierConfig = field(default_factory=ClassifierConfig)


def main(args: Args) -> int:
    """Exit status 0 with a classifier, however good."""
    if not args.data or not 0 < args.threshold < 1:
        raise UsageError("Give at least one --data folder, and a --threshold between 0 and 1.")
    task = load_task(args.task)
    from rldg.classifiers.train import train_classifier  # JAX and TFDS: not for --help

    result = train_classifier(
        task,
        args.data,
        args.out,
        args.config,
        cameras=args.cameras,
        threshold=args.threshold,
        seed=args.seed,
        overwrite=args.overwrite,
    )
    text = f"{quality(result)}\n{args.out}/report.html shows the mistakes; {args.out}/task.yaml is judged by it"
    emit({"out": args.out, **result}, args.json, text)
    return 0

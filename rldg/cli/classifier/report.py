"""What a reward classifier is worth on labelled pictures that it was not trained on: precision and recall over
thresholds, its mistakes as pictures, and its agreement with the simulator's truth, as report.html and report.json.

Example: rldg classifier report runs/classifier --data runs/other-labels --out runs/classifier-report
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.classifier.shared import quality
from rldg.cli.output import emit
from rldg.errors import UsageError


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg classifier report`."""

    # The run folder of the classifier.
    classifier: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Data sets of labelled pictures.
    data: tuple[Path, ...]
    # Folder of the report.
    out: Path
    # Probability from which on it is a success.
    threshold: float = 0.85
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 with a report, whatever it says."""
    if not args.data or not 0 < args.threshold < 1:
        raise UsageError("Give at least one --data folder, and a --threshold between 0 and 1.")
    from rldg.classifiers.examples import read_examples  # TFDS: not for --help
    from rldg.classifiers.report import write_report
    from rldg.env.classifier import load_classifier

    classifier = load_classifier(args.classifier)
    examples = read_examples(args.data, sorted(classifier.resolutions))
    about = {"task": classifier.task, "classifier": str(args.classifier), "data": ", ".join(map(str, args.data))}
    report = write_report(args.out, classifier, examples, threshold=args.threshold, about=about)
    emit({"out": args.out, **report}, args.json, f"{quality(report)}; {args.out}/report.html")
    return 0

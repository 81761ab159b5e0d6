"""What the verbs about classifiers say alike."""

from collections.abc import Mapping
from typing import Any


def quality(report: Mapping[str, Any]) -> str:
    """A report in one line."""
    shares = ", ".join(
        f"{name} {'none' if report[name] is None else format(report[name], '.1%')}" for name in ("precision", "recall")
    )
    return (
        f"{shares} at {report['threshold']}, on {report['positives']} positives and {report['negatives']} negatives of "
        f"{report['episodes']} episodes"
    )

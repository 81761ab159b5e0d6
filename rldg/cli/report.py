"""Writes one self-contained HTML page about a folder of runs: curves, success, cycle times, actions, videos.

Example: rldg report runs/demo
Whatever the folder lacks is left out, and the page names it.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from rldg.cli.output import emit


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg report`."""

    # Folder with training runs, data sets and evaluations, at any depth.
    folder: tyro.conf.Positional[Path]
    # The page; report.html in the folder by default.
    out: Path | None = None
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 when the page was written."""
    from rldg.evaluation.report import write_report  # matplotlib: not for --help

    page = write_report(args.folder, args.out)
    emit({"report": page, "bytes": page.stat().st_size}, args.json, f"Report: {page}")
    return 0

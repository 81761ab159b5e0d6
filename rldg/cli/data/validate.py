"""Checks a data set: files, fields, numbers, actions against the motion that followed, pictures, labels, duplicates.

Examples:
  rldg data validate runs/data
  rldg data validate runs/data --write-manifest
  rldg data validate runs/data --skip scene balance
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rldg.cli.output import emit, table

if TYPE_CHECKING:
    from rldg.data.validation import Report

SHOWN = 5  # findings of one kind that are printed; --json lists more


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data validate`."""

    # The data set: the folder with `features.json`.
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    # Checks to leave out, by the names that the output lists.
    skip: tuple[str, ...] = ()
    # Write SHA256SUMS, if nothing else is wrong.
    write_manifest: bool = False
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 when there is no fault (warnings may be), else 1."""
    from rldg.data.manifest import write_manifest  # TFDS: not for --help
    from rldg.data.validation import validate

    skip = {*args.skip, "manifest"} if args.write_manifest else set(args.skip)
    report = validate(args.folder, skip=skip, progress=True)
    written = write_manifest(args.folder) if args.write_manifest and report.ok else None
    text = "\n".join(_lines(report)) + (f"\nwrote {written}" if written else "")
    emit(report.as_dict() | {"folder": args.folder, "manifest": written}, args.json, text)
    return 0 if report.ok else 1


def _lines(report: "Report") -> Iterator[str]:
    seen: dict[str, int] = {}
    rows = []
    for finding in report.findings:
        seen[finding.kind] = seen.get(finding.kind, 0) + 1
        if seen[finding.kind] <= SHOWN:
            rows.append((finding.severity, finding.kind, finding.place, finding.what, finding.right))
    if rows:
        yield table(("severity", "kind", "where", "what", "right would be"), rows) + "\n"
    for (severity, kind), count in report.counts.items():
        if count > SHOWN:
            yield f"{kind}: {count} {severity}s in all, the first {SHOWN} shown"
    for name, reason in report.skipped.items():
        yield f"not checked: {name} ({reason})"
    episodes = ", ".join(f"{_counted(count, 'episode')} in split '{split}'" for split, count in report.episodes.items())
    faults, warnings = _counted(report.faults, "fault"), _counted(report.warnings, "warning")
    yield f"{episodes or 'no episodes'}, {_counted(report.steps, 'step')}: {faults}, {warnings}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

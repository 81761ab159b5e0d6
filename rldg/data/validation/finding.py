"""What validation reports: findings, each with its place, and the whole report."""

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["fault", "warning"]

MOST_KEPT = 100  # findings of one kind that are kept; the rest are counted


@dataclass(frozen=True)
class Place:
    """Where something was found; what does not apply is empty or None."""

    split: str = ""
    file: str = ""  # name within the data set's folder
    record: int | None = None  # its place in the file
    episode: int | None = None  # its number in the split, as `rldg data show` counts
    step: int | None = None

    def __str__(self) -> str:
        numbers = [f"{name} {n}" for name in ("record", "episode", "step") if (n := getattr(self, name)) is not None]
        return ", ".join([*([self.file] if self.file else []), *numbers]) or self.split


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in words that need no look at the code."""

    kind: str  # one of docs/validate.md, for example "action_lag"
    what: str  # what was found
    right: str  # what would be right
    place: Place = field(default_factory=Place)
    severity: Severity = "fault"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the place's parts beside the rest, absent where they do not apply."""
        where = {name: value for name, value in vars(self.place).items() if value not in ("", None)}
        return {"kind": self.kind, "severity": self.severity, **where, "what": self.what, "right": self.right}


@dataclass
class Report:
    """What a validation found. At most `MOST_KEPT` findings of a kind are kept; all are counted."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[tuple[Severity, str], int] = field(default_factory=dict)  # (severity, kind) -> all that were found
    skipped: dict[str, str] = field(default_factory=dict)  # check -> why it could not look
    episodes: dict[str, int] = field(default_factory=dict)  # split -> episodes that could be read
    steps: int = 0

    def add(self, finding: Finding) -> None:
        """Takes a finding in."""
        key = (finding.severity, finding.kind)
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.counts[key] <= MOST_KEPT:
            self.findings.append(finding)

    @property
    def faults(self) -> int:
        """Number of faults."""
        return sum(count for (severity, _), count in self.counts.items() if severity == "fault")

    @property
    def warnings(self) -> int:
        """Number of warnings: what a user should know but may want."""
        return sum(count for (severity, _), count in self.counts.items() if severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return self.faults == 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "ok": self.ok,
            "faults": self.faults,
            "warnings": self.warnings,
            "episodes": self.episodes,
            "steps": self.steps,
            "findings": [finding.as_dict() for finding in self.findings],
            "counts": {kind: count for (_, kind), count in self.counts.items()},
            "skipped": self.skipped,
        }

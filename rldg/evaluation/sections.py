"""What the report says, section by section, as plain values for its template."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rldg.errors import DatasetError
from rldg.evaluation.actions import energy_distance
from rldg.evaluation.compare import Comparison, compare, outcome_table
from rldg.evaluation.findings import Arm, Findings
from rldg.evaluation.paper import ROWS, group_of
from rldg.evaluation.statistics import success_interval

FILMS_PER_OUTCOME = 2  # of each arm and task


@dataclass(frozen=True)
class Rate:
    """A success count with its 95 % interval, over the scenes that all of an arm's runs share."""

    successes: int
    trials: int
    low: float
    high: float
    runs: int

    @property
    def share(self) -> float:
        """Successes over trials."""
        return self.successes / self.trials

    @property
    def interval(self) -> str:
        """The interval in words."""
        return f"{100 * self.low:.0f} to {100 * self.high:.0f} %"


@dataclass(frozen=True)
class Film:
    """One video with what it shows."""

    path: Path
    arm: str
    task: str
    success: bool


def rate(arm: Arm) -> Rate | None:
    """The arm's success rate; None when it was not tried."""
    _, outcomes = outcome_table(arm.evaluations)
    if not outcomes.size:
        return None
    low, high = success_interval(outcomes)
    return Rate(int(outcomes.sum()), outcomes.size, low, high, outcomes.shape[1])


def arm_of(findings: Findings, key: str, group: str | None = None) -> Arm | None:
    """The arm of that key, restricted to the paper's `group` of tasks; None when there is no such evaluation."""
    for arm in findings.arms:
        if arm.key == key:
            kept = arm if group is None else arm.only(task for task in arm.tasks if group_of(task) == group)
            return kept if kept.evaluations else None
    return None


def main_group(findings: Findings) -> str:
    """The tasks that the headline is about: the paper's seen ones if any was tried, else unseen, else the rest."""
    groups = {group_of(task) for arm in findings.arms for task in arm.tasks}
    return next((group for group in ("seen", "unseen") if group in groups), "")


def comparison(findings: Findings, group: str) -> Comparison | None:
    """RL data against teleoperated data on those tasks of `group` that both were tried on; None if there is no pair."""
    a, b = arm_of(findings, "rl", group), arm_of(findings, "teleoperator", group)
    if a is None or b is None:
        return None
    tasks = set(a.tasks) & set(b.tasks)
    try:
        return compare(a.only(tasks).evaluations, b.only(tasks).evaluations)
    except DatasetError:
        return None


def points(difference: Comparison) -> str:
    """A paired difference in words, in percentage points."""
    found = difference.difference
    return f"{100 * found.mean:+.0f} points [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"


def verdict(found: Comparison) -> str:
    """What the interval of the difference allows to say."""
    if found.difference.low > 0:
        return "RL data does better: the whole interval lies above zero."
    if found.difference.high < 0:
        return "Teleoperated data does better: the whole interval lies below zero."
    return "The interval contains zero: these trials do not show a difference."


def paper_rows(findings: Findings) -> list[dict[str, Any]]:
    """The paper's lines with what was measured here beside them; lines without a number on either side are left out."""
    rows = []
    for row in ROWS:
        measured = ""
        if row.arm == "difference":
            found = comparison(findings, row.group)
            measured = points(found) if found else ""
        elif (arm := arm_of(findings, row.arm, row.group)) and (found := rate(arm)):
            measured = f"{found.successes}/{found.trials} ({found.interval})"
        if measured or row.octo or row.openvla:
            rows.append({"row": row, "measured": measured})
    return rows


def task_rows(findings: Findings) -> list[dict[str, Any]]:
    """One line per task and arm: success, cycle time, failures by reason, faults of the set-up."""
    rows = []
    for task in sorted({task for arm in findings.arms for task in arm.tasks}):
        for arm in findings.arms:
            own = arm.only([task])
            found = rate(own)
            if found is None:
                continue
            failures = Counter[str]()
            for one in own.evaluations:
                failures.update(one.summary.failures)
            successes = [t for one in own.evaluations for t in one.trials if t.success]
            rows.append(
                {
                    "task": task,
                    "arm": arm,
                    "rate": found,
                    "steps": sum(t.steps for t in successes) / len(successes) if successes else None,
                    "seconds": sum(t.seconds for t in successes) / len(successes) if successes else None,
                    "successes": len(successes),
                    "failures": failures,
                    "faults": sum(one.summary.infrastructure_faults for one in own.evaluations),
                    "penetration": max(one.summary.penetration for one in own.evaluations),
                }
            )
    return rows


def success_seconds(arm: Arm) -> list[float]:
    """Seconds of every success."""
    return [trial.seconds for one in arm.evaluations for trial in one.trials if trial.success]


def films(findings: Findings) -> list[Film]:
    """A few successes and failures of every arm and task."""
    chosen = []
    for arm in findings.arms:
        for task in arm.tasks:
            for kind in ("success", "failure"):
                paths = [
                    p
                    for one in arm.only([task]).evaluations
                    for p in sorted(one.folder.glob(f"videos/[!.]*_{kind}.mp4"))
                ]
                chosen += [Film(path, arm.label, task, kind == "success") for path in paths[:FILMS_PER_OUTCOME]]
    return chosen


def action_distance(findings: Findings) -> float | None:
    """Energy distance between the two data sets' moves near the socket, in shares of the largest step."""
    samples = [found.xy for found in findings.actions.values() if len(found.xy)]
    return energy_distance(*samples) if len(samples) == 2 else None


def stage_rows(findings: Findings) -> list[dict[str, Any]]:
    """Every stage in the order in which they began."""
    rows = [{"name": name, **record} for name, record in findings.stages]
    for row in rows:
        row["started"] = datetime.fromisoformat(row["began"]) if row.get("began") else None
    longest = max((row.get("duration_seconds", 0) for row in rows), default=0) or 1
    for row in rows:
        row["share"] = row.get("duration_seconds", 0) / longest
    return sorted(rows, key=lambda row: row.get("began", ""))


def missing(findings: Findings, shown: Sequence[tuple[object, str]]) -> list[str]:
    """In words, what the folder lacks for a full report: the notes of whatever is empty, and what could not be read."""
    return [note for content, note in shown if not content] + findings.problems

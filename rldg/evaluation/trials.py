"""What one trial leaves behind: a line of `trials.jsonl`, and the summary over all lines."""

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rldg.errors import DatasetError
from rldg.evaluation.statistics import wilson
from rldg.rollout.episode import Episode


@dataclass(frozen=True)
class Trial:
    """One attempt on one locked scene."""

    index: int
    seed: int  # fixes the scene; equal for every policy
    task_hash: str
    success: bool
    failure_reason: str  # "" on success
    steps: int  # control steps
    seconds: float  # steps over the control rate
    penetration: float  # deepest contact [m]; simulation only
    checkpoint_hash: str = ""
    truth: str = ""  # "success" or "failure" by the simulator, where another judged; "" if unknown

    @classmethod
    def of(cls, index: int, episode: Episode) -> "Trial":
        """The record of `episode`, which was scene number `index`."""
        about = episode.metadata
        return cls(
            index=index,
            seed=about.seed,
            task_hash=about.task_hash,
            success=about.success,
            failure_reason=about.failure_reason,
            steps=len(episode),
            seconds=len(episode) / json.loads(about.action_contract)["rate"],
            penetration=about.penetration,
            checkpoint_hash=about.checkpoint_hash,
            truth=about.truth,
        )


@dataclass(frozen=True)
class Summary:
    """The content of `summary.json`. Cycle times are means over the successes, whose count stands beside them."""

    task: str
    policy: str
    successes: int
    trials: int
    wilson95: tuple[float, float]
    cycle_steps: float | None  # None: no success
    cycle_seconds: float | None
    failures: dict[str, int]  # reason -> count
    seeds: list[int]
    infrastructure_faults: int  # faults of the set-up, which say nothing about the policy and are in no other number
    penetration: float  # deepest contact of all trials [m]; simulation only
    true_successes: int | None = None  # by the simulator's truth, where another judged; None where it is not known


def summarise(task: str, policy: str, trials: list[Trial], infrastructure_faults: int = 0) -> Summary:
    """Sums up the trials of one policy on one task."""
    successes = [trial for trial in trials if trial.success]
    failures = Counter(trial.failure_reason for trial in trials if not trial.success)
    return Summary(
        task=task,
        policy=policy,
        successes=len(successes),
        trials=len(trials),
        wilson95=wilson(len(successes), len(trials)),
        cycle_steps=sum(trial.steps for trial in successes) / len(successes) if successes else None,
        cycle_seconds=sum(trial.seconds for trial in successes) / len(successes) if successes else None,
        failures=dict(failures.most_common()),
        seeds=[trial.seed for trial in trials],
        infrastructure_faults=infrastructure_faults,
        penetration=max((trial.penetration for trial in trials), default=0.0),
        true_successes=sum(t.truth == "success" for t in trials) if all(t.truth for t in trials) else None,
    )


def append_line(path: Path, record: object) -> None:
    """Appends one JSON line that has reached the disk when this returns."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def append_trial(path: Path, trial: Trial) -> None:
    """Appends `trial` durably."""
    append_line(path, asdict(trial))


def read_lines(path: Path) -> list[dict]:
    """The whole lines of a JSON-lines file; a last line that a process is writing, or was killed at, is left out."""
    whole = _whole_lines(path)
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} holds a line that is not JSON ({error}); start afresh with --overwrite.") from None


def cut_unfinished_line(path: Path) -> None:
    """Cuts off the last line if a killed process left it unfinished, so that lines can be appended again."""
    whole = _whole_lines(path)
    if path.exists() and path.stat().st_size > len(whole):
        os.truncate(path, len(whole))


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def read_trials(path: Path) -> list[Trial]:
    """The trials of a `trials.jsonl`, by index."""
    try:
        return sorted((Trial(**line) for line in read_lines(path)), key=lambda trial: trial.index)
    except TypeError as error:
        raise DatasetError(f"{path} holds something that is not a trial ({error}).") from None


def read_summary(path: Path) -> Summary:
    """A `summary.json` that an evaluation wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Summary(**(content | {"wilson95": tuple(content["wilson95"])}))
    except (json.JSONDecodeError, KeyError, TypeError, FileNotFoundError) as error:
        raise DatasetError(f"{path} is not the summary of an evaluation ({error}).") from None

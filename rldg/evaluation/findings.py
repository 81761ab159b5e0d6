"""Reads whatever a folder of runs holds: evaluations, learning curves, data sets, stage records."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rldg.errors import DatasetError
from rldg.evaluation.actions import SocketActions, socket_actions
from rldg.evaluation.compare import Evaluation, find_evaluations, outcome_table
from rldg.evaluation.trials import read_lines

# Folder names that say where a policy came from, with how the report calls it, best first.
ARMS = {
    "specialist": "RL specialist",
    "rl": "Generalist, RL data",
    "teleoperator": "Generalist, teleoperated data",
}
# Evaluations below a folder of this name are points of a curve over training, of policies that nobody is meant to use.
CURVES = "curves"
GENERALISTS = {"octo": "Octo", "openvla": "OpenVLA"}
DATA = {"rl": "RL data", "teleoperator": "Teleoperated data"}


@dataclass(frozen=True)
class Arm:
    """The evaluations of one kind of policy: one or several tasks, one or several training seeds."""

    key: str
    label: str
    evaluations: list[Evaluation]

    def only(self, tasks: Iterable[str]) -> "Arm":
        """The part of it that is about `tasks`."""
        kept = set(tasks)
        return Arm(self.key, self.label, [one for one in self.evaluations if one.summary.task in kept])

    @property
    def tasks(self) -> list[str]:
        """Names of its tasks."""
        return sorted({one.summary.task for one in self.evaluations})


@dataclass(frozen=True)
class Findings:
    """Everything that was found in `folder`. What is absent is empty."""

    folder: Path
    arms: list[Arm]
    summary: dict[str, Any]  # the pipeline's own summary.json
    specialist: dict[str, list[dict[str, float]]]  # run -> lines of its metrics.jsonl
    curves: list[dict[str, Any]]  # success of generalists against updates
    actions: dict[str, SocketActions]  # "rl", "teleoperator" -> moves near the socket
    stages: list[tuple[str, dict[str, Any]]]  # path and content of every stage.json
    problems: list[str] = field(default_factory=list)  # what could not be read, in words


def gather(folder: Path) -> Findings:
    """Reads `folder`. Raises `DatasetError` if it does not exist or holds neither a stage nor an evaluation."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder.")
    stages = [(_name(path.parent, folder), _read(path)) for path in _files(folder, "stage.json")]
    finished = [one for one in find_evaluations(folder) if CURVES not in one.folder.relative_to(folder).parts]
    arms, problems = _checked(_arms(finished, folder))
    if not stages and not arms:
        raise DatasetError(f"{folder} holds no run: no stage.json and no evaluation was found in it or below.")
    summary = _read(folder / "summary.json") if (folder / "summary.json").exists() else {}
    curves = _read(folder / "curves.json") if (folder / "curves.json").exists() else []
    actions, more = _actions(folder)
    return Findings(folder, arms, summary, _specialist(folder), curves, actions, stages, problems + more)


def _files(folder: Path, name: str) -> list[Path]:
    return [path for path in sorted(folder.rglob(name)) if CURVES not in path.relative_to(folder).parts]


def _arms(evaluations: list[Evaluation], folder: Path) -> list[Arm]:
    arms: dict[str, Arm] = {}
    for evaluation in evaluations:
        parts = evaluation.folder.relative_to(folder).parts
        key = next((part for part in parts if part in ARMS), "")
        key = key or evaluation.summary.policy
        label = ARMS.get(key) or "/".join(Path(key).parts[-2:])
        arms.setdefault(key, Arm(key, label, [])).evaluations.append(evaluation)
    order = list(ARMS)
    return sorted(arms.values(), key=lambda arm: (order.index(arm.key) if arm.key in order else len(order), arm.key))


def _checked(arms: list[Arm]) -> tuple[list[Arm], list[str]]:
    """The arms that can be summed up, and why others cannot."""
    kept, problems = [], []
    for arm in arms:
        try:
            outcome_table(arm.evaluations)
            kept.append(arm)
        except DatasetError as error:
            problems.append(str(error))
    return kept, problems


def _specialist(folder: Path) -> dict[str, list[dict[str, float]]]:
    runs = {}
    for path in sorted(folder.rglob("metrics.jsonl")):
        lines = [line for line in read_lines(path) if "env_steps" in line and "success" in line]
        if lines:
            runs[_name(path.parent, folder)] = lines
    return runs


def _actions(folder: Path) -> tuple[dict[str, SocketActions], list[str]]:
    actions, problems = {}, []
    for path in sorted(folder.rglob("features.json")):
        key = next((part for part in path.relative_to(folder).parts if part in DATA), "")
        if not key:
            continue
        try:
            found = socket_actions(path.parent)
            actions[key] = actions[key] + found if key in actions else found
        except DatasetError as error:
            problems.append(str(error))
    return actions, problems


def _name(path: Path, folder: Path) -> str:
    name = str(path.relative_to(folder))
    return folder.name if name == "." else name


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} is not valid JSON ({error}).") from None

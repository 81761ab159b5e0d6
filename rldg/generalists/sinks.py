"""Where a training's numbers go. A resumed training writes what comes after its checkpoint again."""

import importlib
import importlib.util
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tensorboardX import SummaryWriter

from rldg.errors import UsageError
from rldg.stage import write_json

METRICS, IDENTITY = "metrics.jsonl", "wandb.json"


class Sink(Protocol):
    """Takes numbers by name."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """The numbers of `step`."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


OpenSinks = Callable[[int], Sequence[Sink]]  # from the step at which a training goes on


def open_sinks(folder: Path, step: int, *, wandb: str, configuration: Mapping[str, Any]) -> list[Sink]:
    """Everywhere that a training's numbers go from `step` on; to Weights & Biases if `wandb` names a project."""
    online = [Wandb(wandb, folder, configuration)] if wandb else []
    return [JsonLines(folder, step), TensorBoard(folder, step), *online]


class JsonLines:
    """One line per report in `metrics.jsonl`. On a resume, lines from `step` on are dropped: they come again."""

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / METRICS
        kept = _lines_before(path, step)
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115, open as long as the training runs
        self._file.writelines(kept)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends a line."""
        self._file.write(json.dumps({"step": step} | dict(metrics)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoard:
    """Scalars in `tensorboard/`, written without TensorFlow."""

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """One point on each curve."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes."""
        self._writer.close()


class Wandb:
    """A run of Weights & Biases, offline if WANDB_MODE says so. The run folder's name is the run's."""

    def __init__(self, project: str, folder: Path, configuration: Mapping[str, Any]) -> None:
        wandb: Any = importlib.import_module("wandb")
        self._run = wandb.init(
            project=project,
            name=folder.resolve().name,
            dir=str(folder),
            config=dict(configuration),
            id=_identity(folder),
            resume="allow",
        )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs; steps that wandb has seen already are ignored by it."""
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()


def require_wandb() -> None:
    """Raises `UsageError` if the package is not installed."""
    if importlib.util.find_spec("wandb") is None:
        raise UsageError("--wandb needs the package wandb: pip install wandb, or leave the option out.")


def _identity(folder: Path) -> str:
    """The same for all attempts at one run; another after --overwrite, which empties the folder."""
    path = folder / IDENTITY
    if not path.exists():
        write_json(path, {"id": uuid.uuid4().hex})
    return json.loads(path.read_text(encoding="utf-8"))["id"]


def _lines_before(path: Path, step: int) -> list[str]:
    kept: list[str] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            try:
                if json.loads(line)["step"] < step:
                    kept.append(line)
            except json.JSONDecodeError:  # the line that a killed process was writing
                break
    return kept

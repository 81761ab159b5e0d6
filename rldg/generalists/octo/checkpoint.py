"""Octo's checkpoint layout: `config.json`, `dataset_statistics.json` and, per step, `<step>/default/checkpoint`.

The weights are one msgpack map (`flax.serialization`), as in the original; nothing is pickled.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flax import serialization

from rldg.env.types import ActionContract
from rldg.errors import CheckpointError
from rldg.generalists.octo.config import ModelConfig, model_from_json, to_json
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.stage import write_json

CONFIG, STATISTICS, STATE = "config.json", "dataset_statistics.json", "state.msgpack"


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to act, or to train on."""

    model: ModelConfig
    params: Any
    statistics: dict[str, Any]  # data set -> statistics
    step: int
    weight_hash: str
    action_contract: ActionContract | None  # None: unknown, as with data that rldg did not record
    image_sizes: dict[str, int]  # camera -> pixels of the frames that it was trained on


def write_description(
    folder: Path,
    model: ModelConfig,
    config: FinetuneConfig,
    contract: ActionContract | None,
    image_sizes: dict[str, int],
) -> None:
    """Writes `config.json`."""
    content = {
        "model": to_json(model),
        "window_size": model.window,
        "finetune": to_json(config),
        "action_contract": None if contract is None else dataclasses.asdict(contract),
        "image_sizes": image_sizes,
    }
    write_json(folder / CONFIG, content)


def save_params(folder: Path, step: int, params: Any) -> None:
    """Writes the weights of one step, all or nothing."""
    final, temporary = folder / str(step), folder / f"{step}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "default").mkdir(parents=True)
    _write(temporary / "default" / "checkpoint", serialization.to_bytes(params))
    if final.exists():  # by a run that was killed before it could say so; the weights are the same
        shutil.rmtree(final)
    temporary.rename(final)


def checkpoint_steps(folder: Path) -> list[int]:
    """Steps whose weights are kept in `folder`, ascending."""
    return sorted(
        int(path.parents[1].name) for path in folder.glob("*/default/checkpoint") if path.parents[1].name.isdigit()
    )


def load_checkpoint(folder: Path, step: int | None = None) -> Checkpoint:
    """Reads the weights of `step` (the last by default); raises `CheckpointError` if they are missing or broken."""
    steps = checkpoint_steps(folder)
    if not steps or (step is not None and step not in steps):
        raise CheckpointError(f"{folder} has no checkpoint of step {'any' if step is None else step}; it has {steps}.")
    step = steps[-1] if step is None else step
    config, statistics = _read_json(folder / CONFIG), _read_json(folder / STATISTICS)
    path = folder / str(step) / "default" / "checkpoint"
    content = path.read_bytes()
    try:
        params = serialization.msgpack_restore(content)
        contract = config["action_contract"]
        return Checkpoint(
            model=model_from_json(config["model"]),
            params=params,
            statistics=statistics,
            step=step,
            weight_hash=hashlib.sha256(content).hexdigest()[:16],
            action_contract=None if contract is None else ActionContract(**contract),
            image_sizes=config["image_sizes"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} or the {CONFIG} beside it cannot be read: {error!r}.") from None


def save_state(folder: Path, state: Any) -> None:
    """Writes the whole training state, all or nothing."""
    temporary = folder / f"{STATE}.tmp"
    _write(temporary, serialization.to_bytes(state))
    temporary.replace(folder / STATE)


def load_state(folder: Path, fresh: Any) -> Any:
    """The saved training state in the structure of `fresh`, or `fresh` itself if none was saved yet."""
    path = folder / STATE
    if not path.exists():
        return fresh
    try:
        return serialization.from_bytes(fresh, path.read_bytes())
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); pass --overwrite to start afresh.") from None


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None

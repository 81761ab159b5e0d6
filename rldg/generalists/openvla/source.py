"""Where an OpenVLA comes from: what kind of folder it is, and what is fetched from the hub. Needs no PyTorch."""

import json
from pathlib import Path
from typing import Any

from rldg.errors import CheckpointError
from rldg.generalists.hub import download, hub_id, is_hub_id
from rldg.generalists.openvla.original_config import ARCHITECTURE, MODEL_TYPE

CONFIG, ADAPTER, STATISTICS = "config.json", "adapter_config.json", "dataset_statistics.json"

_DESCRIPTIONS = ("*.json", "*.model")
_WEIGHTS = ("*.safetensors",)


def is_openvla(source: str | Path) -> bool:
    """Whether a folder or a hub id is an OpenVLA's: its weights, an adapter for them, or a folder of its steps.

    Of a hub id only the small descriptions are fetched. Raises `CheckpointError` as `download`.
    """
    if is_hub_id(source):
        repository, revision = hub_id(source)
        folder = download(repository, (CONFIG, ADAPTER), revision)
    else:
        folder = Path(source)
    content = _peek(_latest(folder) / CONFIG)
    mine = content.get("model_type") == MODEL_TYPE or ARCHITECTURE in (content.get("architectures") or ())
    return mine or (_latest(folder) / ADAPTER).is_file()


def local_folder(source: str | Path, step: int | None = None) -> Path:
    """The folder on this machine that holds a checkpoint's files: of `step`, or of the last, where it has several.

    Raises `CheckpointError` if there is none.
    """
    if is_hub_id(source):
        repository, revision = hub_id(source)
        return download(repository, _DESCRIPTIONS + _WEIGHTS, revision)
    folder = Path(source)
    if not folder.is_dir():
        what = "is a file; a checkpoint is the folder that holds config.json" if folder.exists() else "does not exist"
        raise CheckpointError(f"{folder} {what}; a checkpoint on the hub is written hf://owner/name.")
    if step is None:
        return _latest(folder)
    if step not in checkpoint_steps(folder):
        raise CheckpointError(f"{folder} has no checkpoint of step {step}; it has {checkpoint_steps(folder)}.")
    return folder / str(step)


def checkpoint_steps(folder: Path) -> list[int]:
    """Steps that have a folder of their own in `folder`, ascending."""
    marked = {path.parent.name for mark in (CONFIG, ADAPTER) for path in folder.glob(f"*/{mark}")}
    return sorted(int(name) for name in marked if name.isdecimal())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises `CheckpointError` if the file is missing or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} {_what_else(path.parent)}.") from None
    except (ValueError, RecursionError) as error:  # of the encoding, the grammar, or thousands of brackets
        raise CheckpointError(f"{path} cannot be read: {error}.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__} instead of named entries.")
    return content


def _latest(folder: Path) -> Path:
    if any((folder / mark).is_file() for mark in (CONFIG, ADAPTER)):
        return folder
    steps = checkpoint_steps(folder)
    return folder / str(steps[-1]) if steps else folder


def _peek(path: Path) -> dict[str, Any]:
    """The content of a JSON file, empty if it is not to be had."""
    try:
        return read_json(path)
    except CheckpointError:
        return {}


def _what_else(folder: Path) -> str:
    """Of a folder without `config.json`: what is the matter with it, to follow its name in a sentence."""
    names = {path.name for path in folder.iterdir()}
    if not names:
        return "is empty"
    if any(name.endswith(".npz") for name in names):
        return "holds a specialist of `rldg train`, not an OpenVLA"
    if "stage.json" in names:
        return "holds a run that has not written a checkpoint yet"
    return f"holds no checkpoint of OpenVLA: it lacks {CONFIG}"

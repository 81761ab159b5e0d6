"""Octo's checkpoint layout, read and written: `config.json`, `dataset_statistics.json`, `example_batch.msgpack` and,
per step, `<step>/default/checkpoint`.

What the original has no place for stands in `config.json` under a key of our own; nothing is pickled.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from flax import serialization

from rldg.data.normalisation import Normalisation
from rldg.data.transform import ImageTransform
from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, DatasetError, StorageError
from rldg.generalists.hub import is_hub_id
from rldg.generalists.octo.config import ModelConfig, model_from_json, to_json
from rldg.generalists.octo.example_batch import example_batch
from rldg.generalists.octo.fit import check_fit
from rldg.generalists.octo.hub import download_checkpoint
from rldg.generalists.octo.images import image_transform
from rldg.generalists.octo.original_config import model_from_original
from rldg.generalists.octo.original_writing import model_to_original
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.restore import METADATA, OCDBT, WEIGHTS, read_params, what_else
from rldg.generalists.octo.tokenizer import TextTokenizer, keep_tokenizer
from rldg.generalists.octo.weights import NUMBERS, flat, packed, read_tree
from rldg.stage import flush_to_disk, write_durably, write_json

CONFIG, STATISTICS, EXAMPLE, STATE = (
    "config.json",
    "dataset_statistics.json",
    "example_batch.msgpack",
    "state.msgpack",
)
OWN = "rldg"  # our key in `config.json`
UNNAMED = "dataset"  # the key of statistics that an original fine-tuning wrote without one


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to act, or to train on."""

    model: ModelConfig
    params: Any
    statistics: dict[str, Any]  # data set -> statistics
    step: int
    weight_hash: str
    action_contract: ActionContract | None  # None: unknown, as with data that rldg did not record
    image_sizes: dict[str, int]  # camera -> pixels of the frames that it was trained on, 0 where nobody knows
    images: dict[str, ImageTransform]  # slot -> what is done to its pictures
    folder: Path  # where it lies, with its text tokenizer beside it
    lowdim: dict[str, int]  # entry of the observation that holds plain numbers -> how many


def write_description(
    folder: Path,
    model: ModelConfig,
    config: FinetuneConfig,
    contract: ActionContract | None,
    image_sizes: dict[str, int],
    *,
    lowdim: Mapping[str, int] | None = None,
    tokenizer: TextTokenizer | None = None,
) -> None:
    """Writes all but weights and statistics: `config.json`, `example_batch.msgpack` and the tokenizer's file.

    `lowdim` gives the sizes of what the model reads as plain numbers, see `example_batch`.
    """
    own = {
        "model": to_json(model),
        "finetune": to_json(config),
        "action_contract": None if contract is None else dataclasses.asdict(contract),
        "image_sizes": image_sizes,
        "images": {image.name: image_transform(image, config).model_dump() for image in model.images},
    }
    write_durably(folder / EXAMPLE, *packed(example_batch(model, lowdim or {})))
    if tokenizer:
        keep_tokenizer(tokenizer, folder)
    write_json(folder / CONFIG, model_to_original(model) | {OWN: own})


def save_params(folder: Path, step: int, params: Any) -> None:
    """Writes the weights of one step, all or nothing; raises `StorageError` if the disk does not take them."""
    final, temporary = folder / str(step), folder / f"{step}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        (temporary / "default").mkdir(parents=True)
        with open(temporary / "default" / WEIGHTS, "wb") as file:
            file.writelines(packed(params))  # array by array, where `write_durably` would hold them all twice
            file.flush()
            os.fsync(file.fileno())
        write_json(temporary / "default" / METADATA, _metadata(params))
        if final.exists():  # by a run that was killed before it could say so; the weights are the same
            shutil.rmtree(final)
        temporary.rename(final)
        flush_to_disk(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise StorageError(f"The weights of step {step} could not be written to {folder}: {error.strerror}.") from None


def _metadata(params: Any) -> dict[str, Any]:
    """What Orbax knows about the tree besides its content, in the form of 2023."""
    entries = {}
    for path in flat(params):
        keys = path.split("/")
        entries[str(tuple(keys))] = {
            "key_metadata": [{"key": key, "key_type": 2} for key in keys],
            "value_metadata": {"value_type": "jax.Array", "skip_deserialize": True},
        }
    return {"tree_metadata": entries}


def checkpoint_steps(folder: Path) -> list[int]:
    """Steps whose weights are kept in `folder`, ascending."""
    found = {path.parents[1].name for mark in (WEIGHTS, OCDBT, METADATA) for path in folder.glob(f"*/default/{mark}")}
    return sorted(int(name) for name in found if name.isdecimal())


def load_checkpoint(source: str | Path, step: int | None = None) -> Checkpoint:
    """The checkpoint in a folder, or on the hub (`hf://owner/name@revision`): the weights of `step`, or of the last.

    Takes what the original Octo writes and what `rldg` writes. Raises `CheckpointError` if it is missing, damaged,
    made by something else, or has parts that this package lacks.
    """
    folder = Path(source)
    if is_hub_id(source):
        folder, step = download_checkpoint(source, step)
    try:
        steps = checkpoint_steps(folder)
        if not steps:
            raise CheckpointError(f"{folder} {what_else(folder)}.")
        if step is not None and step not in steps:
            raise CheckpointError(f"{folder} has no checkpoint of step {step}; it has {steps}.")
        return _load(folder, steps[-1] if step is None else step)
    except OSError as error:
        raise CheckpointError(f"{error.filename or folder} cannot be read: {error.strerror}.") from None


def _load(folder: Path, step: int) -> Checkpoint:
    config, found = _read_json(folder / CONFIG), _read_json(folder / STATISTICS)
    if OWN not in config and "finetune" in config:
        raise CheckpointError(
            f"{folder / CONFIG} was written by an earlier rldg, which this one cannot read; train anew."
        )
    params, weight_hash = read_params(folder / str(step) / "default")
    own: Any = config.get(OWN)
    example = _read_example(folder / EXAMPLE)
    try:
        if own is None:
            model = model_from_original(config, _shapes(params), _shapes(example))
            contract, sizes = None, dict.fromkeys((image.camera for image in model.images), 0)
            images = {image.name: ImageTransform(height=image.size, width=image.size) for image in model.images}
        else:
            model = model_from_json(own["model"])
            contract = pydantic.TypeAdapter(ActionContract | None).validate_python(own["action_contract"])
            sizes = pydantic.TypeAdapter(dict[str, int]).validate_python(own["image_sizes"])
            images = pydantic.TypeAdapter(dict[str, ImageTransform]).validate_python(own["images"])
        check_fit(model, params, example)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG} is damaged, or was written by another version: {error!r}.") from None
    except CheckpointError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    return Checkpoint(
        model=model,
        params=params,
        statistics=_checked_statistics(found, model, folder / STATISTICS),
        step=step,
        weight_hash=weight_hash,
        action_contract=contract,
        image_sizes=sizes,
        images=images,
        folder=folder,
        lowdim={
            name: value.shape[2]
            for name, value in example["observation"].items()
            if isinstance(value, np.ndarray) and value.ndim == 3 and value.dtype == np.float32
        },
    )


def _shapes(tree: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {path: leaf.shape for path, leaf in flat(tree).items()}


def _read_example(path: Path) -> dict[str, Any]:
    """The example batch, under today's names: until 2023 the task was called "tasks"."""
    example = read_tree(path, NUMBERS)
    if "tasks" in example:
        example["task"] = example.pop("tasks")
    for part in ("observation", "task"):
        if not isinstance(example.get(part), dict):
            raise CheckpointError(f"{path} holds no {part}, so it is no example batch of an Octo.")
    return example


def _checked_statistics(found: dict[str, Any], model: ModelConfig, path: Path) -> dict[str, Any]:
    """Data set -> statistics; an original fine-tuning on one data set does not name it."""
    keyed = {UNNAMED: found} if "mean" in (found.get("action") or ()) else found
    if not keyed:
        raise CheckpointError(f"{path} holds no statistics, so actions could not be brought to a robot's units.")
    sizes = set()
    for name, statistics in keyed.items():
        try:
            scale = Normalisation.of(statistics)
        except DatasetError as error:
            raise CheckpointError(f"{path}, data set '{name}': {error}") from None
        if not np.isfinite([scale.offset, scale.spread]).all():
            raise CheckpointError(f"{path}, data set '{name}': a mean or std of the actions is not finite.")
        sizes.add(len(scale.offset))
    if min(sizes) > model.head.action_dim:
        raise CheckpointError(
            f"{path} is of actions of {min(sizes)} numbers; the model's have {model.head.action_dim} at most."
        )
    return keyed


def save_state(folder: Path, state: Any) -> None:
    """Writes the whole training state, all or nothing."""
    write_durably(folder / STATE, serialization.to_bytes(state))


def load_state(folder: Path, fresh: Any) -> Any:
    """The saved training state in the structure of `fresh`, or `fresh` itself if none was saved yet."""
    path = folder / STATE
    if not path.exists():
        return fresh
    try:
        return serialization.from_bytes(fresh, path.read_bytes())
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); pass --overwrite to start afresh.") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of the encoding, the grammar, or thousands of brackets
        raise CheckpointError(f"{path} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__} instead of named entries.")
    return content

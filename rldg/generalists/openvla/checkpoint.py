"""OpenVLA's checkpoint layout, read and written: the files of `openvla/openvla-7b` on the hub.

What the original has no place for stands in `config.json` under a key of our own, which the original ignores.
"""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pydantic
import torch
from torch import Tensor

from rldg.data.transform import ImageTransform
from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, StorageError
from rldg.generalists.openvla.adapters import adapted, base_of
from rldg.generalists.openvla.config import BOS, EOS, PAD, OpenVLAConfig
from rldg.generalists.openvla.images import FILE as IMAGES
from rldg.generalists.openvla.model import OpenVLA
from rldg.generalists.openvla.original_config import TRANSFORMERS, model_from_original, model_to_original
from rldg.generalists.openvla.processor import Processor
from rldg.generalists.openvla.quantisation import Bits, quantise
from rldg.generalists.openvla.source import ADAPTER, CONFIG, STATISTICS, local_folder, read_json
from rldg.generalists.openvla.weights import SHARD, fill, weight_files, write_weights
from rldg.stage import file_hash, flush_to_disk, write_durably, write_json

OWN = "rldg"  # our key in `config.json`
CAMERA = "primary"  # of checkpoints that do not name theirs


class Extension(pydantic.BaseModel):
    """What `rldg` keeps in a checkpoint beyond the original's."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    step: int = 0
    decoding: Literal["tokens", "parallel"] = "tokens"
    action_contract: ActionContract | None = None  # None: unknown, as with data that rldg did not record
    image_sizes: dict[str, int] = {}  # camera -> pixels of the frames that it was trained on
    images: dict[str, ImageTransform] = {}  # camera -> what is done to its pictures before the processor
    finetune: dict[str, Any] = {}  # the configuration of its training


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to act, or to train on."""

    config: OpenVLAConfig
    model: Any  # `OpenVLA`, or peft's model around it
    processor: Processor
    norm_stats: dict[str, Any]  # data set -> statistics
    weight_hash: str
    folder: Path
    extension: Extension = field(default_factory=Extension)

    @property
    def step(self) -> int:
        """Updates that it was trained for; 0 if that is unknown."""
        return self.extension.step

    @property
    def action_contract(self) -> ActionContract | None:
        """What its actions mean; None if that is unknown."""
        return self.extension.action_contract

    @property
    def image_sizes(self) -> dict[str, int]:
        """Its camera, and the pixels of the frames that it was trained on."""
        return self.extension.image_sizes or {CAMERA: 0}

    @property
    def images(self) -> dict[str, ImageTransform]:
        """Camera -> what is done to its pictures before the processor; nothing for those that are not named."""
        return self.extension.images


def load_checkpoint(
    source: str | Path,
    step: int | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    base: str | Path | None = None,
    merge: bool = True,
    bits: Bits | None = None,
) -> Checkpoint:
    """The checkpoint in a folder, or on the hub (`hf://owner/name@revision`).

    Args:
        source: what the original or `rldg` wrote, or an adapter for such a thing in peft's format.
        step: of a run that keeps several; its last by default.
        dtype: of the weights; as they were stored by default.
        device: where they go, one after the other.
        base: what an adapter goes onto; by default what its `adapter_config.json` names.
        merge: whether an adapter is added into the weights, or stays beside them to be trained on.
        bits: 8 or 4 to quantise the language model's weights (bitsandbytes).

    Raises:
        CheckpointError: it is missing, damaged, made by something else, or has parts that this package lacks.
        UsageError: bitsandbytes is wanted and not installed.
    """
    folder = local_folder(source, step)
    place = device if bits is None else "cpu"  # a GPU need not hold what is quantised later
    try:
        if not (folder / ADAPTER).is_file():
            found = _whole(folder, dtype, place)
        else:
            below = _whole(local_folder(base or base_of(folder)), dtype, place)
            found = replace(below, model=adapted(below.model, folder, merge=merge), folder=folder)
            found = replace(found, weight_hash=_hash([folder / "adapter_model.safetensors"], below.weight_hash))
            if (folder / CONFIG).is_file():
                found = replace(found, extension=_extension(read_json(folder / CONFIG), folder))
            if (folder / STATISTICS).is_file():
                found = replace(found, norm_stats=read_json(folder / STATISTICS))
    except OSError as error:
        raise CheckpointError(f"{error.filename or folder} cannot be read: {error.strerror}.") from None
    return found if bits is None else replace(found, model=quantise(found.model, bits, device))


def _whole(folder: Path, dtype: torch.dtype | None, device: str) -> Checkpoint:
    content = read_json(folder / CONFIG)
    extension = _extension(content, folder)
    try:
        config = replace(model_from_original(content), decoding=extension.decoding)
    except CheckpointError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    with torch.device("meta"):
        model = OpenVLA(config)
    processor = Processor(config, folder)
    norm_stats = content.get("norm_stats") or {}
    if (folder / STATISTICS).is_file():  # the original's fine-tuning leaves the base's in config.json
        norm_stats = read_json(folder / STATISTICS)
    if not isinstance(norm_stats, dict):
        raise CheckpointError(f"{folder / CONFIG}: norm_stats holds no statistics by data set.")
    fill(model, folder, dtype, device)
    with torch.device(device):
        model.restore_buffers()
    return Checkpoint(config, model.eval(), processor, norm_stats, _hash(weight_files(folder)), folder, extension)


def _extension(content: Mapping[str, Any], folder: Path) -> Extension:
    try:
        return Extension.model_validate(content.get(OWN, {}))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (OWN, *first["loc"])))
        raise CheckpointError(
            f"{folder / CONFIG} was written by another rldg, or is damaged: {place}: {first['msg']}."
        ) from None


def _hash(files: list[Path], below: str = "") -> str:
    """SHA-256 (16 hex digits) of weight files, and of what they build on."""
    parts = [below] * bool(below) + [file_hash(file) for file in files]
    return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def save_checkpoint(
    folder: Path,
    state: Mapping[str, Tensor],
    processor: Processor,
    norm_stats: Mapping[str, Any],
    *,
    extension: Extension | None = None,
    dtype: torch.dtype | None = None,
    shard: int = SHARD,
) -> None:
    """Writes a whole checkpoint as the original does, all or nothing; what `folder` held before is replaced.

    Args:
        folder: of the checkpoint.
        state: the model's `state_dict()`, adapters merged.
        processor: of the model.
        norm_stats: data set -> statistics.
        extension: what only `rldg` knows.
        dtype: of the weights on disk (the original's: bfloat16); as they are by default.
        shard: bytes per file, at most.

    Raises:
        StorageError: the disk does not take it.
    """
    temporary = folder.with_name(folder.name + ".tmp")
    stored = str(dtype or next(iter(state.values())).dtype).removeprefix("torch.")
    extension = (extension or Extension()).model_copy(update={"decoding": processor.config.decoding})
    config = model_to_original(processor.config, norm_stats, stored) | {OWN: extension.model_dump(mode="json")}
    generation = {
        "_from_model_config": True,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "transformers_version": TRANSFORMERS,
    }
    prismatic = "PrismaticProcessor"
    processing = {"auto_map": {"AutoProcessor": f"processing_prismatic.{prismatic}"}, "processor_class": prismatic}
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write_weights(temporary, state, dtype, shard)
        for name, content in {
            CONFIG: config,
            "generation_config.json": generation,
            IMAGES: processor.images.content,
            "processor_config.json": processing,
            STATISTICS: dict(norm_stats),
        }.items():
            write_json(temporary / name, content)
        for name, content in processor.tokenizer_files.items():
            write_durably(temporary / name, content)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        flush_to_disk(folder.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise StorageError(f"The checkpoint {folder} could not be written: {error.strerror}.") from None
    except StorageError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise

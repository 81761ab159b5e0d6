"""The weights of a checkpoint: one safetensors file, or shards with an index; read tensor by tensor, written whole."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rldg.errors import CheckpointError
from rldg.stage import write_json

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = 5 * 10**9  # bytes, as the original's

_FLOATS = {"F64", "F32", "F16", "BF16"}
_DERIVED = "rotary_emb.inv_freq"  # which older versions stored


@dataclass(frozen=True)
class Place:
    """Where a tensor stands."""

    file: Path
    shape: tuple[int, ...]


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights; raises `CheckpointError` if there are none, or one is missing."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        names = sorted(set(_index(folder).values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise CheckpointError(f"{folder} lacks {', '.join(missing)}, which {INDEX} names; download it again.")
        return [folder / name for name in names]
    pickles = sorted(path.name for path in folder.glob("*") if path.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    if pickles:
        raise CheckpointError(
            f"{folder} holds its weights as pickles ({', '.join(pickles)}), which can run any code and are not read; "
            f"convert them to safetensors where you trust them."
        )
    raise CheckpointError(f"{folder} has no weights: {SINGLE}, or {INDEX} and its shards.")


def _index(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        if not found or not all(isinstance(name, str) and Path(name).name == name for name in found.values()):
            raise ValueError("weight_map does not map tensors to files beside it")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{folder / INDEX} cannot be read: {error!r}.") from None
    return found


def places(folder: Path, expected: Mapping[str, Tensor]) -> dict[str, Place]:
    """Where each tensor of the model stands; nothing but the headers of the files is read.

    `expected` has the shapes. Raises `CheckpointError` if a file is damaged, or tensors are missing, foreign, or of
    other shapes.
    """
    found: dict[str, Place] = {}
    for file in weight_files(folder):
        with _opened(file) as content:
            for name in content.keys():  # noqa: SIM118 - no mapping
                part = content.get_slice(name)
                if name.endswith(_DERIVED):
                    continue
                if part.get_dtype() not in _FLOATS:
                    raise CheckpointError(f"{file}: {name} is of {part.get_dtype()}; valid: {', '.join(_FLOATS)}.")
                found[name] = Place(file, tuple(part.get_shape()))
    if missing := [name for name in expected if name not in found]:
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors of its OpenVLA, such as {missing[0]}.")
    if foreign := [name for name in found if name not in expected]:
        raise CheckpointError(f"{folder} holds {len(foreign)} tensors that its OpenVLA has not, such as {foreign[0]}.")
    for name, place in found.items():
        if place.shape != tuple(expected[name].shape):
            raise CheckpointError(
                f"{place.file}: {name} is of shape {place.shape}, but config.json says {tuple(expected[name].shape)}."
            )
    return found


def _opened(file: Path, device: str = "cpu") -> safe_open:
    try:
        return safe_open(file, framework="pt", device=device)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{file} is no safetensors file, or is damaged or cut short: {error}.") from None


def fill(model: nn.Module, folder: Path, dtype: torch.dtype | None, device: str) -> None:
    """Puts a checkpoint's weights into a model on the meta device, each straight to its device and type.

    The files are mapped anew for each tensor, so that no more than one is in memory besides the model, and the largest
    come first, so that it is a small one at the end. Raises `CheckpointError` as `places`, and if a number is not
    finite.
    """
    found = places(folder, model.state_dict())
    device = "cpu" if torch.device(device).type == "cpu" else device  # safetensors does not number CPUs
    for name, place in sorted(found.items(), key=lambda entry: -math.prod(entry[1].shape)):
        with _opened(place.file, device) as content:
            tensor = content.get_tensor(name)
            if not _finite(tensor):
                raise CheckpointError(
                    f"{place.file}: {name} holds numbers that are not finite: its training diverged, or it is damaged."
                )
            parent, _, leaf = name.rpartition(".")
            copy = tensor.to(dtype=dtype or tensor.dtype, copy=device == "cpu")  # else it would keep the file mapped
            setattr(model.get_submodule(parent), leaf, nn.Parameter(copy))
            del tensor


def _finite(tensor: Tensor) -> bool:
    """Whether all numbers are: the extremes tell, NaN included, at no cost of memory."""
    return bool(torch.stack(tensor.aminmax()).isfinite().all())


def write_weights(folder: Path, state: Mapping[str, Tensor], dtype: torch.dtype | None, shard: int = SHARD) -> None:
    """Writes tensors in `dtype` (None: as they are): one file, or shards of at most `shard` bytes and an index."""
    shards = list(_shards(state, dtype, shard))
    total, where = 0, {}
    for number, names in enumerate(shards, 1):
        file = SINGLE if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        tensors = {name: state[name].detach().to("cpu", dtype or state[name].dtype).contiguous() for name in names}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        (folder / file).chmod(0o644)  # safetensors makes files that nobody else may read
        with open(folder / file, "rb") as written:
            os.fsync(written.fileno())
        total += sum(tensor.nbytes for tensor in tensors.values())
        where |= dict.fromkeys(names, file)
    if len(shards) > 1:
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": where})


def _shards(state: Mapping[str, Tensor], dtype: torch.dtype | None, limit: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, tensor in state.items():
        bytes_ = tensor.numel() * (dtype or tensor.dtype).itemsize
        if names and size + bytes_ > limit:
            yield names
            names, size = [], 0
        names.append(name)
        size += bytes_
    yield names

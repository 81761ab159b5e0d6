"""The weights of one step of a checkpoint: Flax's msgpack file, or the tensorstore layout of newer Orbax."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from rldg.errors import CheckpointError
from rldg.generalists.octo.weights import FLOATS, ElsewhereError, flat, read_tree
from rldg.stage import file_hash

WEIGHTS, OCDBT, METADATA = "checkpoint", "manifest.ocdbt", "_METADATA"  # any of them marks a step's folder

_DENSEST = 100  # times that compressed weights may grow: more is no model, but a header that lies
_PATIENCE = 600.0  # seconds for one array, of a slow network drive


def read_params(folder: Path) -> tuple[dict[str, Any], str]:
    """The tree of weights in `folder` (`<step>/default`), NumPy arrays, and the hash of the files that hold them.

    Raises `CheckpointError` if it is damaged, is not that of an Octo, or holds values that are not finite.
    """
    place = folder / WEIGHTS
    if (folder / OCDBT).exists() or not place.exists():
        place = folder
    try:
        tree = _restored(folder) if place == folder else read_tree(place)
    except ElsewhereError:
        tree, place = _restored(folder), folder
    if "octo_transformer" not in tree:
        raise CheckpointError(f"{folder} holds {', '.join(sorted(tree)) or 'nothing'}, but no octo_transformer.")
    for path, value in flat(tree).items():
        if not np.isfinite(value).all():
            raise CheckpointError(
                f"{folder} holds weights that are not finite ({path}): its training diverged, or it is damaged."
            )
    return tree, file_hash(place)


def _restored(folder: Path) -> dict[str, Any]:
    """Arrays that Orbax left to tensorstore, in one database (OCDBT) or in a folder each; their names have dots."""
    import tensorstore  # for the rare checkpoint

    if (folder / OCDBT).exists():
        store: dict[str, Any] = {"driver": "ocdbt", "base": f"file://{folder.absolute()}"}
    else:
        store = {"driver": "file", "path": f"{folder.absolute()}/"}
    on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    claimed, tree = 0, {}
    try:
        keys = tensorstore.KvStore.open(store).result(_PATIENCE).list().result(_PATIENCE)
        for name in sorted(key.decode().removesuffix("/.zarray") for key in keys if key.endswith(b"/.zarray")):
            spec = {"driver": "zarr", "kvstore": store | {"path": f"{store.get('path', '')}{name}/"}}
            array = tensorstore.open(spec, read=True).result(_PATIENCE)
            if array.dtype.name not in FLOATS:
                raise ValueError(f"it holds an array of {array.dtype.name}; valid: {', '.join(sorted(FLOATS))}")
            claimed += math.prod(array.shape) * array.dtype.numpy_dtype.itemsize
            if claimed > on_disk * _DENSEST:
                raise ValueError(f"{on_disk} bytes on disk cannot be {claimed} bytes of weights")
            tree[tuple(name.split("."))] = array.read().result(_PATIENCE)
    except (ValueError, KeyError, TypeError, OSError, TimeoutError) as error:  # tensorstore's own is ValueError
        raise CheckpointError(f"{folder} cannot be read: {str(error).split('; at byte')[0]:.300}.") from None
    return traverse_util.unflatten_dict(tree)


def what_else(folder: Path) -> str:
    """Of a folder without an Octo checkpoint: what is the matter with it, to follow its name in a sentence."""
    if not folder.exists():
        return "does not exist; a checkpoint on the hub is written hf://owner/name"
    if not folder.is_dir():
        return "is a file; a checkpoint is the folder that holds config.json"
    names = {path.name for path in folder.iterdir()}
    if not names:
        return "is empty"
    if folder.name.isdigit() and "default" in names:
        return f"is one step of a checkpoint; give {folder.parent} and the step {folder.name}"
    if any(name.endswith((".safetensors", ".bin", ".pt", ".pth")) for name in names):
        return "holds PyTorch weights (OpenVLA's, for instance), not Octo's"
    if any(name.endswith(".npz") for name in names):
        return "holds a specialist of `rldg train`, not an Octo"
    if "stage.json" in names:
        return "holds a run that has not written a checkpoint yet"
    return "holds no checkpoint of Octo: <step>/default/checkpoint"

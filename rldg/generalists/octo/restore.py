"""The weights of one step of a checkpoint: Flax's msgpack file, or the tensorstore layout of any Orbax."""

from pathlib import Path
from typing import Any

import numpy as np

from rldg.errors import CheckpointError
from rldg.generalists.octo.weights import FLOATS, ElsewhereError, flat, read_tree

WEIGHTS, OCDBT = "checkpoint", "manifest.ocdbt"  # what marks either layout

_DENSEST = 100  # times that compressed weights may grow: more is no model, but a header that lies


def read_params(folder: Path) -> dict[str, Any]:
    """The tree of weights in `folder` (`<step>/default`), NumPy arrays.

    Raises `CheckpointError` if it is damaged, is not that of an Octo, or holds values that are not finite.
    """
    try:
        tree = _restored(folder) if (folder / OCDBT).exists() else read_tree(folder / WEIGHTS)
    except ElsewhereError:
        tree = _restored(folder)
    if "octo_transformer" not in tree:
        raise CheckpointError(f"{folder} holds {', '.join(sorted(tree)) or 'nothing'}, but no octo_transformer.")
    for path, value in flat(tree).items():
        if not np.isfinite(value).all():
            raise CheckpointError(
                f"{folder} holds weights that are not finite ({path}): its training diverged, or it is damaged."
            )
    return tree


def _restored(folder: Path) -> dict[str, Any]:
    import jax
    from etils import epath
    from orbax import checkpoint as orbax  # over a second, and rarely needed

    path, handler = epath.Path(folder), orbax.PyTreeCheckpointHandler()
    on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    try:
        found: Any = handler.metadata(path)
        shapes = getattr(found, "tree", found)
        claimed = 0.0
        for leaf in jax.tree.leaves(shapes):
            if np.dtype(leaf.dtype).name not in FLOATS:
                raise ValueError(f"{leaf.name} is of {leaf.dtype}")
            claimed += np.prod(leaf.shape, dtype=float) * np.dtype(leaf.dtype).itemsize
        if claimed > on_disk * _DENSEST:
            raise ValueError(f"{on_disk} bytes on disk cannot be {claimed:.0f} bytes of weights")
        arrays = jax.tree.map(lambda _: orbax.RestoreArgs(restore_type=np.ndarray), shapes)
        return handler.restore(path, args=orbax.args.PyTreeRestore(restore_args=arrays))
    except Exception as error:  # tensorstore has an error for everything, and no class of its own for any
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{folder} cannot be restored by Orbax: {reason:.300}") from None


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

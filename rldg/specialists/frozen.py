"""The frozen weights of encoders, in files of our own (npz)."""

from functools import cache
from pathlib import Path

from rldg.errors import CheckpointError, UsageError
from rldg.specialists.arrays import Tree, from_named_arrays, read_arrays


@cache
def frozen_weights(encoder: str, path: str) -> Tree:
    """The frozen weights of an encoder: none if it has none.

    Raises:
        UsageError: it has, and `path` is empty.
        CheckpointError: the file is missing, damaged, or holds other weights.
    """
    if encoder == "none":
        return {}
    from rldg.specialists.encoders import make_encoder

    expected = make_encoder(encoder).frozen
    if not expected:
        return {}
    if not path:
        raise UsageError(f"The encoder '{encoder}' needs encoder_weights, such as `rldg encoder import` writes.")
    arrays = read_arrays(Path(path))
    if unfit := [name for name, shape in expected.items() if name not in arrays or arrays[name].shape != shape]:
        raise CheckpointError(
            f"{path} does not hold the weights of '{encoder}': {unfit[0]} is missing or of another shape."
        )
    return from_named_arrays({name: arrays[name] for name in expected})

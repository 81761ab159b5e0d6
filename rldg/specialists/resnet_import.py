"""SERL's published ResNet-10 (`resnet10_params.pkl`) as a file of ours, for `encoder_weights`."""

from pathlib import Path

import numpy as np

from rldg.errors import CheckpointError
from rldg.specialists.arrays import Tree, named_arrays, write_arrays
from rldg.specialists.resnet import shapes


def import_resnet10(content: Tree, out: Path) -> None:
    """Writes the encoder's weights out of the content of SERL's file; a classifier's head is left out.

    Raises `CheckpointError` if it does not hold those of a ResNet-10.
    """
    found = named_arrays(content)
    weights = {}
    for name, shape in shapes().items():
        if name not in found or found[name].shape != shape:
            here = found[name].shape if name in found else "missing"
            raise CheckpointError(f"This is not SERL's ResNet-10: '{name}' should be {shape} and is {here}.")
        weights[name] = found[name].astype(np.float32)
    write_arrays(out, weights)

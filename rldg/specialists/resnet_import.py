"""SERL's published ResNet-10 (`resnet10_params.pkl`) as a file of ours, for `encoder_weights`.

    python -m rldg.specialists.resnet_import resnet10_params.pkl --out resnet10.npz

The pickle is a release file of github.com/rail-berkeley/serl; nothing that it asks for is run.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from rldg.errors import CheckpointError
from rldg.specialists.arrays import named_arrays, write_arrays
from rldg.specialists.foreign_pickle import read_foreign_pickle


@dataclass(frozen=True)
class Args:
    """Arguments of the import."""

    # The pickle that SERL publishes.
    source: tyro.conf.Positional[Path]
    # Where the weights go (.npz).
    out: Path


def import_resnet10(source: Path, out: Path) -> None:
    """Reads SERL's pickle and writes the encoder's weights; a classifier's head is left out.

    Raises `CheckpointError` if the pickle holds anything but arrays, or not those of a ResNet-10.
    """
    from rldg.specialists.resnet import shapes

    found = named_arrays(read_foreign_pickle(source))
    weights = {}
    for name, shape in shapes().items():
        if name not in found or found[name].shape != shape:
            here = found[name].shape if name in found else "missing"
            raise CheckpointError(f"{source} is not SERL's ResNet-10: '{name}' should be {shape} and is {here}.")
        weights[name] = found[name].astype(np.float32)
    write_arrays(out, weights)


def main(args: Args) -> None:
    """Imports, and says where to."""
    import_resnet10(args.source, args.out)
    sys.stdout.write(f"{args.out}: give it as encoder_weights, with encoder resnet10.\n")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))

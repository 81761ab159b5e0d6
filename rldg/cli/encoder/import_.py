"""Makes a file for `encoder-weights` of the ResNet-10 that SERL publishes; nothing that the pickle asks for is run.

Example: rldg encoder import resnet10_params.pkl --out resnet10.npz
The pickle is a release file of github.com/rail-berkeley/serl.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from rldg.cli.output import emit


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg encoder import`."""

    # SERL's resnet10_params.pkl.
    source: tyro.conf.Positional[Path]
    # Where the weights go (.npz).
    out: Path
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 when the weights are written."""
    from rldg.data.exchange.pickles import load_pickle
    from rldg.specialists.resnet_import import import_resnet10  # JAX: not for --help

    import_resnet10(load_pickle(args.source), args.out)
    text = f"{args.out}: give it as encoder-weights, with the encoder resnet10."
    emit({"out": args.out, "encoder": "resnet10"}, args.json, text)
    return 0

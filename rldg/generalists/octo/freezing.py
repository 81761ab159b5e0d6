"""Which weights are trained: the parameter tree, flattened to "path/of/leaf" -> array, in two parts."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from typing import Any

import numpy as np

from rldg.errors import UsageError
from rldg.generalists.octo.recipes import FinetuneConfig

Weights = dict[str, Any]  # path, joined by "/" -> leaf

TEXT_ENCODER = "*hf_model*"  # a pretrained one, of which the original's pattern speaks as well
BLOCKS = "octo_transformer/BlockTransformer_0/*"

# The original's example freezes "BlockTransformer_0", which is no whole path: it freezes nothing.
FROZEN: dict[str, tuple[str, ...]] = {
    "full": (),
    "head_only": ("octo_transformer/*",),
    "frozen_transformer": (BLOCKS,),
    "lora": (BLOCKS,),
}


def split_weights(weights: Mapping[str, Any], config: FinetuneConfig) -> tuple[Weights, Weights]:
    """Trained and frozen weights.

    Raises `UsageError` if a pattern of `config.freeze` matches nothing, or nothing is left to train.
    """
    for pattern in config.freeze:
        if not any(fnmatch(path, pattern) for path in weights):
            raise UsageError(f"freeze: '{pattern}' matches no weight; there are {', '.join(parts(weights))}.")
    patterns = (TEXT_ENCODER, *FROZEN[config.mode], *config.freeze)
    frozen = {p: leaf for p, leaf in weights.items() if any(fnmatch(p, pattern) for pattern in patterns)}
    trained = {path: leaf for path, leaf in weights.items() if path not in frozen}
    if not trained:
        raise UsageError(f"Mode '{config.mode}' and freeze {list(config.freeze)} leave no weight to train.")
    return trained, frozen


def parts(paths: Iterable[str]) -> list[str]:
    """The parts of a model that paths belong to: their first two names, in order of appearance."""
    return list(dict.fromkeys("/".join(path.split("/")[:2]) for path in paths))


def table(trained: Mapping[str, Any], frozen: Mapping[str, Any]) -> str:
    """Trained and frozen parameters of each part, as lines of text."""
    rows = [(p, *(_count({k: v for k, v in w.items() if parts([k]) == [p]}) for w in (trained, frozen)))
            for p in sorted(parts([*trained, *frozen]))]  # fmt: skip
    rows.append(("all", _count(trained), _count(frozen)))
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}} {yes:>13,} {no:>13,}" for name, yes, no in rows]
    return "\n".join([f"{'parameters of':<{width}} {'trained':>13} {'frozen':>13}", *lines])


def _count(weights: Mapping[str, Any]) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in weights.values())

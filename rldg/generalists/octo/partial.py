"""Weights of one model for another: what fits is taken, positions are fitted, and a report says what became of each."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from rldg.errors import CheckpointError
from rldg.generalists.octo.weights import flat

ABSENT, ASKED = "not in the checkpoint", "asked for"  # reasons to start anew

_POSITIONS = "_pos_embedding"


@dataclass(frozen=True)
class LoadReport:
    """What became of every leaf, by its path "a/b/c". As text, one line per module and fate."""

    taken: tuple[str, ...]
    fitted: Mapping[str, str]  # positions of another number: how they were fitted
    fresh: Mapping[str, str]  # initialised anew: why
    left: tuple[str, ...]  # in the checkpoint, and not in the model

    def __str__(self) -> str:
        lines = [("taken", _module(path), "") for path in self.taken]
        lines += [("fitted", path, how) for path, how in self.fitted.items()]
        whole = ABSENT, ASKED
        lines += [("initialised", _module(path) if why in whole else path, why) for path, why in self.fresh.items()]
        lines += [("left", _module(path), "not in the model") for path in self.left]
        return "\n".join(
            f"{fate:12}{place}{f' ({count} arrays)' if count > 1 else ''}{f': {why}' if why else ''}"
            for (fate, place, why), count in Counter(lines).items()
        )


def load_params(fresh: Any, given: Any, *, anew: Sequence[str] = ()) -> tuple[Any, LoadReport]:
    """`given` weights wherever they fit `fresh` ones by name and shape, and what became of each.

    Position embeddings of another number of timesteps, tokens or patches are fitted: the timesteps and tokens that
    both have are kept, and a square grid of patches is interpolated. `anew` gives patterns of paths, such as
    "heads_action/*", that keep their fresh values. Types are those of `fresh`, structure as well.

    Raises `CheckpointError` if nothing but positions fits.
    """
    new, old = flat(fresh), flat(given)
    taken, fitted, initialised = [], {}, {}
    params = dict(new)
    for path, value in new.items():
        if any(fnmatch(path, pattern) for pattern in anew):
            initialised[path] = ASKED
        elif path not in old:
            initialised[path] = ABSENT
        elif old[path].shape == value.shape:
            params[path] = jnp.asarray(old[path], value.dtype)
            taken.append(path)
        elif path.endswith(_POSITIONS) and (found := _fitted(old[path], value, _is_image(path, old))):
            params[path], fitted[path] = found
        else:
            initialised[path] = f"its shape is {value.shape}, the checkpoint's {old[path].shape}"
    if not taken:
        raise CheckpointError("The checkpoint has no weight that fits the model.")
    tree = traverse_util.unflatten_dict(params, sep="/")
    return tree, LoadReport(tuple(taken), fitted, initialised, tuple(path for path in old if path not in new))


def _fitted(given: Any, fresh: Any, image: bool) -> tuple[jax.Array, str] | None:
    """Positions (1, [timesteps,] tokens, width) in the number that `fresh` has, and how they came there."""
    if given.ndim != fresh.ndim or given.shape[-1] != fresh.shape[-1]:
        return None
    steps = []
    (before, after), given = (given.shape[-2], fresh.shape[-2]), jnp.asarray(given, fresh.dtype)
    if image and before != after and _square(before) and _square(after):
        old, side = math.isqrt(before), math.isqrt(after)
        grid = given.reshape(*given.shape[:-2], old, old, given.shape[-1])
        grid = jax.image.resize(grid, (*given.shape[:-2], side, side, given.shape[-1]), "linear")
        given = grid.reshape(*given.shape[:-2], after, given.shape[-1])
        steps.append(f"{old} x {old} patches interpolated to {side} x {side}")
    names = ("timesteps", "tokens") if given.ndim == 4 else ("tokens",)
    for name, there, here in zip(names, given.shape[1:-1], fresh.shape[1:-1], strict=True):
        if there != here:
            steps.append(f"{min(there, here)} of the checkpoint's {there} {name} kept for {here}")
    both = tuple(slice(min(pair)) for pair in zip(given.shape, fresh.shape, strict=True))
    return jnp.asarray(fresh).at[both].set(given[both]), ", ".join(steps)


def _is_image(path: str, weights: Mapping[str, np.ndarray]) -> bool:
    """Whether a tokenizer with weights, an image's, makes the tokens of these positions."""
    prefix, _, name = path.removesuffix(_POSITIONS).rpartition("/")
    tokenizer = f"{prefix}/observation_tokenizers_{name.removeprefix('obs_')}/"
    return any(other.startswith(tokenizer) for other in weights)


def _square(number: int) -> bool:
    return math.isqrt(number) ** 2 == number


def _module(path: str) -> str:
    """The module that a leaf is shown under: of two levels, "octo_transformer/obs_primary_projection" for instance."""
    return "/".join(path.split("/")[:2])

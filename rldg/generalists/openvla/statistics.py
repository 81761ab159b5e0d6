"""By which data set's statistics actions are brought back to its units."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rldg.errors import CheckpointError

NormStats = Mapping[str, Any]  # data set -> {"action": {"q01", "q99", "mask", ...}, ...}


def statistics_of(norm_stats: NormStats, key: str = "") -> tuple[str, dict[str, np.ndarray]]:
    """The key and the arrays "low", "high" and "mask" (A,) of a data set's actions; without a key, of the only one.

    Raises `CheckpointError` that names the valid keys if there is none of that name, or several and no name.
    """
    valid = ", ".join(sorted(norm_stats)) or "none"
    if not key and len(norm_stats) != 1:
        raise CheckpointError(
            f"The checkpoint knows {len(norm_stats)} data sets, so say by whose statistics to un-normalise its "
            f"actions (--statistics); valid: {valid}."
        )
    name = key or next(iter(norm_stats))
    if name not in norm_stats:
        raise CheckpointError(f"The checkpoint has no statistics of '{name}'; valid: {valid}.")
    try:
        found = norm_stats[name]["action"]
        low, high = np.asarray(found["q01"], float), np.asarray(found["q99"], float)
        mask = np.asarray(found.get("mask", np.ones(low.shape, bool)), bool)
        fits = low.ndim == 1 and len(low) and low.shape == high.shape == mask.shape
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"The statistics of '{name}' cannot be used: {error!r} of its actions.") from None
    if not fits or not np.isfinite([low, high]).all():
        raise CheckpointError(
            f"The statistics of '{name}' cannot be used: q01, q99 and mask of its actions must be finite numbers, as "
            f"many of one as of the others."
        )
    return name, {"low": low, "high": high, "mask": mask}


def restored(actions: np.ndarray, statistics: Mapping[str, np.ndarray]) -> np.ndarray:
    """Actions (..., A) in [-1, 1] in the data set's units; where the mask is False (the gripper) they stay."""
    low, high = statistics["low"], statistics["high"]
    return np.where(statistics["mask"], 0.5 * (actions + 1) * (high - low) + low, actions)

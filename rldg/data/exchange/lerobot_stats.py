"""The statistics that LeRobot keeps per episode and of the whole data set, merged as it merges them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Summary = dict[str, np.ndarray]

_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_FRAMES = 10  # pictures per episode that count


def summary(values: np.ndarray) -> Summary:
    """Of (N, n) numbers, per dimension: min, max, mean, std, count, and quantiles."""
    values = np.asarray(values, np.float64)
    quantiles = np.quantile(values, list(_QUANTILES.values()), axis=0)
    return {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([len(values)]),
        **dict(zip(_QUANTILES, quantiles, strict=True)),
    }


def picture_summary(pictures: Any) -> Summary:
    """The same per channel, (3, 1, 1) in 0 .. 1, of some frames of an episode; `count` counts frames."""
    chosen = np.unique(np.linspace(0, len(pictures) - 1, _FRAMES).astype(int))
    pixels = np.concatenate([pictures[i].reshape(-1, 3) for i in chosen]) / 255.0
    found = {name: value.reshape(3, 1, 1) for name, value in summary(pixels).items() if name != "count"}
    return found | {"count": np.array([len(chosen)])}


def merged(first: Summary | None, second: Summary) -> Summary:
    """Statistics of both together; quantiles, which cannot be merged, are averaged by count, as LeRobot does."""
    if first is None:
        return second
    count = first["count"] + second["count"]
    share = first["count"][0] / count[0]

    def average(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return share * a + (1 - share) * b

    mean = average(first["mean"], second["mean"])
    variance = average(
        first["std"] ** 2 + (first["mean"] - mean) ** 2, second["std"] ** 2 + (second["mean"] - mean) ** 2
    )
    return {
        "min": np.minimum(first["min"], second["min"]),
        "max": np.maximum(first["max"], second["max"]),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": count,
        **{name: average(first[name], second[name]) for name in _QUANTILES},
    }


def plain(statistics: Mapping[str, Summary]) -> dict[str, dict[str, Any]]:
    """As lists, for JSON and tables."""
    return {key: {name: value.tolist() for name, value in found.items()} for key, found in statistics.items()}

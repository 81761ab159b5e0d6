"""Normalisation of actions and states by a data set's statistics, the same in training and in acting."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from rldg.errors import DatasetError

Mode = Literal["normal", "bounds", "bounds_q99"]

_EPSILON = 1e-8  # of both originals: a dimension that never changes is divided by it


@dataclass(frozen=True)
class Normalisation:
    """How numbers (..., A) are brought to one scale, dimension by dimension.

    "normal" is (x - mean) / std, Octo's default. "bounds" takes the quantiles q01 .. q99 to -1 .. 1 and clips what
    lies outside, as Octo does when asked; "bounds_q99" is OpenVLA's, where what never changes becomes 0 instead of -1.
    Dimensions whose mask is False, such as the gripper, stay as they are.
    """

    mode: Mode
    offset: np.ndarray  # (A,) float32: mean, or q01
    spread: np.ndarray  # (A,) float32: std, or q99 - q01
    mask: np.ndarray  # (A,) bool
    constant: np.ndarray  # (A,) bool: whether it becomes 0: of "bounds_q99", where min = max

    @classmethod
    def of(cls, statistics: dict[str, Any], part: str = "action", mode: Mode = "normal") -> "Normalisation":
        """From one data set's entry of `dataset_statistics.json`; `part` is "action" or "proprio".

        Octo's names of the quantiles, p01 and p99, serve as well. Raises `DatasetError` if the numbers are not there.
        """
        if mode not in get_args(Mode):
            raise DatasetError(f"Unknown normalisation '{mode}'; valid are {', '.join(get_args(Mode))}.")
        try:
            found = statistics[part]
            if mode == "normal":
                offset, spread = np.asarray(found["mean"], float), np.asarray(found["std"], float)
            else:
                low, high = (found["q01"], found["q99"]) if "q01" in found else (found["p01"], found["p99"])
                offset, spread = np.asarray(low, float), np.asarray(high, float) - np.asarray(low, float)
            mask = np.asarray(found.get("mask", np.ones(offset.shape)), bool)
            constant = np.zeros(offset.shape, bool)
            if mode == "bounds_q99" and "min" in found:
                constant = np.asarray(found["min"]) == np.asarray(found["max"])
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"The statistics hold no '{part}' to normalise by ({mode}): {error!r}.") from None
        if offset.ndim != 1 or not offset.shape == spread.shape == mask.shape == np.shape(constant):
            raise DatasetError(f"The statistics of '{part}' disagree about its number of dimensions.")
        return cls(mode, offset.astype(np.float32), spread.astype(np.float32), mask, constant)

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """(..., A) in the data set's units to float32 on the common scale."""
        scaled = (values - self.offset) / (self.spread + _EPSILON)
        if self.mode != "normal":
            scaled = np.where(self.constant, 0.0, np.clip(2 * scaled - 1, -1, 1))
        return np.where(self.mask, scaled, values).astype(np.float32)

    def restore(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `normalise`, but for what was clipped."""
        scale = values if self.mode == "normal" else (values + 1) / 2
        return np.where(self.mask, scale * self.spread + self.offset, values).astype(np.float32)

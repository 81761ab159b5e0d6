"""Numbers as bins: uniform ones between two bounds, or ones that hold equal shares of a normal distribution."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

_EDGE = 1e-6  # keeps what lies on or beyond the outermost thresholds inside


@dataclass(frozen=True)
class Binning:
    """From numbers to the index of their bin, and back to its centre."""

    bins: int
    bin_type: Literal["uniform", "normal"] = "uniform"
    low: float = 0.0
    high: float = 1.0

    @property
    def thresholds(self) -> np.ndarray:
        """(bins + 1,) float32."""
        if self.bin_type == "uniform":
            return np.linspace(self.low, self.high, self.bins + 1).astype(np.float32)
        # In single precision, as the original: 1 - 1e-6 has few digits there.
        return stats.norm.ppf(np.linspace(_EDGE, 1 - _EDGE, self.bins + 1, dtype=np.float32)).astype(np.float32)

    def __call__(self, values: jax.Array) -> jax.Array:
        """Any shape to int32 of it; what lies outside "uniform" bounds is in the outermost bin, else in bin 0."""
        thresholds = jnp.asarray(self.thresholds)
        if self.bin_type == "uniform":
            values = jnp.clip(values, self.low + _EDGE, self.high - _EDGE)
        inside = (values[..., None] < thresholds[1:]) & (values[..., None] >= thresholds[:-1])
        return jnp.argmax(inside, axis=-1).astype(jnp.int32)

    def decode(self, indices: jax.Array) -> jax.Array:
        """The centres of the bins."""
        thresholds = self.thresholds
        return jnp.asarray((thresholds[1:] + thresholds[:-1]) / 2)[indices]

"""Antialiased resizing with the weights of TensorFlow and JAX, which Octo and OpenVLA were trained on.

Pillow has the same filters, but rounds and clips between the two axes, and takes twice as long.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import sparse

Method = Literal["lanczos3", "linear"]


def resized(image: np.ndarray, height: int, width: int, method: Method = "lanczos3") -> np.ndarray:
    """(H, W, C) uint8 as (height, width, C) uint8; the very array if it fits already."""
    if image.shape[:2] == (height, width):
        return image
    turned = _along_first_axis(image.astype(np.float32), height, method).transpose(1, 0, 2)
    found = _along_first_axis(turned, width, method).transpose(1, 0, 2)
    return np.rint(found).clip(0, 255).astype(np.uint8)


def _along_first_axis(values: np.ndarray, size: int, method: Method) -> np.ndarray:
    return (_weights(len(values), size, method) @ values.reshape(len(values), -1)).reshape(size, *values.shape[1:])


@lru_cache(maxsize=64)
def _weights(before: int, after: int, method: Method) -> sparse.csr_array:
    """(after, before) float32: the share of each old pixel in each new one."""
    step = before / after
    centre = (np.arange(after) + 0.5) * step - 0.5
    distance = np.abs(centre[:, None] - np.arange(before)) / max(step, 1.0)
    if method == "linear":
        weights = np.maximum(0, 1 - distance)
    else:
        weights = np.where(distance < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    return sparse.csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))

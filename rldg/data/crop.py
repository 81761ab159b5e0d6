"""The centre crop of a picture, as TensorFlow's `crop_and_resize` takes it: at fractions of a pixel."""

import numpy as np


def centre_crop(image: np.ndarray, high: float, wide: float, size: tuple[int, int] | None = None) -> np.ndarray:
    """The middle of a picture (H, W, C) uint8, `high` and `wide` as shares of its sides, at the size of the whole.

    `size` is another height and width of the result.

    Corners of the crop fall on the corner pixels of the result; between pixels it is bilinear. Octo's and OpenVLA's
    evaluation crops like this after a training with random crops.
    """
    height, width = size or image.shape[:2]
    rows, below, down = _between_pixels(image.shape[0], high, height)
    columns, right, across = _between_pixels(image.shape[1], wide, width)
    pixels = image.astype(np.float32)
    down, across = down[:, None, None], across[None, :, None]
    upper = pixels[rows][:, columns] * (1 - across) + pixels[rows][:, right] * across
    lower = pixels[below][:, columns] * (1 - across) + pixels[below][:, right] * across
    return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)


def _between_pixels(size: int, share: float, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each new pixel: the old one before it, the one after it, and how far it is on the way."""
    place = np.linspace((1 - share) / 2, (1 + share) / 2, count) * (size - 1)
    before = np.floor(place).astype(int).clip(0, max(size - 2, 0))
    return before, np.minimum(before + 1, size - 1), (place - before).astype(np.float32)

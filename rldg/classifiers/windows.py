"""Where in a camera's pictures a success shows: the part that a classifier looks at, at full resolution."""

import numpy as np

from rldg.classifiers.examples import Examples
from rldg.env.classifier import PATCHES, Window

STEP = int(np.prod(PATCHES))  # pixels that a window's side is a multiple of
NOISE = 25.0  # variance of a pixel below which differences mean nothing
LEAST = 20  # near misses without which all negatives are taken for such


def windows(examples: Examples, share: float, margin: float) -> dict[str, Window]:
    """Each camera's window: a square of about that share of the side, where positives differ from near misses.

    Its middle is the mean place of the difference: of the squared distance between the mean pictures over the variance
    of each pixel. What moves at random counts little by that, and what always tells the two apart counts most.

    Args:
        examples: pictures with both labels.
        share: of the side, 0 .. 1; sides are multiples of 32 pixels.
        margin: metres around the positives' positions within which a negative is a near miss; these are what a
            classifier is asked about.
    """
    place, label = examples.pose[:, :3], examples.label
    low, high = place[label].min(0) - margin, place[label].max(0) + margin
    near = ~label & (place >= low).all(1) & (place <= high).all(1)
    negatives = near if near.sum() >= LEAST else ~label
    return {
        camera: _window(pictures[label], pictures[negatives], share) for camera, pictures in examples.images.items()
    }


def _window(positives: np.ndarray, negatives: np.ndarray, share: float) -> Window:
    size = positives.shape[1]
    side = min(size, max(STEP, STEP * round(share * size / STEP)))
    (mean, spread), (other, other_spread) = (_moments(pictures) for pictures in (positives, negatives))
    difference = ((mean - other) ** 2 / (spread + other_spread + NOISE)).sum(-1)
    total = difference.sum()
    middle = (np.indices((size, size)) * difference).sum((1, 2)) / total if total else np.full(2, size / 2)
    row, column = np.clip(np.rint(middle - side / 2), 0, size - side).astype(int).tolist()
    return row, column, side


def _moments(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of every pixel, without a copy of all pictures in floating point."""
    count = len(pictures)
    mean = pictures.sum(0, dtype=np.int64) / count
    square = sum(np.square(part.astype(np.int64)).sum(0) for part in np.array_split(pictures, -(-count // 64)))
    return mean, square / count - mean**2

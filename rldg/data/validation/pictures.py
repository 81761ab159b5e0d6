"""What is remembered of a picture once it has been decoded: a few numbers instead of its pixels."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from rldg.data.images import decode_image
from rldg.errors import DatasetError

GRID = 8  # a thumbnail's height and width


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture in short; with `fault` nothing but its digest is known."""

    digest: bytes  # of the encoded bytes
    shape: tuple[int, ...] = ()
    brightest: int = 0  # of all channels, 0 .. 255
    spread: float = 0.0  # standard deviation over pixels and channels, grey levels
    thumbnail: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (GRID, GRID, 3), means of tiles, RGB
    fault: str = ""


def look_at(content: bytes) -> Picture:
    """Decodes a picture and keeps what the checks need."""
    digest = hashlib.blake2b(content, digest_size=16).digest()
    try:
        image = decode_image(content)
    except DatasetError as error:
        return Picture(digest, fault=str(error).rstrip("."))
    return Picture(digest, image.shape, int(image.max()), float(image.std()), thumbnail(image))


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) as the means of GRID x GRID tiles, float32 (GRID, GRID, 3)."""
    rows, columns = (np.linspace(0, size, GRID + 1)[:-1].astype(int) for size in image.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float32), rows, axis=0), columns, axis=1)
    counts = np.diff([*rows, image.shape[0]])[:, None, None] * np.diff([*columns, image.shape[1]])[:, None]
    return sums / np.maximum(counts, 1)

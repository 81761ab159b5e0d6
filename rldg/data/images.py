"""Pictures on disk: JPEG through simplejpeg; PNG, which other people's data sets hold, through Pillow."""

import io

import numpy as np
import simplejpeg
from PIL import Image

from rldg.errors import DatasetError

QUALITY = 95  # with full colour resolution (4:4:4) the mean error stays near one grey level


def encode_jpeg(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG, quality 95, 4:4:4."""
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=QUALITY, colorspace="RGB", colorsubsampling="444"
    )


def decode_image(content: bytes) -> np.ndarray:
    """JPEG or PNG as (H, W, 3) uint8 RGB. Raises `DatasetError` if it is neither, or broken."""
    try:
        if simplejpeg.is_jpeg(content):
            return simplejpeg.decode_jpeg(content, colorspace="RGB")
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (ValueError, OSError) as error:
        raise DatasetError(
            f"A picture of {len(content)} bytes is neither a whole JPEG nor a whole PNG: {error}."
        ) from None

"""Pictures on disk: JPEG through simplejpeg; PNG, which other people's data sets hold, through Pillow."""

import io
from contextlib import suppress

import numpy as np
import simplejpeg
from PIL import Image

from rldg.errors import DatasetError

MOST_PIXELS = 1 << 26  # of a picture that is decoded; a small file may claim more than there is memory
QUALITY = 95  # with full colour resolution (4:4:4) the mean error stays near one grey level


def encode_jpeg(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG, quality 95, 4:4:4."""
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=QUALITY, colorspace="RGB", colorsubsampling="444"
    )


def decode_image(content: bytes, buffer: np.ndarray | None = None) -> np.ndarray:
    """JPEG or PNG as (H, W, 3) uint8 RGB. Raises `DatasetError` if it is neither, or broken.

    A JPEG's pixels are those that TensorFlow gives, and so those that Octo and OpenVLA were trained on: it takes the
    faster of libjpeg's two transforms. A `buffer` of at least that many bytes saves a JPEG the allocation: the result
    then lies in it.
    """
    try:
        if simplejpeg.is_jpeg(content):
            if buffer is not None:
                with suppress(ValueError):  # larger than the buffer, or broken, which is said below
                    return simplejpeg.decode_jpeg(content, colorspace="RGB", fastdct=True, buffer=buffer)
            height, width, *_ = simplejpeg.decode_jpeg_header(content)
            _refuse_giant(int(height), int(width))
            return simplejpeg.decode_jpeg(content, colorspace="RGB", fastdct=True)
        # PNG alone: among Pillow's other formats are some that start programs.
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            _refuse_giant(image.height, image.width)
            return np.asarray(image.convert("RGB"))
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise DatasetError(
            f"A picture of {len(content)} bytes is neither a whole JPEG nor a whole PNG: {error}."
        ) from None


def _refuse_giant(height: int, width: int) -> None:
    if height * width > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MOST_PIXELS}")

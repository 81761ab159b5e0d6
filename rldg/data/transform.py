"""What is done to a picture between data set or camera and model: one description for training and for acting.

Steps and order are those of Octo's and OpenVLA's loaders: antialiased resizing; a random crop, in whole pixels, brought
back to full size (bilinear); then brightness, contrast, saturation and hue. When acting, every random number is in the
middle of its range: the crop is the centre one of mean area, at fractions of a pixel, and colours stay.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rldg.data.crop import centre_crop
from rldg.data.resize import Method, resized

cv2.ipp.setUseIPP(False)  # one resizing for every make of processor; Intel's takes longer, at least on AMD

DRAWS = 8  # random numbers per picture: area, aspect, row and column of the crop; brightness, contrast, saturation, hue

Pixels = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0)]

# Luma and two colour differences (NTSC). Hue turns the latter, saturation stretches them.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_TO_RGB = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class Change:
    """What is done to one picture after resizing."""

    rows: slice
    columns: slice
    colours: np.ndarray  # (3, 4), on RGB and 1: what contrast, brightness, saturation and hue make of a black mean
    pull: np.ndarray  # (3, 4), on each channel's mean: what contrast adds of it


class ImageTransform(BaseModel):
    """Size, crop and colour changes of one camera's pictures; `model_dump_json()` travels with a checkpoint.

    Saturation and hue are linear maps of the colours (as in NVIDIA's DALI), where TensorFlow goes through HSV: all four
    colour changes are then one matrix per picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Pixels
    width: Pixels
    method: Method = "lanczos3"
    crop_scale: tuple[Share, Share] = (1.0, 1.0)  # bounds of the crop's share of the area
    crop_ratio: tuple[Factor, Factor] = (1.0, 1.0)  # bounds of its width over its height, relative to the picture's
    brightness: Annotated[float, Field(ge=0)] = 0.0  # largest change, as a share of full scale
    contrast: tuple[Factor, Factor] = (1.0, 1.0)  # bounds of the factor about each channel's mean
    saturation: tuple[Factor, Factor] = (1.0, 1.0)  # bounds of the factor
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # largest turn, as a share of the colour circle

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB as the model sees it when it acts, (height, width, 3) uint8."""
        return self.centred(self.resized(image), np.empty((self.height, self.width, 3), np.uint8))

    def resized(self, image: np.ndarray) -> np.ndarray:
        """The first step: (height, width, 3) uint8, the very array if it fits already."""
        return resized(image, self.height, self.width, self.method)

    def centred(self, image: np.ndarray, out: np.ndarray) -> np.ndarray:
        """A resized picture (height, width, 3) as for acting, written into `out` of the same shape."""
        area, ratio = _between(self.crop_scale, 0.5), _between(self.crop_ratio, 0.5)
        high, wide = min(1.0, (area / ratio) ** 0.5), min(1.0, (area * ratio) ** 0.5)
        if (high, wide) != (1.0, 1.0):
            image = centre_crop(image, high, wide)
        (change,) = self.changes(np.full((1, DRAWS), 0.5))
        return self.changed(image, replace(change, rows=slice(None), columns=slice(None)), out)

    def changes(self, draws: np.ndarray) -> list[Change]:
        """What to do to N pictures, from random numbers (N, 8) in [0, 1)."""
        scale, ratio, row, column, brightness, contrast, saturation, hue = draws.T
        area, aspect = _between(self.crop_scale, scale), _between(self.crop_ratio, ratio)
        high = np.rint(self.height * np.sqrt(area / aspect)).clip(1, self.height).astype(int)
        wide = np.rint(self.width * np.sqrt(area * aspect)).clip(1, self.width).astype(int)
        top = (row * (self.height - high + 1)).astype(int)
        left = (column * (self.width - wide + 1)).astype(int)
        angle, stretch = 2 * np.pi * self.hue * (2 * hue - 1), _between(self.saturation, saturation)
        turn = np.zeros((len(draws), 3, 3))
        turn[:, 0, 0] = 1
        turn[:, 1, 1] = turn[:, 2, 2] = stretch * np.cos(angle)
        turn[:, 2, 1] = stretch * np.sin(angle)
        turn[:, 1, 2] = -turn[:, 2, 1]
        turn = _TO_RGB @ turn @ _TO_YIQ
        factor, shift = _between(self.contrast, contrast), 255 * self.brightness * (2 * brightness - 1)
        colours, pull = np.zeros((2, len(draws), 3, 4))
        colours[..., :3] = factor[:, None, None] * turn
        colours[..., 3] = shift[:, None] * turn.sum(axis=2)
        pull[..., :3] = turn - colours[..., :3]
        return [
            Change(slice(t, t + h), slice(s, s + w), c, p)
            for t, h, s, w, c, p in zip(
                top.tolist(), high.tolist(), left.tolist(), wide.tolist(), colours, pull, strict=True
            )
        ]

    def changed(self, image: np.ndarray, change: Change, out: np.ndarray) -> np.ndarray:
        """A resized picture (height, width, 3) after crop and colour changes, written into `out` of the same shape."""
        part = image[change.rows, change.columns]
        if part.shape != image.shape:
            part = cv2.resize(part, (self.width, self.height), dst=out, interpolation=cv2.INTER_LINEAR)
        if self._colours_change:
            matrix = change.colours.copy()
            matrix[:, 3] += change.pull.dot(cv2.mean(part))
            part = cv2.transform(part, matrix, dst=out)
        if part is not out:
            out[:] = part
        return out

    @property
    def _colours_change(self) -> bool:
        return bool(self.brightness or self.hue) or {self.contrast, self.saturation} != {(1.0, 1.0)}


def _between(bounds: tuple[float, float], share: Any) -> Any:
    return bounds[0] + share * (bounds[1] - bounds[0])


# How RLDG's authors fine-tuned OpenVLA. They trained Octo without augmentation: ImageTransform(height=224, width=224).
RLDG_OPENVLA = ImageTransform(
    height=224,
    width=224,
    crop_scale=(0.9, 0.9),
    brightness=0.2,
    contrast=(0.8, 1.2),
    saturation=(0.8, 1.2),
    hue=0.05,
)

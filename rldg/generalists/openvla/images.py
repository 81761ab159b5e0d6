"""Pictures as the vision towers take them: resized, cropped and normalised for each, as the original's processor does.

Resizing is Pillow's antialiased bicubic one. What the published files say of normalisation was rounded to bfloat16 when
they were written; that is what the model was served with, so it is what counts, not the `means` beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rldg.errors import CheckpointError, UsageError
from rldg.generalists.openvla.config import OpenVLAConfig

FILE = "preprocessor_config.json"

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # DINOv2's means and deviations
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # SigLIP's


class ImageProcessor:
    """Makes pixel values (B, 3 per tower, H, W) float32 of pictures of any size.

    `content` is that of a `preprocessor_config.json`. Raises `CheckpointError` if it is that of something else.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = dict(content)
        try:
            self._views = [
                _View.of(*parameters)
                for parameters in zip(
                    content["tvf_resize_params"],
                    content["tvf_crop_params"],
                    content["tvf_normalize_params"],
                    strict=True,
                )
            ]
            fill = content["tvf_letterbox_fill"] if content["tvf_do_letterbox"] else ()
            self._fill = tuple(int(value) for value in fill)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckpointError(
                f"{FILE} is not that of OpenVLA's processor, or is damaged: {type(error).__name__} {error}."
            ) from None

    @classmethod
    def read(cls, folder: Path) -> "ImageProcessor":
        """From a checkpoint's folder; raises `CheckpointError` if the file is missing or damaged."""
        try:
            content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"{folder} has no {FILE}, which says how pictures are resized.") from None
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{folder / FILE} cannot be read: {error}.") from None
        return cls(content if isinstance(content, dict) else {})

    @classmethod
    def of(cls, config: OpenVLAConfig) -> "ImageProcessor":
        """That of a new model."""
        size, number = config.image_size, len(config.towers)
        colours = [IMAGENET if tower.registers else HALVES for tower in config.towers]
        resize: Any = size if config.resize == "resize-crop" else [size, size]
        letterbox = config.resize == "letterbox"
        return cls(
            {
                "auto_map": {
                    "AutoImageProcessor": "processing_prismatic.PrismaticImageProcessor",
                    "AutoProcessor": "processing_prismatic.PrismaticProcessor",
                },
                "image_processor_type": "PrismaticImageProcessor",
                "image_resize_strategy": config.resize,
                "input_sizes": [[3, size, size]] * number,
                "interpolations": ["bicubic"] * number,
                "means": [list(mean) for mean, _ in colours],
                "processor_class": "PrismaticProcessor",
                "stds": [list(std) for _, std in colours],
                "tvf_crop_params": [{"output_size": [size, size]}] * number,
                "tvf_do_letterbox": letterbox,
                "tvf_letterbox_fill": [int(255 * value) for value in colours[-1][0]] if letterbox else None,
                "tvf_normalize_params": [
                    {"inplace": False, "mean": list(mean), "std": list(std)} for mean, std in colours
                ],
                "tvf_resize_params": [{"antialias": True, "interpolation": 3, "max_size": None, "size": resize}]
                * number,
                "use_fused_vision_backbone": number == 2,
            }
        )

    def check(self, config: OpenVLAConfig) -> None:
        """Raises `CheckpointError` unless this makes what the towers of `config` take."""
        wanted = [(config.image_size, config.image_size)] * len(config.towers)
        if (made := [view.crop for view in self._views]) != wanted:
            raise CheckpointError(f"{FILE} makes pictures of {made} pixels, but the towers take {wanted}.")

    def __call__(self, images: Any) -> Tensor:
        """Of a sequence of pictures, each (H, W, 3) uint8 RGB or Pillow's."""
        return torch.stack([self._one(_picture(image)) for image in images])

    def _one(self, picture: Image.Image) -> Tensor:
        if self._fill:
            picture = _letterbox(picture, self._fill)
        sized = {view.geometry: _tensor(_cropped(_resized(picture, view.size), view.crop)) for view in self._views}
        return torch.cat([(sized[view.geometry] - view.mean) / view.std for view in self._views])


@dataclass(frozen=True)
class _View:
    """What one tower is shown."""

    size: int | tuple[int, int]  # of the shorter side, or height and width
    crop: tuple[int, int]  # height and width of the middle that is kept
    mean: Tensor  # (3, 1, 1)
    std: Tensor

    @property
    def geometry(self) -> tuple[Any, ...]:
        return self.size, self.crop

    @classmethod
    def of(cls, resize: Mapping[str, Any], crop: Mapping[str, Any], colours: Mapping[str, Any]) -> "_View":
        size, whole = resize["size"], crop["output_size"]
        if resize["interpolation"] != 3:  # Pillow's number of bicubic
            raise ValueError(f"interpolation {resize['interpolation']} instead of 3, bicubic")
        sizes = size if isinstance(size, int) else (int(size[0]), int(size[1]))
        height, width = (whole, whole) if isinstance(whole, int) else whole
        mean, std = (torch.tensor(colours[name], dtype=torch.float32) for name in ("mean", "std"))
        if mean.shape != (3,) or std.shape != (3,) or not std.all():
            raise ValueError("mean and std of the colours are not three numbers")
        return cls(sizes, (int(height), int(width)), mean[:, None, None], std[:, None, None])


def _picture(image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise UsageError(f"A picture is (H, W, 3) uint8 RGB; got {array.shape} {array.dtype}.")
    return Image.fromarray(array)


def _letterbox(picture: Image.Image, fill: tuple[int, ...]) -> Image.Image:
    """Padded to a square, the picture in the middle."""
    width, height = picture.size
    across, down = int((max(width, height) - width) / 2), int((max(width, height) - height) / 2)
    whole = Image.new("RGB", (width + 2 * across, height + 2 * down), fill)
    whole.paste(picture, (across, down))
    return whole


def _resized(picture: Image.Image, size: int | tuple[int, int]) -> Image.Image:
    width, height = picture.size
    if isinstance(size, int):
        short = min(width, height)
        high, wide = int(size * height / short), int(size * width / short)
    else:
        high, wide = size
    return picture if (wide, high) == (width, height) else picture.resize((wide, high), Image.Resampling.BICUBIC)


def _cropped(picture: Image.Image, crop: tuple[int, int]) -> Image.Image:
    """The middle, black beyond the edges."""
    width, height = picture.size
    top, left = round((height - crop[0]) / 2), round((width - crop[1]) / 2)
    return picture.crop((left, top, left + crop[1], top + crop[0])) if (height, width) != crop else picture


def _tensor(picture: Image.Image) -> Tensor:
    """(3, H, W) float32 in 0 .. 1."""
    return torch.from_numpy(np.array(picture).transpose(2, 0, 1).copy()).float() / 255

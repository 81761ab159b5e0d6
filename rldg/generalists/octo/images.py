"""From a camera's picture to what Octo's stem sees, the same in training and in acting."""

import pydantic

from rldg.data.transform import ImageTransform
from rldg.errors import UsageError
from rldg.generalists.octo.config import ImageConfig
from rldg.generalists.octo.recipes import FinetuneConfig

UNCROPPED = "wrist"  # Octo crops every picture at random but those of this slot


def image_transform(image: ImageConfig, config: FinetuneConfig) -> ImageTransform:
    """Resizing, and what a training changes at random.

    Crops are for recipes that ask for them: where millimetres count they change which action a picture calls for.

    Raises `UsageError` if a range of the recipe makes no sense.
    """
    crop = {} if image.name == UNCROPPED else {"crop_scale": config.crop_scale, "crop_ratio": config.crop_ratio}
    try:
        return ImageTransform(
            height=image.size,
            width=image.size,
            method=config.resize,
            brightness=config.brightness,
            contrast=(1 - config.contrast, 1 + config.contrast),
            saturation=(1 - config.saturation, 1 + config.saturation),
            hue=config.hue,
            **crop,
        )
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]}, as it follows from the options: {first['msg']}.") from None

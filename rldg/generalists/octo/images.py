"""From a camera's picture to what Octo's stem sees, the same in training and in acting."""

from rldg.data.transform import ImageTransform
from rldg.generalists.octo.config import ImageConfig


def image_transform(image: ImageConfig) -> ImageTransform:
    """Antialiased resizing only: the training changes colours itself, on the device."""
    return ImageTransform(height=image.size, width=image.size, method="linear")

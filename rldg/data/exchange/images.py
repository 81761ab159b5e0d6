"""Encodings of the pictures in a data set: which they are, and how to make them."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from rldg.data.images import encode_jpeg


def encode_picture(picture: np.ndarray, encoding: str) -> bytes:
    """(H, W, 3) uint8 RGB as "jpeg" or "png"."""
    if encoding == "jpeg":
        return encode_jpeg(picture)
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "png")
    return content.getvalue()


def encoding_of(content: bytes) -> str:
    """What a picture is encoded as: "png" or, for everything else, "jpeg"."""
    return "png" if content[:8] == b"\x89PNG\r\n\x1a\n" else "jpeg"


def described_encodings(features: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flat name of each picture -> "jpeg" or "png", from the content of a `features.json`."""
    content = features.get("content") or features.get("featuresDict") or features["sequence"]["feature"]["featuresDict"]
    found: dict[str, str] = {}
    for name, feature in content["features"].items():
        if "image" in feature:
            found[prefix + name] = "png" if feature["image"].get("encodingFormat") == "png" else "jpeg"
        elif "featuresDict" in feature or (name == "steps" and "sequence" in feature):
            found |= described_encodings(feature, f"{prefix}{name}/")
    return found

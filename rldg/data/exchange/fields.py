"""From flat fields to TFDS features: `rldg.data.example.flat_fields` the other way round."""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.json_format import ParseError

from rldg.data.example import Field, flat_fields

TEXT = Field("text", (), np.dtype(object))


def number_field(dtype: Any, *shape: int) -> Field:
    """A number, or an array of them, as TFRecords can hold it: whatever is floating becomes float32."""
    dtype = np.dtype(dtype)
    return Field("number", shape, np.dtype(np.float32) if dtype.kind == "f" else dtype)


def image_field(*shape: int) -> Field:
    """A picture of height, width, channels."""
    return Field("image", shape, np.dtype(np.uint8))


def features_of(fields: Mapping[str, Field], encodings: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The content of a `features.json` for records with these fields.

    Args:
        fields: flat name -> field; names under `steps/` are per step.
        encodings: flat name of a picture -> "jpeg" or "png"; without an entry it is "jpeg".
    """
    nested: dict[str, Any] = {}
    for name, field in fields.items():
        *path, last = name.split("/")
        level = nested
        for part in path:
            level = level.setdefault(part, {})
        level[last] = _feature(field, (encodings or {}).get(name, "jpeg"))
    nested["steps"] = tfds.features.Dataset(nested["steps"])
    return tfds.features.FeaturesDict(nested).to_json()


def _feature(field: Field, encoding: str) -> Any:
    if field.kind == "text":
        return tfds.features.Text()
    if field.kind == "image":
        return tfds.features.Image(shape=field.shape, encoding_format=encoding)
    return tfds.features.Tensor(shape=field.shape, dtype=field.dtype.type) if field.shape else field.dtype.type


def fields_of(features: Mapping[str, Any]) -> dict[str, Field]:
    """Flat name -> field of the content of a `features.json`.

    Raises `ValueError` if it is none, or names a class of others than TFDS, which TFDS would import.
    """
    for name in re.findall(r'"(?:type|pythonClassName)": "([^"]*)"', json.dumps(features)):
        if not name.startswith("tensorflow_datasets.core.features."):
            raise ValueError(f"{name} is no feature of TFDS")
    try:
        return flat_fields(tfds.features.FeaturesDict.from_json(dict(features)))
    except ParseError as error:
        raise ValueError(" ".join(str(error).split())) from None

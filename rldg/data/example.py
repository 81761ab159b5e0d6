"""`tf.train.Example` messages without TensorFlow, driven by a data set's TFDS features.

TFDS stores a nested structure under flat names joined by "/", and a sequence of steps (`tfds.features.Dataset`) as one
list per name in which the steps follow each other. Here that is a flat dictionary, `Columns`: arrays with the steps as
first axis for what is under `steps/`, scalars for the rest, `list[bytes]` or `bytes` for text and encoded pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

from rldg.errors import DatasetError

Columns = dict[str, Any]

_example: Any = tf_example_pb2  # its classes come into being at import, so type checkers know none of them
_feature: Any = tf_feature_pb2


@dataclass(frozen=True)
class Field:
    """What a record holds under one flat name, per step for names under `steps/`."""

    kind: Literal["number", "text", "image"]
    shape: tuple[int, ...]  # of a picture: height, width, channels
    dtype: np.dtype


def flat_fields(features: Any) -> dict[str, Field]:
    """Flat name -> field of what can be read here of a `tfds.features.FeaturesDict`: numbers, text and pictures.

    Left out are nested sequences (ragged columns, video) and tensors that TFDS compressed.
    """
    flat: dict[str, Field] = {}
    for name, feature in features.items():
        if name == "steps" and isinstance(feature, tfds.features.Sequence):
            feature = feature.feature
        if isinstance(feature, tfds.features.FeaturesDict):
            flat |= {f"{name}/{key}": value for key, value in flat_fields(feature).items()}
        elif isinstance(feature, tfds.features.Image):
            shape: Any = feature.shape
            flat[name] = Field("image", shape, np.dtype(np.uint8))
        elif isinstance(feature, tfds.features.Tensor):
            stored: Any = feature.get_serialized_info()
            if stored.np_dtype != np.object_:
                flat[name] = Field("number", stored.shape, np.dtype(stored.np_dtype))
            elif feature.np_dtype == np.object_ and feature.shape == ():
                flat[name] = Field("text", (), np.dtype(object))
    return flat


def encode(columns: Mapping[str, Any]) -> bytes:
    """A serialised `tf.train.Example`; the same columns always give the same bytes."""
    example = _example.Example()
    for name in sorted(columns):
        _fill(example.features.feature[name], columns[name])  # in place: pictures are copied once
    return example.SerializeToString(deterministic=True)


def replace_columns(content: bytes, columns: Mapping[str, Any]) -> bytes:
    """The record `content` with some columns replaced, as `encode` takes them; all others stay bit for bit."""
    if not columns:
        return content
    example = _example.Example.FromString(content)
    for name, value in columns.items():
        feature = example.features.feature[name]
        feature.Clear()
        _fill(feature, value)
    return example.SerializeToString(deterministic=True)


def _fill(feature: Any, value: Any) -> None:
    if isinstance(value, bytes):
        value = [value]
    if isinstance(value, list):
        feature.bytes_list.value.extend(value)
        return
    array = np.asarray(value)
    if array.dtype.kind == "f":
        feature.float_list.MergeFromString(_float_list(array))
    else:
        feature.int64_list.value.extend(array.astype(np.int64).ravel().tolist())


def _float_list(array: np.ndarray) -> bytes:
    """A serialised `tf.train.FloatList`: field 1, packed, so that numbers go as they lie in memory, not one by one."""
    content = array.astype("<f4").tobytes()
    length, size = bytearray(), len(content)
    while size > 0x7F:  # a varint: seven bits a byte, the lowest first
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return b"\x0a" + length + bytes([size]) + content


def decode(content: bytes, fields: Mapping[str, Field]) -> Columns:
    """The columns of one record; pictures stay encoded. Raises `DatasetError` if it does not hold these fields.

    Columns under `steps/` come as long as they were stored, which in a faulty record may differ between them.
    """
    try:
        stored = _example.Example.FromString(content).features.feature
    except DecodeError as error:
        raise DatasetError(f"not a tf.train.Example message ({error})") from None
    missing = [name for name in fields if name not in stored]
    if missing:
        raise DatasetError(f"'{missing[0]}' is missing; it has {', '.join(sorted(stored))}")
    return {name: _column(name, field, stored[name]) for name, field in fields.items()}


def decode_column(content: bytes, name: str, field: Field) -> Any:
    """One column from its serialised `tf.train.Feature` alone. Raises `DatasetError` if it does not hold the field."""
    try:
        return _column(name, field, _feature.Feature.FromString(content))
    except DecodeError as error:
        raise DatasetError(f"'{name}' is not a tf.train.Feature message ({error})") from None


def _column(name: str, field: Field, stored: Any) -> Any:
    per_step = name.startswith("steps/")
    if field.kind != "number":
        values = list(stored.bytes_list.value)
        if not per_step and len(values) != 1:
            raise DatasetError(f"'{name}' holds {len(values)} values instead of one")
        return values if per_step else values[0]
    numbers = stored.float_list.value if stored.HasField("float_list") else stored.int64_list.value
    try:
        array = np.fromiter(numbers, field.dtype, len(numbers))
        array = array.reshape((-1, *field.shape) if per_step else field.shape)
    except (ValueError, TypeError, OverflowError):  # too many, of unknown shape, or not of this type
        raise DatasetError(
            f"'{name}' holds {len(numbers)} numbers, which are not {field.dtype} of shape {field.shape}"
        ) from None
    return array if per_step or field.shape else array.item()

"""`tf.train.Example` messages without TensorFlow, driven by a data set's TFDS features.

TFDS stores a nested structure under flat names joined by "/", and a sequence of steps (`tfds.features.Dataset`) as one
list per name in which the steps follow each other. Here that is a flat dictionary, `Columns`: arrays with the steps as
first axis for what is under `steps/`, scalars for the rest, `list[bytes]` or `bytes` for text and encoded pictures.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

from rldg.errors import DatasetError

Columns = dict[str, Any]


def flat_features(features: tfds.features.FeaturesDict) -> dict[str, tfds.features.FeatureConnector]:
    """Flat name -> feature of what can be read here: numbers, text and pictures, per episode or per step.

    Left out are nested sequences (ragged columns, video) and tensors that TFDS compressed.
    """
    flat = {}
    for name, feature in features.items():
        if name == "steps" and isinstance(feature, tfds.features.Sequence):
            feature = feature.feature
        if isinstance(feature, tfds.features.FeaturesDict):
            flat |= {f"{name}/{key}": value for key, value in flat_features(feature).items()}
        elif _readable(feature):
            flat[name] = feature
    return flat


def _readable(feature: tfds.features.FeatureConnector) -> bool:
    if isinstance(feature, tfds.features.Sequence):
        return False
    stored_as_bytes = feature.get_serialized_info().np_dtype == np.object_
    is_text = feature.np_dtype == np.object_ and feature.shape == ()
    return not stored_as_bytes or is_text or isinstance(feature, tfds.features.Image)


def encode(columns: Mapping[str, Any]) -> bytes:
    """A serialised `tf.train.Example`; the same columns always give the same bytes."""
    features = {name: _feature(columns[name]) for name in sorted(columns)}
    example = tf_example_pb2.Example(features=tf_feature_pb2.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def _feature(value: Any) -> tf_feature_pb2.Feature:
    if isinstance(value, bytes):
        value = [value]
    if isinstance(value, list):
        return tf_feature_pb2.Feature(bytes_list=tf_feature_pb2.BytesList(value=value))
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return tf_feature_pb2.Feature(float_list=tf_feature_pb2.FloatList(value=array.ravel().tolist()))
    return tf_feature_pb2.Feature(int64_list=tf_feature_pb2.Int64List(value=array.astype(np.int64).ravel().tolist()))


def decode(content: bytes, features: Mapping[str, tfds.features.FeatureConnector]) -> Columns:
    """The columns of one record; pictures stay encoded. Raises `DatasetError` if the record has others."""
    try:
        stored = tf_example_pb2.Example.FromString(content).features.feature
    except DecodeError as error:
        raise DatasetError(f"not a tf.train.Example message ({error})") from None
    columns: Columns = {}
    for name, feature in features.items():
        if name not in stored:
            raise DatasetError(f"'{name}' is missing; it has {', '.join(sorted(stored))}")
        columns[name] = _column(name, feature, stored[name])
    return columns


def _column(name: str, feature: tfds.features.FeatureConnector, stored: tf_feature_pb2.Feature) -> Any:
    info = feature.get_serialized_info()
    per_step = name.startswith("steps/")
    if stored.HasField("bytes_list"):
        values = list(stored.bytes_list.value)
        return values if per_step else values[0]
    numbers = stored.float_list.value if stored.HasField("float_list") else stored.int64_list.value
    array = np.fromiter(numbers, info.np_dtype, len(numbers))
    try:
        array = array.reshape((-1, *info.shape) if per_step else info.shape)
    except (TypeError, ValueError):
        raise DatasetError(f"'{name}' holds {array.size} numbers, which do not fill {info.shape}") from None
    return array if per_step else array.item() if info.shape == () else array

"""Data sets as other labs publish them: no metadata of ours, other names, an action of six numbers."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from rldg.data.example import encode
from rldg.data.images import encode_jpeg
from rldg.data.writer import DatasetWriter


def write_foreign(
    folder: Path, episodes: int, *, instructions=("insert the plug",), action="eef_action", size=6
) -> None:
    """The layout of RLDG's published sets: one wrist camera, `eef_action` of six numbers, no state."""
    features = tfds.features.FeaturesDict(
        {
            "steps": tfds.features.Dataset(
                {
                    "observation": {"image_wrist_1": tfds.features.Image(shape=(16, 16, 3), encoding_format="jpeg")},
                    action: tfds.features.Tensor(shape=(size,), dtype=np.float32),
                    "language_instruction": tfds.features.Text(),
                    "is_last": np.bool_,
                }
            )
        }
    )
    writer = DatasetWriter(folder)
    for index in range(episodes):
        length = 3 + index % 3
        columns = {
            "steps/observation/image_wrist_1": [encode_jpeg(np.full((16, 16, 3), 80, np.uint8))] * length,
            f"steps/{action}": np.random.default_rng(index).normal(size=(length, size)).astype(np.float32),
            "steps/language_instruction": [instructions[index % len(instructions)].encode()] * length,
            "steps/is_last": np.arange(length) == length - 1,
        }
        writer.write_record(index, encode(columns), features.to_json())

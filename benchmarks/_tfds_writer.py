"""The episodes of `benchmarks.data_writing` through TFDS's SequentialWriter, with TensorFlow: COUNT FORMAT.

Prints {"frames_per_cpu_second": ...}. The features are those of our data sets, and pictures go in as arrays: encoding
them, as `jpeg` or `png`, is part of writing in both. TFDS's JPEG halves the colour resolution, which ours keeps.
"""

import json
import sys
import time
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks.data_writing import DISTINCT, LENGTH, made_up_episode
from rldg.data.schema import episode_columns, episode_features
from rldg.rollout.episode import Episode


def nested(episode: Episode) -> dict[str, Any]:
    """The episode as TFDS takes it: metadata, and a dictionary per step."""
    columns = episode_columns(episode) | {
        f"steps/observation/image_{camera}": pictures for camera, pictures in episode.images.items()
    }
    example: dict[str, Any] = {"steps": [{"observation": {}} for _ in range(len(episode))], "episode_metadata": {}}
    for name, values in columns.items():
        group, _, rest = name.partition("/")
        if group == "episode_metadata":
            example[group][rest] = values
            continue
        for step, value in zip(example["steps"], values, strict=True):
            inside = step["observation"] if rest.startswith("observation/") else step
            inside[rest.removeprefix("observation/")] = value
    return example


def features(episode: Episode, encoding: str) -> tfds.features.FeaturesDict:
    """Those of our data sets, with pictures in another encoding."""
    ours: Any = episode_features(episode)
    observation = dict(ours["steps"].feature["observation"])
    for camera, pictures in episode.images.items():
        observation[f"image_{camera}"] = tfds.features.Image(shape=pictures.shape[1:], encoding_format=encoding)
    steps = dict(ours["steps"].feature) | {"observation": observation}
    return tfds.features.FeaturesDict({**ours, "steps": tfds.features.Dataset(steps)})


def main(episodes: int, encoding: str) -> float:
    """Frames per second of CPU time, all threads."""
    made = [made_up_episode(seed) for seed in range(DISTINCT)]
    examples = [nested(episode) for episode in made]
    tf.io.encode_jpeg(np.zeros((8, 8, 3), np.uint8))  # TensorFlow's own start does not count
    with TemporaryDirectory() as folder:
        info = tfds.core.DatasetInfo(
            builder=tfds.core.DatasetIdentity("benchmark", tfds.core.Version("1.0.0"), folder, module_name=""),
            features=features(made[0], encoding),
        )
        started = time.process_time()
        writer = tfds.core.SequentialWriter(info, max_examples_per_shard=1000)
        writer.initialize_splits(["train"])
        for index in range(episodes):
            writer.add_examples({"train": [examples[index % DISTINCT]]})
        writer.close_all()
        return episodes * LENGTH / (time.process_time() - started)


if __name__ == "__main__":
    print(json.dumps({"frames_per_cpu_second": main(int(sys.argv[1]), sys.argv[2])}))

"""The episodes of `benchmarks.data_writing` through TFDS's SequentialWriter, with TensorFlow: COUNT as argument.

Prints {"frames_per_cpu_second": ...}. The features are those of our data sets, and pictures go in as arrays: encoding
them is part of writing in both.
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


def main(episodes: int) -> float:
    """Frames per second of CPU time, all threads."""
    made = [made_up_episode(seed) for seed in range(DISTINCT)]
    examples = [nested(episode) for episode in made]
    tf.io.encode_jpeg(np.zeros((8, 8, 3), np.uint8))  # TensorFlow's own start does not count
    with TemporaryDirectory() as folder:
        info = tfds.core.DatasetInfo(
            builder=tfds.core.DatasetIdentity("benchmark", tfds.core.Version("1.0.0"), folder, module_name=""),
            features=episode_features(made[0]),
        )
        started = time.process_time()
        writer = tfds.core.SequentialWriter(info, max_examples_per_shard=1000)
        writer.initialize_splits(["train"])
        for index in range(episodes):
            writer.add_examples({"train": [examples[index % DISTINCT]]})
        writer.close_all()
        return episodes * LENGTH / (time.process_time() - started)


if __name__ == "__main__":
    print(json.dumps({"frames_per_cpu_second": main(int(sys.argv[1]))}))

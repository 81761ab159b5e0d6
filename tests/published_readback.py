"""Reads published data sets with TFDS and TensorFlow and nothing of ours, and prints what it saw as JSON.

ROOT NAME ARRAY_RECORD_FOLDER
"""

import json
import sys

import tensorflow_datasets as tfds

root, name, array_record = sys.argv[1:]


def episode_id(episode):
    identity = episode["episode_metadata"]["episode_id"]
    return (identity if isinstance(identity, bytes) else identity.numpy()).decode()


builder = tfds.builder_from_directory(f"{root}/{name}/1.0.0")
source = tfds.builder_from_directory(array_record).as_data_source(split="train")
seen = {
    "splits": {
        split: [(episode_id(episode), len(list(episode["steps"]))) for episode in builder.as_dataset(split=split)]
        for split in builder.info.splits
    },
    "lengths": {split: info.shard_lengths for split, info in builder.info.splits.items()},
    "by_name": len(list(tfds.load(name, data_dir=root, split="train[:50%]", shuffle_files=True))),
    "data_source": [(episode_id(source[i]), len(list(source[i]["steps"]))) for i in range(len(source))],
    "picture": list(next(iter(source[0]["steps"]))["observation"]["image_wrist"].shape),
    "description": builder.info.description,
    "citation": builder.info.citation,
    "license": builder.info.redistribution_info.license,
}
print(json.dumps(seen))

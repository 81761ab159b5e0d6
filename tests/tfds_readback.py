"""Reads a data set with TensorFlow and nothing of ours, and saves what it saw: FOLDER ROOT NAME TARGET.npz."""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

folder, root, name, target = sys.argv[1:]
builder = tfds.builder_from_directory(folder)
seen = {}
for number, episode in enumerate(builder.as_dataset(split="train")):
    steps = list(episode["steps"])
    for column in ("action", "reward", "discount", "is_first", "is_last", "is_terminal", "is_intervention"):
        seen[f"{number}/{column}"] = np.stack([step[column].numpy() for step in steps])
    for column in steps[0]["observation"]:
        seen[f"{number}/{column}"] = np.stack([step["observation"][column].numpy() for step in steps])
    seen[f"{number}/instruction"] = np.array(steps[0]["language_instruction"].numpy().decode())
    seen[f"{number}/seed"] = episode["episode_metadata"]["seed"].numpy()
    seen[f"{number}/success"] = episode["episode_metadata"]["success"].numpy()

# The ways in which the loaders of Octo and OpenVLA read: by name, in part, several files at once, steps undecoded.
by_name = tfds.load(name, data_dir=root, split="train[:50%]", shuffle_files=True)
seen["half"] = np.array(len(list(by_name)))
reading = tfds.ReadConfig(interleave_cycle_length=4, num_parallel_calls_for_interleave_files=4)
undecoded = builder.as_dataset("all", decoders={"steps": tfds.decode.SkipDecoding()}, read_config=reading)
seen["undecoded"] = np.array([len(episode["steps"]["action"]) for episode in undecoded])
seen["jpeg"] = tf.io.decode_jpeg(next(iter(undecoded))["steps"]["observation"]["image_wrist"][0]).numpy()
np.savez(target, **seen)

"""Loads a data set as the loaders of Octo and OpenVLA do, with what `rldg data register` wrote and nothing of ours.

Arguments: folders with octo.py and openvla.py, into each of which goes `seen.npz`. The parts are pasted into modules
of the names they belong to; then each trajectory goes the loaders' way (observed on the originals): found by name,
steps undecoded, the steps' columns beside each other, the transform, the columns that the entry names.
"""

import hashlib
import importlib
import inspect
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


def paste(root, file, part, before=""):
    """Part 1, 2, ... of an entry, as the end of the file that its comment names."""
    _, *parts = re.split(r"^# ---- \d\..*?([\w/]+)\.py.*\n", file.read_text(), flags=re.MULTILINE)
    name, content = parts[2 * part - 2 : 2 * part]
    path = root / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(before + content)
    return importlib.import_module(name.replace("/", "."))


def trajectories(name, data_dir):
    builder = tfds.builder(name, data_dir=data_dir)
    stored = builder.as_dataset(split="all", decoders={"steps": tfds.decode.SkipDecoding()})

    def hoisted(trajectory):
        steps = trajectory.pop("steps")
        length = tf.shape(tf.nest.flatten(steps)[0])[0]
        return {**steps, "traj_metadata": tf.nest.map_structure(lambda x: tf.repeat(x, length), trajectory)}

    return builder, stored.map(hoisted)


def statistics_name(builder, path_key, *rest):
    """As this TFDS describes the data set, less what the pinned versions did not print yet."""
    text = re.sub(r"\n    nondeterministic_order=\w+,", "", str(builder.info))
    text = text.replace("\n    data_dir=", f"\n    {path_key}=")
    return f"dataset_statistics_{hashlib.sha256(''.join([text, *rest]).encode()).hexdigest()}.json"


def collect(seen, loader, dataset, images, state_keys):
    assert dataset.element_spec["action"].shape[-1] == 7, "known before anything is read"
    assert dataset.element_spec["language_instruction"].dtype == tf.string
    for number, trajectory in enumerate(dataset):
        seen[f"{loader}/{number}/action"] = trajectory["action"].numpy()
        seen[f"{loader}/{number}/language"] = np.array([t.decode() for t in trajectory["language_instruction"].numpy()])
        for new, old in images.items():
            if old is not None:
                pictures = [tf.io.decode_image(content).shape for content in trajectory["observation"][old]]
                seen[f"{loader}/{number}/image_{new}"] = np.array(pictures)
        if state_keys:
            columns = [tf.cast(trajectory["observation"][key], tf.float32) for key in state_keys]
            seen[f"{loader}/{number}/proprio"] = tf.concat(columns, axis=1).numpy()


def load(entries):
    root = Path(tempfile.mkdtemp())
    sys.path.insert(0, str(root))
    for name in [name for name in sys.modules if name.split(".")[0] in ("octo", "prismatic", "scripts")]:
        del sys.modules[name]
    (root / "octo/utils").mkdir(parents=True)
    (root / "octo/utils/spec.py").write_text("class ModuleSpec:\n    create = staticmethod(lambda name: name)\n")
    paste(root, entries / "octo.py", 1)
    octo = paste(root, entries / "octo.py", 2).FINETUNING_KWARGS
    module, function = octo["standardize_fn"].split(":")
    transform = getattr(importlib.import_module(module), function)
    builder, stored = trajectories(octo["name"], octo["data_dir"])
    state = str(octo["proprio_obs_key"])
    seen = {"octo/name": statistics_name(builder, "data_path", state, f"{octo['standardize_fn']}()")}
    seen["octo/folder"] = str(builder.data_dir)

    state_keys = [octo["proprio_obs_key"]] if octo["proprio_obs_key"] else []
    collect(seen, "octo", stored.map(transform), octo["image_obs_keys"], state_keys)

    openvla = entries / "openvla.py"
    transforms = paste(root, openvla, 1, "OXE_STANDARDIZATION_TRANSFORMS = {}\n").OXE_STANDARDIZATION_TRANSFORMS
    enumerations = "from types import SimpleNamespace\nOXE_DATASET_CONFIGS = {}\n"
    for name in ("StateEncoding", "ActionEncoding"):
        enumerations += f"{name} = SimpleNamespace(NONE=-1, POS_QUAT=2, EEF_POS=1)\n"
    configs = paste(root, openvla, 2, enumerations).OXE_DATASET_CONFIGS
    mixtures = paste(root, openvla, 3, "OXE_NAMED_MIXTURES = {}\n").OXE_NAMED_MIXTURES
    ((name, config),) = configs.items()
    assert mixtures == {name: [(name, 1.0)]}
    assert config["action_encoding"] == 1
    builder, stored = trajectories(name, octo["data_dir"])
    seen["openvla/name"] = statistics_name(builder, "data_dir", "()", inspect.getsource(transforms[name]))
    with_state = [key for key in config["state_obs_keys"] if key]
    collect(seen, "openvla", stored.map(transforms[name]), config["image_obs_keys"], with_state)
    np.savez(entries / "seen.npz", **seen)


for folder in map(Path, sys.argv[1:]):
    load(folder)

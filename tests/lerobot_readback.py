"""Reads a data set with the packages `lerobot` and `robomimic` and nothing of ours: LEROBOT_ROOT HDF5 TARGET.npz."""

import sys

import numpy as np

root, hdf5, target = sys.argv[1:]
seen = {}

from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402
from lerobot.datasets.utils import dataset_to_policy_features  # noqa: E402

window = {"action": [0.0, 0.1], "observation.images.wrist_1": [-0.1, 0.0]}
try:
    dataset = LeRobotDataset("rldg/usb", root=root, delta_timestamps=window)
    dataset[0]
except (ImportError, RuntimeError):  # torchcodec finds no FFmpeg here
    dataset = LeRobotDataset("rldg/usb", root=root, delta_timestamps=window, video_backend="pyav")
items = [dataset[i] for i in range(len(dataset))]
for key in ("action", "observation.state", "next.reward", "rldg.base_action", "rldg.is_intervention", "episode_index"):
    seen[key] = np.stack([item[key].numpy() for item in items])
seen["pictures"] = np.stack([item["observation.images.wrist_1"].numpy() for item in items])
seen["side"] = np.stack([item["observation.images.side"].numpy() for item in items])
seen["tasks"] = np.array([item["task"] for item in items])
seen["mean"] = dataset.meta.stats["action"]["mean"]
seen["seeds"] = np.array(dataset.meta.episodes["episode_metadata/seed"])
features = dataset_to_policy_features(dataset.meta.features)
seen["policy"] = np.array(sorted(f"{feature.type.value} {key}" for key, feature in features.items()))
seen["backend"] = np.array(dataset.video_backend)

import robomimic.utils.obs_utils as observations  # noqa: E402
from robomimic.utils.dataset import SequenceDataset  # noqa: E402

observations.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": ["state"], "rgb": ["image_wrist_1"]}})
sequences = SequenceDataset(
    hdf5_path=hdf5,
    obs_keys=["state", "image_wrist_1"],
    dataset_keys=["actions", "rewards", "dones"],
    seq_length=2,
    frame_stack=1,
    load_next_obs=True,
    filter_by_attribute="train",
)
samples = [sequences[i] for i in range(len(sequences))]
seen["robomimic/actions"] = np.stack([sample["actions"][0] for sample in samples])
seen["robomimic/pictures"] = np.stack([sample["obs"]["image_wrist_1"][0] for sample in samples])
seen["robomimic/next"] = np.stack([sample["next_obs"]["state"][0] for sample in samples])
np.savez(target, **seen)

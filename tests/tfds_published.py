"""Writes a set like those that RLDG's authors published, with TensorFlow Datasets and nothing of ours: ROOT."""

import sys

import numpy as np
import tensorflow_datasets as tfds

(root,) = sys.argv[1:]


class Published(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    action = ""

    def _info(self):
        steps = {
            "observation": {"image_wrist_1": tfds.features.Image(shape=(32, 32, 3), encoding_format="jpeg")},
            "language_instruction": tfds.features.Text(),
            self.action: tfds.features.Tensor(shape=(6,), dtype=np.float32),
        }
        features = tfds.features.FeaturesDict({"steps": tfds.features.Dataset(steps)})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for episode in range(5):
            rng = np.random.default_rng(episode)
            steps = [
                {
                    "observation": {"image_wrist_1": rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)},
                    "language_instruction": "insert the ethernet connector",
                    self.action: np.full(6, episode + step / 10, np.float32),
                }
                for step in range(4 + episode)
            ]
            yield f"{episode}", {"steps": steps}


class EthernetInsertRlDataset(Published):
    action = "eef_action"


class PepperPickPlaceRlDataset(Published):
    action = "base_action"


for builder in (EthernetInsertRlDataset, PepperPickPlaceRlDataset):
    builder(data_dir=root).download_and_prepare()

"""Other people's tools read our data sets: TensorFlow Datasets, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter
from tests.synthetic_episodes import make_episode


def test_tfds_reads_what_we_write(tmp_path):
    folder = tmp_path / "root" / "usb_rl" / "1.0.0"
    writer = DatasetWriter(folder)
    for index in range(6):
        writer.write(index, make_episode(index, cameras=("wrist", "side")))
    script = Path(__file__).with_name("tfds_readback.py")
    target = tmp_path / "seen.npz"
    arguments = [str(folder), str(folder.parent.parent), "usb_rl", str(target)]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(target) as seen:
        for index, stored in enumerate(open_dataset(folder)):
            for name in ("action", "reward", "discount", "is_first", "is_last", "is_terminal", "is_intervention"):
                np.testing.assert_array_equal(seen[f"{index}/{name}"], stored.steps[name])
            for name in ("state", "raw_state", "tcp_pose", "gripper_pose", "tcp_in_target"):
                np.testing.assert_array_equal(seen[f"{index}/{name}"], stored.steps[f"observation/{name}"])
            for camera in ("image_wrist", "image_side"):
                np.testing.assert_array_equal(seen[f"{index}/{camera}"], stored.steps[f"observation/{camera}"])
            assert seen[f"{index}/instruction"] == stored.steps["language_instruction"][0]
            assert seen[f"{index}/seed"] == index
            assert seen[f"{index}/success"] == stored.metadata["success"]
        assert seen["half"] == 3
        assert sorted(seen["undecoded"]) == sorted(entry.length for entry in open_dataset(folder).entries)
        assert seen["jpeg"].shape == (24, 24, 3)

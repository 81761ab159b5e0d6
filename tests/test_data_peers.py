"""The packages `lerobot` and `robomimic` read what we export, in an environment of their own: see docs/exchange.md."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rldg.data.exchange.exporting import export_dataset
from rldg.data.exchange.lerobot_export import LeRobotExport
from rldg.data.exchange.robomimic import RobomimicExport
from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter
from tests.synthetic_episodes import make_episode

PYTHON = os.environ.get("RLDG_LEROBOT_PYTHON", "")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not PYTHON, reason="RLDG_LEROBOT_PYTHON names no Python that has lerobot and robomimic")
def test_lerobot_and_robomimic_load_our_exports(tmp_path):
    writer = DatasetWriter(tmp_path / "set")
    for index in range(12):
        writer.write(index, make_episode(index, size=64, cameras=("wrist_1", "side")))
    export_dataset(tmp_path / "set", tmp_path / "lerobot", LeRobotExport(fps=10))
    hdf5 = export_dataset(tmp_path / "set", tmp_path / "robomimic", RobomimicExport())["file"]
    script = Path(__file__).with_name("lerobot_readback.py")
    target = tmp_path / "seen.npz"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [PYTHON, str(script), str(tmp_path / "lerobot"), str(tmp_path / "robomimic" / hdf5), str(target)],
        capture_output=True, text=True, timeout=500, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    stored = list(open_dataset(tmp_path / "set"))

    def column(name, episodes):
        return np.concatenate([episode.steps[name] for episode in episodes])

    with np.load(target) as seen:
        np.testing.assert_array_equal(seen["action"][:, 0], column("action", stored))
        following = [np.concatenate([e.steps["action"][1:], e.steps["action"][-1:]]) for e in stored]
        np.testing.assert_array_equal(seen["action"][:, 1], np.concatenate(following))
        np.testing.assert_array_equal(seen["observation.state"], column("observation/state", stored))
        np.testing.assert_array_equal(seen["rldg.base_action"], column("base_action", stored))
        np.testing.assert_array_equal(seen["rldg.is_intervention"], column("is_intervention", stored))
        np.testing.assert_array_equal(seen["next.reward"], column("reward", stored))
        assert seen["seeds"].tolist() == list(range(12))
        assert set(seen["tasks"]) == {"Insert the plug – gently."}
        np.testing.assert_allclose(seen["mean"], column("action", stored).mean(axis=0), rtol=1e-5)
        frames = np.concatenate([e.steps["observation/image_wrist_1"].decoded() for e in stored]) / 255
        for pictures in (seen["pictures"][:, 1], seen["side"]):
            assert np.abs(pictures - frames.transpose(0, 3, 1, 2)).mean() < 3 / 255, "each frame is that of its step"
        assert seen["policy"].tolist() == [
            "ACTION action",
            "STATE observation.state",
            "VISUAL observation.images.side",
            "VISUAL observation.images.wrist_1",
        ]
        train = stored[:11]  # the last tenth is held back
        np.testing.assert_array_equal(seen["robomimic/actions"], column("action_normalized", train))
        states = [np.concatenate([s[1:], s[-1:]]) for s in (e.steps["observation/state"] for e in train)]
        np.testing.assert_array_equal(seen["robomimic/next"], np.concatenate(states))
        assert seen["robomimic/pictures"].shape == (sum(map(len, train)), 64, 64, 3)
        assert seen["backend"]

"""Whatever the files of a data set hold: it is read, or refused in one sentence; nothing hangs, crashes or is run."""

import json
import os
import subprocess
import sys

import pytest

from rldg.data.images import decode_image
from rldg.data.reader import open_dataset
from rldg.data.repair import repair
from rldg.data.validation import validate
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from tests.fuzz_data import PICTURES
from tests.synthetic_episodes import make_episode


def fuzz(folder, seed, count, timeout):
    command = [sys.executable, "-W", "error", "-m", "tests.fuzz_data", str(folder), str(seed), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 60), pytest.param(1, 2000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_mutants_are_read_or_refused(tmp_path, seed, count):
    found = fuzz(tmp_path, seed, count, timeout=1700)
    assert found["failures"] == []
    assert sum(found["counts"].values()) == 3 * count
    assert found["slowest_seconds"] < 10


@pytest.fixture
def folder(tmp_path):
    for index in range(2):
        DatasetWriter(tmp_path / "set").write(index, make_episode(index))
    return tmp_path / "set"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("nowhere", path)])
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json", "SHA256SUMS", "set-train.tfrecord-00001"])
@pytest.mark.timeout(20)
def test_what_is_not_a_file_neither_hangs_nor_crashes(folder, tmp_path, name, make):
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    assert name == "SHA256SUMS" or validate(folder, skip=["scene"]).faults
    if name == "features.json":
        with pytest.raises(DatasetError):
            open_dataset(folder)
    else:
        assert repair(folder, tmp_path / "repaired")["episodes"] >= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("features_dict.FeaturesDict", "features_dict.Other"),
        lambda text: text.replace("tensorflow_datasets.core.features.tensor_feature.Tensor", "canary.Feature"),
        lambda text: text.replace('"float32"', '"bfloat16"'),
        lambda text: json.dumps({"type": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
                                 "content": {"names_file": "/dev/zero"}}),
    ],
)  # fmt: skip
def test_features_name_nothing_that_tfds_would_import_or_open(folder, tmp_path, monkeypatch, change):
    (tmp_path / "canary.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = folder / "features.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(DatasetError, match="which is none that is read here"):
        open_dataset(folder)
    assert not {"canary", "tensorflow"} & sys.modules.keys()


@pytest.mark.parametrize("content", PICTURES)
def test_only_jpeg_and_png_of_a_decent_size_are_decoded(content):
    with pytest.raises(DatasetError, match="neither a whole JPEG nor a whole PNG"):
        decode_image(content)

"""Opening data sets: filters, broken files, foreign layouts, statistics, batches."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rldg.data.example import encode
from rldg.data.images import encode_jpeg
from rldg.data.reader import open_dataset
from rldg.data.statistics import column_statistics, compute_statistics, save_statistics
from rldg.data.steps import StepSource
from rldg.data.tfrecord import frame
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from tests.synthetic_episodes import make_episode


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    writer = DatasetWriter(folder)
    for index in range(6):
        writer.write(index, make_episode(index))
    return folder


def test_episodes_are_listed_and_selected(folder):
    dataset = open_dataset(folder)
    assert [entry.metadata["seed"] for entry in dataset.entries] == list(range(6))
    assert [entry.length for entry in dataset.entries] == [3, 4, 5, 6, 3, 4]
    assert [entry.metadata["seed"] for entry in dataset.successes().first(3).entries] == [0, 1, 3]
    assert len(dataset.filter(lambda entry: entry.length > 4)) == 2
    with pytest.raises(DatasetError, match="only 4 of the 5 episodes"):
        dataset.successes().first(5)


def broken_copy(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return sorted(target.glob("*.tfrecord-*"))


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "gone"])
def test_a_damaged_file_is_named(folder, tmp_path, damage):
    victim = broken_copy(folder, tmp_path / "set")[2]
    content = victim.read_bytes()
    match damage:
        case "cut":
            victim.write_bytes(content[:-100])
        case "bit":
            victim.write_bytes(content[:500] + bytes([content[500] ^ 4]) + content[501:])
        case "empty":
            victim.write_bytes(b"")
        case "gone":
            victim.unlink()
    message = "5 of the 6 files" if damage == "gone" else rf"{victim}: record 0"
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path / "set")


def test_the_wrong_folder_is_answered_with_the_right_one(folder):
    with pytest.raises(DatasetError, match=f"There is one in .*{folder.name}"):
        open_dataset(folder.parent)


def test_the_layout_of_the_rldg_authors_loads(tmp_path):
    """Several episodes per file, no metadata of ours, PNG or JPEG pictures, actions under other names."""
    features = tfds.features.FeaturesDict(
        {
            "steps": tfds.features.Dataset(
                {
                    "observation": {"image_wrist_1": tfds.features.Image(shape=(16, 16, 3), encoding_format="jpeg")},
                    "eef_action": tfds.features.Tensor(shape=(7,), dtype=np.float32),
                    "base_action": tfds.features.Tensor(shape=(7,), dtype=np.float64),
                    "language_instruction": tfds.features.Text(),
                    "is_last": np.bool_,
                    "notes": tfds.features.Sequence(tfds.features.Text()),  # unreadable here, and left out
                }
            )
        }
    )
    (tmp_path / "features.json").write_text(json.dumps(features.to_json()))
    image = np.full((16, 16, 3), (200, 30, 60), np.uint8)
    records = [
        encode(
            {
                "steps/observation/image_wrist_1": [encode_jpeg(image)] * length,
                "steps/eef_action": np.full((length, 7), length, np.float32),
                "steps/base_action": np.zeros((length, 7)),
                "steps/language_instruction": [b"insert"] * length,
                "steps/is_last": np.arange(length) == length - 1,
            }
        )
        for length in (2, 5, 3)
    ]
    for shard, part in enumerate((records[:2], records[2:])):
        path = tmp_path / f"usba_insert_rl_dataset-train.tfrecord-{shard:05d}-of-00002"
        path.write_bytes(b"".join(map(frame, part)))
    dataset = open_dataset(tmp_path)
    assert [entry.length for entry in dataset.successes().entries] == [2, 5, 3]
    assert np.abs(dataset[1].steps["observation/image_wrist_1"][4].astype(int) - image).max() <= 3
    assert compute_statistics(dataset, action="eef_action")["action"]["max"] == [5.0] * 7
    source = StepSource(dataset, {"wrist": "observation/image_wrist_1"}, action="eef_action")
    assert source.actions[9].tolist() == [3.0] * 7
    np.testing.assert_array_equal(source.picture("wrist", 6), dataset[1].steps["observation/image_wrist_1"][4])
    assert source.instructions.tolist() == ["insert"]
    with pytest.raises(DatasetError, match="has no column action; it has base_action"):
        StepSource(dataset, {})
    with pytest.raises(DatasetError, match="not written by rldg"):
        dataset[0].to_episode()


finite = st.floats(-1e3, 1e3, width=32)


@given(values=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=finite))
def test_statistics_bound_their_values(values):
    found = {name: np.array(column) for name, column in column_statistics(values).items()}
    assert np.all(found["min"] <= found["q01"])
    assert np.all(found["q01"] <= found["q99"])
    assert np.all(found["q99"] <= found["max"])
    np.testing.assert_allclose(found["mean"], values.mean(axis=0, dtype=np.float64), atol=1e-9)
    constant = values.min(axis=0) == values.max(axis=0)
    assert np.all((found["std"] == 0) == constant)
    for name in ("mean", "q01", "q99"):
        np.testing.assert_array_equal(found[name][constant], values[0][constant])


def test_statistics_file_is_what_openvla_looks_up(folder, tmp_path):
    statistics = compute_statistics(open_dataset(folder).successes())
    save_statistics(tmp_path / "dataset_statistics.json", "usb", statistics)
    found = json.loads((tmp_path / "dataset_statistics.json").read_text())["usb"]
    assert found["action"]["mask"] == [True] * 6 + [False]
    assert len(found["proprio"]["q99"]) == 20
    assert (found["num_transitions"], found["num_trajectories"]) == (3 + 4 + 6 + 3, 4)
    with pytest.raises(DatasetError, match="no episode"):
        compute_statistics([])

"""Records, pictures and the episode's columns: what is written comes back."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rldg.data.example import decode, encode, flat_fields
from rldg.data.images import decode_image, encode_jpeg
from rldg.data.reader import open_dataset
from rldg.data.schema import episode_columns, episode_features
from rldg.data.tfrecord import frame, read_records
from rldg.data.writer import DatasetWriter, dataset_name
from rldg.env.types import STATE_PARTS
from rldg.errors import DatasetError
from tests.synthetic_episodes import make_episode


@given(contents=st.lists(st.binary(max_size=300), max_size=5))
def test_records_come_back(tmp_path_factory, contents):
    path = tmp_path_factory.mktemp("records") / "file"
    path.write_bytes(b"".join(frame(content) for content in contents))
    assert [content for _, content in read_records(path)] == contents


@given(contents=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=3), data=st.data())
def test_any_cut_or_flipped_bit_is_noticed_and_named(tmp_path_factory, contents, data):
    whole = b"".join(frame(content) for content in contents)
    ends = np.cumsum([len(frame(content)) for content in contents]).tolist()
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole)
    broken[place] ^= 1 << data.draw(st.integers(0, 7))
    if data.draw(st.booleans()) and place not in (0, *ends):
        broken = whole[:place]
    path = tmp_path_factory.mktemp("records") / "file"
    path.write_bytes(broken)
    record = int(np.searchsorted(ends, place, side="right"))
    with pytest.raises(DatasetError, match=rf"{path}: record {record} is (cut off|corrupt)|corrupt length"):
        list(read_records(path))


@settings(max_examples=25)
@given(image=hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_pictures_keep_their_shape_and_colours(image):
    flat = np.broadcast_to(image[:1, :1], image.shape)
    decoded = decode_image(encode_jpeg(flat))
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - flat).max() <= 3  # red stays red: RGB, no colour subsampling


def test_a_broken_picture_is_an_error():
    with pytest.raises(DatasetError, match="neither a whole JPEG nor a whole PNG"):
        decode_image(b"not a picture")


@settings(max_examples=15, deadline=None)
@given(
    length=st.integers(1, 12), size=st.integers(16, 40), cameras=st.sets(st.sampled_from(["wrist", "side", "front_2"]))
)
def test_an_episode_comes_back(tmp_path_factory, length, size, cameras):
    folder = tmp_path_factory.mktemp("set")
    episode = make_episode(3, length, size, tuple(cameras))
    DatasetWriter(folder).write(0, episode)
    (stored,) = open_dataset(folder)
    again = stored.to_episode()
    assert again.metadata == dataclasses.replace(episode.metadata, penetration=again.metadata.penetration)
    assert again.instruction == episode.instruction
    for name in ("action", "base_action", "action_normalized", "reward", "is_terminal", "is_intervention"):
        np.testing.assert_array_equal(getattr(again, name), getattr(episode, name))
        assert getattr(again, name).dtype == getattr(episode, name).dtype
    for group in ("state", "raw_state", "privileged"):
        for name, values in getattr(episode, group).items():
            np.testing.assert_array_equal(getattr(again, group)[name], values)
    assert again.images.keys() == episode.images.keys()
    for name, values in episode.images.items():
        assert np.abs(again.images[name].astype(int) - values).max() < 12


def test_the_columns_follow_rlds():
    success, failure = (episode_columns(make_episode(i)) for i in (0, 2))
    for columns in (success, failure):
        length = len(columns["steps/reward"])
        assert columns["steps/is_first"].tolist() == [True] + [False] * (length - 1)
        assert columns["steps/is_last"].tolist() == [False] * (length - 1) + [True]
        np.testing.assert_array_equal(columns["steps/discount"], 1 - columns["steps/is_terminal"])
    assert success["steps/is_terminal"][-1]
    assert success["steps/reward"][-1] == 1
    assert not failure["steps/is_terminal"].any(), "running out of time is not terminal"
    parts = np.concatenate([success[f"steps/observation/{part}"] for part in STATE_PARTS], axis=1)
    np.testing.assert_array_equal(success["steps/observation/state"], parts)


def test_the_same_episode_gives_the_same_bytes():
    assert encode(episode_columns(make_episode(1))) == encode(episode_columns(make_episode(1)))


def test_a_record_of_another_data_set_is_refused():
    fields = flat_fields(episode_features(make_episode(0, cameras=("wrist", "side"))))
    with pytest.raises(DatasetError, match="'steps/observation/image_side' is missing"):
        decode(encode(episode_columns(make_episode(0))), fields)


def test_an_episode_with_other_cameras_is_refused(tmp_path):
    writer = DatasetWriter(tmp_path)
    writer.write(0, make_episode(0))
    with pytest.raises(DatasetError, match="other cameras"):
        writer.write(1, make_episode(1, size=32))
    with pytest.raises(DatasetError, match="never written twice"):
        writer.write(0, make_episode(0))


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("runs/data", ("data", "1.0.0")),
        ("usb_rl/2.1.0", ("usb_rl", "2.1.0")),
        ("45 RL-episodes", ("rldg_45_RL_episodes", "1.0.0")),
    ],
)
def test_the_folder_names_the_data_set(tmp_path, folder, expected):
    assert dataset_name(tmp_path / folder) == expected


def test_tensorflow_stays_outside():
    code = "import sys, rldg.data.writer, rldg.data.loader, rldg.data.statistics; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0

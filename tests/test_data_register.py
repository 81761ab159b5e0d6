"""`rldg data register`: what it writes is what the loaders of Octo and OpenVLA need; what they trip over is said."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.data.registration.checks import loader_warnings
from rldg.data.registration.choices import Choices
from rldg.data.registration.entry import register
from rldg.data.registration.statistics_files import loader_input_statistics, write_statistics
from rldg.data.views import joined, open_splits
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError, UnknownNameError
from tests.foreign_sets import write_foreign
from tests.synthetic_episodes import make_episode


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Twelve successful episodes of two cameras, where loaders look for them."""
    folder = tmp_path_factory.mktemp("root") / "usb_rl" / "1.0.0"
    writer = DatasetWriter(folder)
    for number, index in enumerate(i for i in range(18) if i % 3 != 2):
        writer.write(number, make_episode(index, cameras=("side", "wrist_1")))
    return folder


def registered(folder, *options, capsys):
    out = folder.parent / "entries"
    assert dispatch(["data", "register", str(folder), "--out", str(out), "--json", *options]) == 0
    return out, json.loads(capsys.readouterr().out)


def warned(folder, **choices):
    splits = open_splits(folder)
    entry = register(joined(splits), Choices(**choices))
    return loader_warnings(splits, entry, loader_input_statistics(joined(splits), entry))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The layout of RLDG's sets."""
    folder = tmp_path_factory.mktemp("root") / "vga_insert_rl_dataset" / "1.0.0"
    write_foreign(folder, 12)
    return folder


@pytest.fixture(scope="module")
def seen(ours, published, tmp_path_factory):
    """Name of the data set -> what the loaders see with its entries, in a process with TensorFlow."""
    work = tmp_path_factory.mktemp("loaders")
    for folder in (ours, published):
        assert dispatch(["data", "register", str(folder), "--out", str(work / folder.parent.name)]) == 0
    script = Path(__file__).with_name("loaders_readback.py")
    done = subprocess.run(
        [sys.executable, str(script), *(str(work / folder.parent.name) for folder in (ours, published))],
        capture_output=True, text=True, timeout=150, cwd=work, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for folder in (ours, published):
        with np.load(work / folder.parent.name / "seen.npz") as arrays:
            found[folder.parent.name] = dict(arrays)
    return found


@pytest.mark.parametrize("name", ["usb_rl", "vga_insert_rl_dataset"])
def test_the_loaders_find_the_set_and_its_statistics(name, seen, ours, published):
    folder = {"usb_rl": ours, "vga_insert_rl_dataset": published}[name]
    assert str(seen[name]["octo/folder"]) == str(folder)
    for loader, path in write_statistics(folder, ("octo", "openvla")).items():
        assert path.name == str(seen[name][f"{loader}/name"]), "the loader would compute them again"
        path.unlink()


def test_the_loaders_read_our_set(ours, seen):
    seen = seen["usb_rl"]
    for number, episode in enumerate(open_dataset(ours)):
        for loader in ("octo", "openvla"):
            action = seen[f"{loader}/{number}/action"]
            assert action.dtype == np.float32
            np.testing.assert_array_equal(action, episode.steps["action"])
            assert seen[f"{loader}/{number}/language"].tolist() == episode.steps["language_instruction"]
            assert seen[f"{loader}/{number}/image_primary"].tolist() == [[24, 24, 3]] * len(episode)
        np.testing.assert_array_equal(seen[f"octo/{number}/proprio"], episode.steps["observation/state"])
        pose = [episode.steps[f"observation/{part}"] for part in ("tcp_pose", "gripper_pose")]
        np.testing.assert_array_equal(seen[f"openvla/{number}/proprio"], np.concatenate(pose, axis=1))


def test_the_loaders_read_the_published_sets(published, seen):
    seen = seen["vga_insert_rl_dataset"]
    for number, episode in enumerate(open_dataset(published)):
        for loader in ("octo", "openvla"):
            action = seen[f"{loader}/{number}/action"]
            np.testing.assert_array_equal(action[:, :6], episode.steps["eef_action"])
            assert action.shape[1] == 7 and not action[:, 6].any()
            assert seen[f"{loader}/{number}/image_primary"].tolist() == [[16, 16, 3]] * len(episode)
            assert f"{loader}/{number}/proprio" not in seen
        assert f"octo/{number}/image_wrist" not in seen


def test_every_name_in_an_entry_is_a_column(ours, capsys):
    out, result = registered(ours, capsys=capsys)
    assert result["warnings"] == []
    entry = register(open_dataset(ours))
    fields = open_dataset(ours).fields
    for name in (entry.single, entry.primary, entry.wrist, entry.state):
        assert f"steps/observation/{name}" in fields
        assert f'"{name}"' in (out / "octo.py").read_text() + (out / "openvla.py").read_text()
    assert (entry.single, entry.primary, entry.wrist) == ("image_wrist_1", "image_side", "image_wrist_1")
    note = (out / "note.txt").read_text()
    assert f"rldg data stats {ours} --write octo openvla" in note


def test_choices_are_kept_and_the_same_command_gives_the_same_bytes(ours, capsys):
    options = ("--single", "image_side", "--action", "base_action", "--data-dir", "gs://bucket/data")
    out, result = registered(ours, *options, capsys=capsys)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert b'trajectory["base_action"]' in before["openvla.py"] and b'"primary": "image_side"' in before["openvla.py"]
    assert b"--action base_action --single image_side --data-dir gs://bucket/data" in before["note.txt"]
    assert result["folder"] == "gs://bucket/data/usb_rl/1.0.0"
    registered(ours, *options, capsys=capsys)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_what_the_loaders_trip_over_is_said(tmp_path):
    folder = tmp_path / "few it's"
    writer = DatasetWriter(folder)
    for index in range(10):
        episode = make_episode(index)
        episode.action[:, 6] = 1.0
        episode.action[:, 4] = 0.25
        writer.write(index, episode)
    place, held_out, failures, still, gripper = warned(folder)
    assert "few_it_s/1.0.0, where nothing is: move it there, or link it with `mkdir -p" in place
    assert "which of 10 is none" in held_out
    assert failures.startswith("3 of 10 episodes failed")
    assert still.startswith("Numbers 4 of 'action' never change")
    assert gripper.startswith("The gripper in 'action' is always 1: OpenVLA replaces")
    command = place.split("`")[1]
    subprocess.run(command, shell=True, check=True, timeout=10)  # noqa: S602 - the very line that a user would paste
    assert not any("where nothing is" in warning for warning in warned(folder))
    DatasetWriter(folder, "val").write(0, make_episode(30))
    assert not any("hold the last" in warning for warning in warned(folder))


def test_eleven_episodes_are_enough_to_hold_one_out(tmp_path):
    """TFDS itself says so: `train[95%:]` of ten episodes is empty, of eleven it is not."""
    import tensorflow_datasets as tfds

    for episodes in (10, 11):
        folder = tmp_path / f"set_{episodes}" / "1.0.0"
        write_foreign(folder, episodes)
        held_out = tfds.builder_from_directory(folder).info.splits["train[95%:]"].num_examples
        assert any("fail when they validate" in warning for warning in warned(folder)) == (held_out == 0)
    assert "tensorflow" not in sys.modules


def test_missing_instructions(tmp_path):
    folder = tmp_path / "half" / "1.0.0"
    write_foreign(folder, 12, instructions=("insert", ""))
    assert warned(folder) == ["6 episodes have no instruction: OpenVLA leaves them out."]
    folder = tmp_path / "mute" / "1.0.0"
    write_foreign(folder, 12, instructions=("",))
    with pytest.raises(DatasetError, match="No episode has an instruction"):
        warned(folder)


def test_stale_statistics_are_found(tmp_path):
    folder = tmp_path / "usb" / "1.0.0"
    write_foreign(folder, 12)
    path = write_statistics(folder, ["openvla"])["openvla"]
    assert warned(folder) == []
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"num_transitions": 1}))
    (warning,) = warned(folder)
    assert "holds other statistics" in warning and "--write openvla" in warning
    path.write_text("{")
    assert "holds other statistics" in warned(folder)[0]


def test_what_no_loader_takes_is_refused(tmp_path, ours):
    write_foreign(tmp_path / "wide" / "1.0.0", 2, size=8)
    with pytest.raises(DatasetError, match=r"'eef_action' of .* has the shape \(8,\); both loaders take 7 numbers"):
        register(open_dataset(tmp_path / "wide" / "1.0.0"))
    with pytest.raises(UnknownNameError, match=r"Unknown camera 'image_wrist'\. Did you mean 'image_wrist_1'"):
        register(open_dataset(ours), Choices(single="image_wrist"))
    with pytest.raises(DatasetError, match="no column 'observation/pose'"):
        register(open_dataset(ours), Choices(state="pose"))
    writer = DatasetWriter(tmp_path / "blind" / "1.0.0")
    writer.write(0, make_episode(0, cameras=()))
    with pytest.raises(DatasetError, match="has no pictures"):
        register(open_dataset(writer.folder))
    writer = DatasetWriter(tmp_path / "untrained" / "1.0.0", "val")
    writer.write(0, make_episode(0))
    with pytest.raises(DatasetError, match="train on the split 'train', which is missing"):
        warned(writer.folder)
    writer = DatasetWriter(tmp_path / "usb-rl" / "1.0.0", name="usb_rl")
    writer.write(0, make_episode(0))
    with pytest.raises(DatasetError, match="'usb-rl' cannot be a data set's name in Python"):
        warned(writer.folder)

"""`rldg data repair`: every whole episode of a damaged data set is saved, what is lost is named."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.data.repair import repair
from rldg.data.tfrecord import _masked_crc, frame, scan_records
from rldg.data.validation import validate
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError, StageError
from tests.planted import copied, rewritten
from tests.synthetic_episodes import make_episode


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Six episodes in two splits, as a folder's name gives them."""
    folder = tmp_path_factory.mktemp("root") / "usb"
    for split in ("train", "val"):
        writer = DatasetWriter(folder, split)
        for index in range(3):
            writer.write(index, make_episode(index + 3 * (split == "val")))
    return folder


@pytest.fixture(scope="module")
def sharded(whole, tmp_path_factory):
    """The same three training episodes in one file, as other tools write them."""
    folder = tmp_path_factory.mktemp("sharded")
    (folder / "features.json").write_bytes((whole / "features.json").read_bytes())
    content = b"".join(path.read_bytes() for path in sorted(whole.glob("usb-train*")))
    (folder / "usb-train.tfrecord-00000-of-00001").write_bytes(content)
    return folder


def seeds(folder, split="train"):
    return [entry.metadata["seed"] for entry in open_dataset(folder, split).entries]


def structural(report):
    """Findings about files and records: what a repair mends (made-up episodes have faults of other sorts)."""
    mended = ("file", "info", "record", "column", "features", "picture")
    return [finding for finding in report.findings if finding.kind.startswith(mended)]


def test_every_whole_episode_is_saved_and_the_original_stays(whole, tmp_path, capsys):
    folder = copied(whole, tmp_path / "damaged")
    victim = sorted(folder.glob("usb-train*"))[1]
    victim.write_bytes(victim.read_bytes()[:-40])
    (folder / "dataset_info.json").write_text("{garbage")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    out = tmp_path / "repaired"
    assert dispatch(["data", "repair", str(folder), "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    (loss,) = result["lost"]
    assert (result["episodes"], loss["file"], loss["record"], loss["offset"]) == (5, victim.name, 0, 0)
    assert "cut off" in loss["why"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert (seeds(out), seeds(out, "val")) == ([0, 2], [3, 4, 5])
    assert open_dataset(out).record(1) == open_dataset(whole).record(2), "byte for byte"
    assert structural(validate(out, skip=["scene"])) == []
    assert json.loads((out / "dataset_info.json").read_text())["name"] == "usb"


def test_records_behind_a_broken_one_are_found_again(sharded, tmp_path):
    content = (sharded / "usb-train.tfrecord-00000-of-00001").read_bytes()
    first, second = (len(frame(open_dataset(sharded).record(index))) for index in (0, 1))
    damages = {
        "content": content[: first + 100] + b"\0" * 50 + content[first + 150 :],
        "length": content[:first] + b"\xff" * 12 + content[first + 12 :],
        "torn out": content[: first + 100] + content[first + 333 :],
        "inserted": content[: first + 100] + b"junk" * 100 + content[first + 100 :],
    }
    for name, damaged in damages.items():
        folder = copied(sharded, tmp_path / name)
        (folder / "usb-train.tfrecord-00000-of-00001").write_bytes(damaged)
        result = repair(folder, tmp_path / f"{name} repaired")
        assert seeds(tmp_path / f"{name} repaired") == [0, 2], name
        (loss,) = result["lost"]
        assert (loss["record"], loss["offset"]) == (1, first), name
        assert loss["size"] == len(damaged) - len(content) + second, name


@settings(max_examples=60, deadline=None)
@given(data=st.data(), contents=st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_a_scan_covers_the_file_and_finds_every_untouched_record(tmp_path_factory, data, contents):
    whole = [frame(content) for content in contents]
    hurt = data.draw(st.integers(0, len(whole) - 1))
    place = data.draw(st.integers(0, len(whole[hurt]) - 1))
    damaged = bytearray(whole[hurt])
    damaged[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("scan") / "file"
    path.write_bytes(b"".join([*whole[:hurt], bytes(damaged), *whole[hurt + 1 :]]))
    records = list(scan_records(path))
    assert [record.content for record in records if not record.fault] == contents[:hurt] + contents[hurt + 1 :]
    assert sum(record.size for record in records) == path.stat().st_size
    assert [record.number for record in records] == list(range(len(records)))


def test_a_length_that_claims_more_than_the_file_allocates_nothing(tmp_path):
    length = struct.pack("<Q", 1 << 60)
    path = tmp_path / "file"
    path.write_bytes(length + struct.pack("<I", _masked_crc(length)) + frame(b"behind it"))
    broken, behind = scan_records(path)
    assert "cut off after" in broken.fault
    assert behind.content == b"behind it"


def test_lost_features_come_from_another_set(whole, tmp_path):
    folder = copied(whole, tmp_path / "damaged")
    (folder / "features.json").write_text("")
    with pytest.raises(DatasetError, match="--features-from"):
        repair(folder, tmp_path / "repaired")
    assert repair(folder, tmp_path / "repaired", features_from=whole) == {"episodes": 6, "lost": []}
    assert seeds(tmp_path / "repaired") == [0, 1, 2]


def test_episodes_with_broken_pictures_or_columns_are_lost(whole, tmp_path):
    def edit(index, columns):
        if index == 0:
            columns["steps/reward"] = columns["steps/reward"][1:]
        if index == 2:
            columns["steps/observation/image_wrist"][1] = b"\xff\xd8 no picture"

    result = repair(rewritten(whole, tmp_path / "damaged", edit), tmp_path / "repaired")
    assert seeds(tmp_path / "repaired") == [1]
    assert [loss["file"][-1] for loss in result["lost"]] == ["0", "2"]
    assert "'steps/reward'" in result["lost"][0]["why"] or "'reward'" in result["lost"][0]["why"]


def test_again_it_is_reused_and_other_data_into_the_folder_is_refused(whole, tmp_path):
    out = tmp_path / "repaired"
    repair(whole, out)
    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir() if path.name != ".lock"}
    repair(whole, out)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir() if path.name != ".lock"} == stamps
    folder = copied(whole, tmp_path / "other")
    sorted(folder.glob("usb-train*"))[0].unlink()
    with pytest.raises(StageError):
        repair(folder, out)
    with pytest.raises(DatasetError, match="within the damaged"):
        repair(whole, whole / "repaired")


def test_an_interrupted_repair_is_completed(whole, tmp_path, monkeypatch):
    written = []
    original = DatasetWriter.write_record

    def stops(self, index, record, features):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(index)
        original(self, index, record, features)

    monkeypatch.setattr(DatasetWriter, "write_record", stops)
    with pytest.raises(KeyboardInterrupt):
        repair(whole, tmp_path / "repaired")
    monkeypatch.undo()
    assert repair(whole, tmp_path / "repaired")["episodes"] == 6
    assert (seeds(tmp_path / "repaired"), seeds(tmp_path / "repaired", "val")) == ([0, 1, 2], [3, 4, 5])


def test_nothing_whole_is_an_error(whole, tmp_path):
    folder = copied(whole, tmp_path / "damaged")
    for path in folder.glob("*.tfrecord-*"):
        path.write_bytes(b"garbage")
    with pytest.raises(DatasetError, match=r"No episode .* is whole"):
        repair(folder, tmp_path / "repaired")

"""`rldg data card`: what a data set's README says is so, and it tells nobody who wrote it where."""

import json
import platform
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml
from PIL import Image

from rldg.cli.main import dispatch
from rldg.data.card.front_matter import front_matter
from rldg.data.card.write import write_card
from rldg.data.manifest import read_manifest
from rldg.data.reader import open_dataset
from rldg.data.statistics import compute_statistics
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from tests.foreign_sets import write_foreign
from tests.synthetic_episodes import make_episode

CONTRACT = '{"translation_scale": 0.015, "rotation_scale": 0.1, "rate": 10, "gripper": "fixed"}'


def contracted(index, **metadata):
    episode = make_episode(index, cameras=("wrist_1", "side"))
    return replace(episode, metadata=replace(episode.metadata, action_contract=CONTRACT, **metadata))


@pytest.fixture
def folder(tmp_path):
    """Nine episodes to train on and three to validate on, a third of them failures."""
    folder = tmp_path / "usb_rl" / "1.0.0"
    for split, indices in (("train", range(9)), ("val", range(9, 12))):
        writer = DatasetWriter(folder, split)
        for number, index in enumerate(indices):
            writer.write(number, contracted(index, checkpoint_hash="0123456789abcdef"))
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def card_of(folder, **options):
    write_card(folder, **options)
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


def tables(body):
    """Each table of the card, as rows of cells."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", body, flags=re.MULTILINE)
    return [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()] for block in blocks]


def test_the_card_says_what_the_data_set_holds(folder):
    header, body = card_of(folder)
    assert header["license"] == "cc-by-4.0"
    assert (header["task_categories"], header["size_categories"]) == (["robotics"], ["n<1K"])
    assert [part["split"] for part in header["configs"][0]["data_files"]] == ["train", "val"]
    dataset = open_dataset(folder)
    assert f"| train | 9 | {dataset.steps} | 6 | 66.7% (35.4% to 87.9%) |" in body
    assert "| val | 3 | " in body
    assert "| synthetic | Insert the plug – gently. | 12 | 8 |" in body
    assert "Failed: 4 by `time_out`." in body
    assert "12 episodes of a robot, 54 control steps at 10 a second" in body
    assert "at 10 steps a second: translation x y z [m], at most 0.015 along an axis" in body.replace("\n", " ")
    assert "| `image_side` | 24 x 24 |" in body
    assert "| checkpoint | 0123456789abcdef (12) |" in body
    assert "| seeds | 12 different ones from 0 to 11 |" in body
    both = [*dataset, *open_dataset(folder, "val")]
    mean = compute_statistics(both)["action"]["mean"][5]
    assert f"| rotation z [rad] | {mean:.4g} |" in body
    interventions = sum(int(episode.steps["is_intervention"].sum()) for episode in both)
    assert f"On {interventions} of the 54 steps a person had taken over" in body


def test_every_table_is_whole_and_every_picture_is_there(folder):
    _, body = card_of(folder)
    found = tables(body)
    assert len(found) == 7
    for rows in found:
        assert {len(row) for row in rows} == {len(rows[0])} and len(rows) > 2
        assert set("".join(rows[1])) == {"-"}
    pictures = re.findall(r"!\[.*\]\((.*)\)", body)
    assert len(pictures) == 4
    for picture in pictures:
        with Image.open(folder / picture) as image:
            assert np.asarray(image).std() > 5, "it shows something"


def test_the_manifest_covers_the_card_and_the_commands_in_it_work(folder):
    _, body = card_of(folder)
    listed = read_manifest(folder)
    assert {"README.md", "card/lengths.png", "card/actions.png", "card/image_side.jpg"} <= listed.keys()
    check, total = (line for line in re.findall(r"`([^`]*sha256sum[^`]*)`", body))
    done = subprocess.run(check.split(), cwd=folder, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.count(": OK") == len(listed)
    summed = subprocess.run(total, shell=True, cwd=folder, capture_output=True, text=True, timeout=30, check=True)  # noqa: S602
    assert f"    {summed.stdout.split()[0]}\n" in body


def test_the_same_data_give_the_same_bytes_and_name_no_machine(folder, tmp_path):
    write_card(folder)
    before = contents(folder)
    write_card(folder)
    assert contents(folder) == before
    folder.rename(tmp_path / "moved")
    write_card(tmp_path / "moved")
    assert list(contents(tmp_path / "moved").values()) == list(before.values())
    written = b"".join(before[path] for path in before if path.name == "README.md" or path.parent.name == "card")
    for secret in (str(tmp_path), platform.platform(), "Matplotlib"):
        assert secret.encode() not in written
    assert platform.node() not in re.findall(r"[\w-]+", (tmp_path / "moved" / "README.md").read_text())


def test_another_hands_readme_is_kept(folder):
    (folder / "README.md").write_text("Ours, by hand.")
    with pytest.raises(DatasetError, match=r"README\.md was not written by `rldg data card`; move it away"):
        write_card(folder)
    assert (folder / "README.md").read_text() == "Ours, by hand."
    assert not (folder / "card").exists()


def test_a_foreign_set_gets_a_card_of_what_it_tells(tmp_path):
    folder = tmp_path / "vga_insert_rl_dataset" / "1.0.0"
    write_foreign(folder, 3, instructions=("push | <b>hard</b>\nnow", "insert the plug"))
    _, body = card_of(folder, license="mit")
    assert "|  | push \\| &lt;b>hard&lt;/b> now | 2 |" in body
    assert "carry no label of success" in body and "Wilson" not in body
    assert "`eef_action`: The data set does not say in what units" in body
    assert "Where the episodes come from" not in body and "taken over" not in body
    for rows in tables(body):
        assert {len(row) for row in rows} == {len(rows[0])}


def test_lineage_is_shown_without_anybodys_folders(folder):
    collected = {"name": "usb_all", "version": "1.0.0", "path": "/home/me/usb", "episodes": {"train": 45}}
    filtered = {"operation": "filter", "parameters": {"keep": "success"}, "parents": [collected]}
    merged = {
        "operation": "merge",
        "parameters": {"folders": ["/home/me/a", "/home/me/b"], "equal": True, "seed": None},
        "parents": [{"name": "usb_good", "version": "1.0.0", "lineage": filtered}, {"name": "vga", "version": "2.0.0"}],
    }
    (folder / "lineage.json").write_text(json.dumps(merged))
    _, body = card_of(folder)
    assert (
        "- merge: folders a b, equal True\n"
        "  - usb_good 1.0.0\n"
        "    - filter: keep success\n"
        "      - usb_all 1.0.0, 45 episodes\n"
        "  - vga 2.0.0\n"
    ) in body
    assert "/home/me" not in body
    for broken in ("[]", "{", '{"operation": "merge"}', '{"operation": "x", "parameters": {}, "parents": [3]}'):
        (folder / "lineage.json").write_text(broken)
        with pytest.raises(DatasetError, match=r"lineage\.json does not say which edits"):
            write_card(folder)


def test_what_cannot_be_described_is_named(tmp_path, folder):
    with pytest.raises(DatasetError, match=r"no features\.json"):
        write_card(tmp_path)
    (folder / "usb_rl-val.tfrecord-00001").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"usb_rl-val\.tfrecord-00001: record 0 is missing"):
        write_card(folder)
    writer = DatasetWriter(tmp_path / "strange" / "1.0.0")
    episode = make_episode(0)
    writer.write(0, replace(episode, metadata=replace(episode.metadata, action_contract="{}")))
    with pytest.raises(DatasetError, match=r"'\{\}' is no action contract"):
        write_card(writer.folder)


def test_the_hubs_words_for_sizes():
    words = [
        yaml.safe_load(front_matter("x", "mit", [], ["train"], n))["size_categories"][0] for n in (999, 1000, 10**6)
    ]
    assert words == ["n<1K", "1K<n<10K", "1M<n<10M"]
    assert yaml.safe_load(front_matter("x", "mit", [], ["train"], 10**12))["size_categories"] == ["n>1T"]


def test_a_collection_gets_its_card(tmp_path, capsys):
    folder = tmp_path / "usb_expert" / "1.0.0"
    collect = ["collect", "usb_a_insertion", "--policy", "expert", "--episodes", "2", "--out", str(folder), "--json"]
    assert dispatch(collect) == 0
    assert dispatch(["data", "card", str(folder), "--license", "cc0-1.0", "--json"]) == 0
    files = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
    assert {file.rsplit("/", 1)[1] for file in files} >= {"README.md", "SHA256SUMS", "image_wrist_1.jpg"}
    text = (folder / "README.md").read_text()
    assert "license: cc0-1.0" in text and "both in the end-effector frame" in text.replace("\n", " ")
    assert str(tmp_path) not in text
    assert "tensorflow" not in sys.modules

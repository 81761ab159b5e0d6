"""Data sets to other formats and back: LeRobot, robomimic, RLDS in files of a chosen size."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from rldg.cli.main import dispatch
from rldg.data.example import decode, encode
from rldg.data.exchange.exporting import export_dataset
from rldg.data.exchange.importing import import_dataset
from rldg.data.exchange.lerobot_export import LeRobotExport
from rldg.data.exchange.lerobot_import import LeRobotImport
from rldg.data.exchange.rlds_export import RldsExport
from rldg.data.exchange.robomimic import RobomimicExport
from rldg.data.exchange.video import VideoFile
from rldg.data.images import encode_jpeg
from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError, StageError, UnknownNameError, UsageError
from rldg.stage import file_hash
from tests.synthetic_episodes import make_episode

LEROBOT = LeRobotExport(fps=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six episodes with two cameras to train on, two more in the split "val"."""
    folder = tmp_path_factory.mktemp("root") / "usb_rl" / "1.0.0"
    for split, numbers in (("train", range(6)), ("val", range(6, 8))):
        writer = DatasetWriter(folder, split)
        for index, number in enumerate(numbers):
            writer.write(index, make_episode(number, size=32, cameras=("wrist_1", "side")))
    return folder


@pytest.fixture(scope="module")
def lerobot(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("lerobot") / "usb"
    export_dataset(folder, out, LEROBOT)
    return out


def contents(folder, split="train"):
    """Flat columns and metadata of every episode."""
    dataset = open_dataset(folder, split)
    return dataset, [decode(dataset.record(index), dataset.fields) for index in range(len(dataset))]


def assert_same(first, second, *, split="train", pictures=True):
    """Every column of every episode agrees in type and bit; pictures too, unless they went through a video."""
    (there, before), (here, after) = contents(first, split), contents(second, split)
    assert here.fields == there.fields and len(after) == len(before) > 0
    assert [e.metadata for e in here.entries] == [e.metadata for e in there.entries]
    for old, new in zip(before, after, strict=True):
        for name, field in there.fields.items():
            if field.kind == "number":
                np.testing.assert_array_equal(new[name], old[name], strict=True)
            elif field.kind == "text" or pictures:
                assert new[name] == old[name], name


def errors(first, second):
    """Of all pictures: difference in grey levels."""
    pairs = zip(open_dataset(first), open_dataset(second), strict=True)
    cameras = open_dataset(first).cameras
    return np.stack([
        np.abs(a.steps[c][t].astype(int) - b.steps[c][t]) for a, b in pairs for c in cameras for t in range(len(a))
    ])  # fmt: skip


def test_there_and_back_through_lerobot_is_exact_but_for_the_pictures(folder, lerobot, tmp_path):
    before = file_hash(folder)
    import_dataset(lerobot, tmp_path / "back", LeRobotImport())
    for split in ("train", "val"):
        assert_same(folder, tmp_path / "back", split=split, pictures=False)
    difference = errors(folder, tmp_path / "back")
    assert difference.mean() < 3 and difference.max() < 40  # smooth pictures; docs/exchange.md has those of a real set
    assert file_hash(folder) == before, "the original stays as it is"


def test_embedded_pictures_come_back_bit_for_bit(folder, tmp_path):
    export_dataset(folder, tmp_path / "lerobot", LeRobotExport(fps=10, images="embedded"))
    assert not list(tmp_path.rglob("*.mp4"))
    import_dataset(tmp_path / "lerobot", tmp_path / "back", LeRobotImport())
    assert_same(folder, tmp_path / "back")


def test_lerobot_files_say_what_the_format_asks_for(folder, lerobot):
    info = json.loads((lerobot / "meta/info.json").read_text())
    dataset = open_dataset(folder)
    assert (info["codebase_version"], info["fps"], info["total_episodes"]) == ("v3.0", 10, 8)
    assert info["splits"] == {"train": "0:6", "val": "6:8"}
    # Whatever LeRobot's policies take for actions and inputs is meant to be just that.
    assert [k for k in info["features"] if k.startswith("action")] == ["action"]
    assert {k for k in info["features"] if k.startswith("observation")} == {
        "observation.state", "observation.images.wrist_1", "observation.images.side",
    }  # fmt: skip
    rows = pyarrow.parquet.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    lengths = [entry.length for split in ("train", "val") for entry in open_dataset(folder, split).entries]
    assert [row["length"] for row in rows] == lengths
    assert [row["dataset_from_index"] for row in rows] == np.cumsum([0, *lengths[:-1]]).tolist()
    assert [row["episode_metadata/seed"] for row in rows] == list(range(8))
    assert rows[1]["videos/observation.images.side/from_timestamp"] == pytest.approx(lengths[0] / 10)
    data = pyarrow.parquet.read_table(lerobot / "data/chunk-000/file-000.parquet")
    assert set(data.column_names) == {k for k, f in info["features"].items() if f["dtype"] != "video"}
    assert data["index"].to_pylist() == list(range(info["total_frames"]))
    stats = json.loads((lerobot / "meta/stats.json").read_text())
    actions = np.concatenate([s.steps["action"] for part in ("train", "val") for s in open_dataset(folder, part)])
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stats["action"]["std"], actions.std(axis=0), rtol=1e-5)
    assert stats["action"]["count"] == [len(actions)]
    assert np.shape(stats["observation.images.side"]["mean"]) == (3, 1, 1)
    assert dataset.cameras


def test_files_follow_each_other_when_they_are_full(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("rldg.data.exchange.lerobot_format.DATA_MB", 0)
    export_dataset(folder, tmp_path / "lerobot", LEROBOT)
    assert len(list(tmp_path.glob("lerobot/data/chunk-000/*.parquet"))) == 8
    import_dataset(tmp_path / "lerobot", tmp_path / "back", LeRobotImport())
    assert_same(folder, tmp_path / "back", pictures=False)


TOP = "observation.images.top"
DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"


def foreign_lerobot(root, version, *, lengths=(5, 3), embedded=False):
    """A small set of another making, as versions 2.0 and 2.1 lay it out."""
    kinds = {"observation.state": ("float32", 2), "action": ("float64", 2), "next.success": ("bool", 1)}
    kinds |= {"next.reward": ("float32", 1), "timestamp": ("float32", 1)}
    kinds |= dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), ("int64", 1))
    features: dict = {key: {"dtype": dtype, "shape": [size], "names": None} for key, (dtype, size) in kinds.items()}
    names = ["channels", "height", "width"]
    features[TOP] = {"dtype": "image" if embedded else "video", "shape": [3, 48, 64], "names": names}
    info = {"codebase_version": version, "fps": 15, "total_episodes": len(lengths), "chunks_size": 1000}
    info |= {"features": features, "splits": {"train": f"0:{len(lengths)}"}, "data_path": DATA, "video_path": VIDEO}
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    tasks = ('{"task_index": 0, "task": "push"}', '{"task_index": 1, "task": "schieb – süß"}')
    (root / "meta/tasks.jsonl").write_text("\n".join(tasks))
    (root / "data/chunk-000").mkdir(parents=True)
    for episode, length in enumerate(lengths):
        steps = np.arange(length)
        pictures = [np.full((48, 64, 3), 40 * (episode + 1) + t, np.uint8) for t in steps]
        table = {
            "observation.state": pyarrow.array([[episode, t] for t in steps], pyarrow.list_(pyarrow.float32())),
            "action": pyarrow.array([[t / 3, -t / 3] for t in steps], pyarrow.list_(pyarrow.float64(), 2)),
            "next.reward": steps.astype(np.float32),
            "next.success": steps == length - 1,
            "timestamp": (steps / 15).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(length, episode),
            "index": steps,
            "task_index": np.full(length, episode % 2),
        }
        if embedded:
            table[TOP] = [{"bytes": encode_jpeg(picture), "path": None} for picture in pictures]
        else:
            path = root / VIDEO.format(episode_chunk=0, episode_index=episode, video_key=TOP)
            video = VideoFile(path, 15, (48, 64, 3), "h264", 10)
            for picture in pictures:
                video.write(picture)
            video.close()
        path = root / DATA.format(episode_chunk=0, episode_index=episode)
        pyarrow.parquet.write_table(pyarrow.table(table), path)
    return root


@pytest.mark.parametrize(("version", "embedded"), [("v2.0", True), ("v2.1", False)])
def test_lerobot_2_of_another_making(tmp_path, capsys, version, embedded):
    source = foreign_lerobot(tmp_path / "pusht", version, embedded=embedded)
    assert dispatch(["data", "import", str(source), "--from", "lerobot", "--out", str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert any("Actions of shape [2] are kept" in note for note in result["notes"])
    assert any("15 per second" in note for note in result["notes"])
    first, second = open_dataset(tmp_path / "out")
    np.testing.assert_array_equal(first.steps["action"], np.float32([[t / 3, -t / 3] for t in range(5)]))
    np.testing.assert_array_equal(first.steps["observation/state"][:, 1], np.arange(5))
    assert second.steps["language_instruction"] == ["schieb – süß"] * 3
    assert second.steps["is_last"].tolist() == [False, False, True]
    assert second.steps["reward"].tolist() == [0, 1, 2]
    assert second.metadata["rate"] == 15
    pictures = second.steps["observation/image_top"].decoded()
    assert pictures.shape == (3, 48, 64, 3)
    assert np.abs(pictures.reshape(3, -1).mean(axis=1) - [80, 81, 82]).max() < 2, "each frame is that of its step"
    assert "base_action" not in first.steps, "what is not known is left out"
    export_dataset(tmp_path / "out", tmp_path / "again", LeRobotExport())
    assert json.loads((tmp_path / "again/meta/info.json").read_text())["fps"] == 15


def test_keys_can_be_named_and_left_out(tmp_path):
    source = foreign_lerobot(tmp_path / "pusht", "v2.1")
    chosen = LeRobotImport(columns=("observation.state=observation/agent", "observation.images.top=", "timestamp=time"))
    import_dataset(source, tmp_path / "out", chosen)
    steps = open_dataset(tmp_path / "out")[0].steps
    assert "observation/agent" in steps and "observation/image_top" not in steps
    np.testing.assert_allclose(steps["time"], np.arange(5) / 15)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'observation\.state'"):
        import_dataset(source, tmp_path / "other", LeRobotImport(columns=("observation.stat=x",)))
    with pytest.raises(UsageError, match="KEY=COLUMN"):
        import_dataset(source, tmp_path / "third", LeRobotImport(columns=("action",)))


def broken(root, what):
    path = next(root.rglob(what[0]))
    if what[1] is None:
        path.unlink()
    else:
        path.write_bytes(what[1](path.read_bytes()))


@pytest.mark.parametrize(
    "what",
    [
        ("info.json", lambda b: b[:50]),
        ("info.json", lambda b: b"[" * 100_000),
        ("info.json", lambda b: b.replace(b'"v2.1"', b'"v1.6"')),
        ("info.json", lambda b: b.replace(b'"fps": 15', b'"fps": "x"')),
        ("info.json", lambda b: b.replace(b'"observation.images.top"', b'"../../../../../etc"')),
        ("info.json", lambda b: b.replace(b'"fps": 15', b'"fps": 0')),
        ("info.json", lambda b: b.replace(b'"chunks_size": 1000', b'"chunks_size": 0')),
        ("info.json", lambda b: b.replace(b'"float64"', b'"quaternion"')),
        ("info.json", lambda b: b.replace(b'"shape": [2]', b'"shape": "many"')),
        ("info.json", lambda b: b.replace(b'0:2"', b'0:999999999999"')),
        ("info.json", lambda b: b.replace(b'"shape": [2]', b'"shape": [3]')),
        ("info.json", lambda b: b.replace(b"[3, 48, 64]", b"[3, 48, 60]")),
        ("info.json", lambda b: b.replace(b'"total_episodes": 2', b'"total_episodes": 3').replace(b'0:2"', b'0:3"')),
        ("info.json", lambda b: b.replace(b'"observation.state"', b'"observation.stat"')),
        ("info.json", None),
        ("tasks.jsonl", lambda b: b[:20]),
        ("tasks.jsonl", lambda b: b""),
        ("tasks.jsonl", None),
        ("episode_000001.parquet", lambda b: b[:-20]),
        ("episode_000001.parquet", None),
        ("episode_000001.mp4", lambda b: b[:100]),
        ("episode_000001.mp4", None),
        ("episode_000001.mp4", lambda b: b""),
    ],
)
def test_broken_lerobot_sets_are_named_in_a_sentence(tmp_path, what):
    source = foreign_lerobot(tmp_path / "pusht", "v2.1")
    broken(source, what)
    with pytest.raises(DatasetError) as refusal:
        import_dataset(source, tmp_path / "out", LeRobotImport())
    assert "\n" not in str(refusal.value)


def test_a_note_of_ours_cannot_make_tfds_import_anything(lerobot, tmp_path):
    source = tmp_path / "hostile"
    shutil.copytree(lerobot, source)
    note = source / "meta/rldg.json"
    note.write_text(note.read_text().replace("tensorflow_datasets.core.features.text_feature.Text", "antigravity.Text"))
    with pytest.raises(DatasetError, match=r"antigravity\.Text is no feature"):
        import_dataset(source, tmp_path / "out", LeRobotImport())
    assert "antigravity" not in sys.modules


def test_rlds_in_files_of_a_size_keeps_every_byte(folder, tmp_path):
    out = tmp_path / "root" / "usb" / "2.0.0"
    result = export_dataset(folder, out, RldsExport(shard_mb=0.03))
    names = sorted(path.name for path in out.glob("usb-*"))
    count = sum("train" in name for name in names)
    assert names[0] == f"usb-train.tfrecord-00000-of-{count:05d}" and count > 1
    assert result["files"] == len(names)
    for split in ("train", "val"):
        (there, _), (here, _) = contents(folder, split), contents(out, split)
        assert [here.record(i) for i in range(len(here))] == [there.record(i) for i in range(len(there))]
    assert json.loads((out / "features.json").read_text()) == json.loads((folder / "features.json").read_text())
    assert json.loads((out / "dataset_info.json").read_text())["version"] == "2.0.0"


def test_columns_are_dropped_and_pictures_changed(folder, tmp_path):
    dropped = ("observation/tcp_in_target", "observation/image_side")
    chosen = RldsExport(image_format="png", image_size=(16, 20))
    export_dataset(folder, tmp_path / "out", chosen, drop=dropped, successes=True)
    (there, before), (here, after) = contents(folder), contents(tmp_path / "out")
    assert set(there.fields) - set(here.fields) == {f"steps/{name}" for name in dropped}
    assert all(entry.success for entry in here.entries) and len(here) == len(there.successes())
    np.testing.assert_array_equal(after[0]["steps/action"], before[0]["steps/action"], strict=True)
    assert after[0]["steps/observation/image_wrist_1"][0].startswith(b"\x89PNG")
    assert here[0].steps["observation/image_wrist_1"][0].shape == (16, 20, 3)
    with pytest.raises(UnknownNameError, match="Did you mean 'observation/tcp_in_target'"):
        export_dataset(folder, tmp_path / "other", chosen, drop=("observation/tcp_in_targe",))


def test_robomimic_holds_the_same_episodes(folder, tmp_path):
    result = export_dataset(folder, tmp_path / "usb", RobomimicExport())
    assert result["actions"] == "action_normalized"
    stored = [*open_dataset(folder), *open_dataset(folder, "val")]
    with h5py.File(tmp_path / "usb" / result["file"]) as file:
        assert file["data"].attrs["total"] == sum(map(len, stored))
        assert json.loads(file["data"].attrs["env_args"])["env_name"] == "synthetic"
        assert [name.decode() for name in file["mask/valid"]] == ["demo_6", "demo_7"]
        assert len(file["mask/train"]) == 6 and len(file["mask/failures"]) == 2
        for number, episode in enumerate(stored):
            demo = file[f"data/demo_{number}"]
            assert demo.attrs["num_samples"] == len(episode) and demo.attrs["seed"] == number
            np.testing.assert_array_equal(demo["actions"], episode.steps["action_normalized"])
            np.testing.assert_array_equal(demo["rldg/action"], episode.steps["action"])
            np.testing.assert_array_equal(demo["obs/state"], episode.steps["observation/state"])
            np.testing.assert_array_equal(demo["next_obs/state"][:-1], episode.steps["observation/state"][1:])
            pictures = episode.steps["observation/image_wrist_1"].decoded()
            np.testing.assert_array_equal(demo["obs/image_wrist_1"], pictures)
            assert demo["dones"][:].tolist() == [0] * (len(episode) - 1) + [1]
            assert demo["rldg/language_instruction"][0].decode() == "Insert the plug – gently."


def test_robomimic_without_a_validation_split_holds_the_end_back(folder, tmp_path):
    writer = DatasetWriter(tmp_path / "set")
    for index in range(5):
        writer.write(index, make_episode(index))
    chosen = RobomimicExport(action="action", valid=0.4, next_obs=False)
    result = export_dataset(tmp_path / "set", tmp_path / "out", chosen)
    with h5py.File(tmp_path / "out" / result["file"]) as file:
        assert [name.decode() for name in file["mask/valid"]] == ["demo_3", "demo_4"]
        assert len(file["mask/train"]) == 3 and "next_obs" not in file["data/demo_0"]


def test_options_of_another_format_are_refused(folder, tmp_path, capsys):
    command = ["data", "export", str(folder), "--out", str(tmp_path / "out")]
    with pytest.raises(UsageError, match=r"--to rlds does not take --fps; it takes --shard-mb"):
        dispatch([*command, "--to", "rlds", "--fps", "10"])
    with pytest.raises(UsageError, match="pass --fps"):
        dispatch([*command, "--to", "lerobot"])
    with pytest.raises(UnknownNameError, match="action column 'eef_action'"):
        dispatch([*command, "--to", "lerobot", "--fps", "10", "--action", "eef_action"])
    for wrong in (["lerobot", "--crf", "52"], ["lerobot", "--fps", "0"], ["rlds", "--shard-mb", "nan"]):
        with pytest.raises(UsageError):
            dispatch([*command, "--to", *wrong])
    for wrong in (["rlds", "--image-size", "0", "8"], ["robomimic", "--valid", "1"]):
        with pytest.raises(UsageError):
            dispatch([*command, "--to", *wrong])
    # The folder is as free as before.
    assert dispatch([*command, "--to", "rlds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["episodes"] == 8


def test_odd_pictures_have_no_video(tmp_path):
    DatasetWriter(tmp_path / "set").write(0, make_episode(0, size=25))
    with pytest.raises(UsageError, match="even sizes, not 25 x 25"):
        export_dataset(tmp_path / "set", tmp_path / "out", LEROBOT)


def test_finished_work_is_reused_and_nothing_foreign_is_touched(folder, lerobot, tmp_path):
    video = next(lerobot.rglob("*.mp4"))
    before = video.stat().st_mtime_ns
    assert export_dataset(folder, lerobot, LEROBOT)["episodes"] == 8
    assert video.stat().st_mtime_ns == before
    with pytest.raises(StageError, match="crf"):
        export_dataset(folder, lerobot, LeRobotExport(fps=10, crf=30))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("...")
    with pytest.raises(DatasetError, match="holds files"):
        export_dataset(folder, tmp_path / "mine", LEROBOT)
    assert (tmp_path / "mine/thesis.tex").exists()
    with pytest.raises(DatasetError, match="lie in each other"):
        export_dataset(folder, folder / "lerobot", LEROBOT)
    with pytest.raises(DatasetError, match="does not exist"):
        export_dataset(tmp_path / "nothing", tmp_path / "out", LEROBOT)


def test_the_same_command_gives_the_same_bytes(folder, lerobot, tmp_path):
    export_dataset(folder, tmp_path / "again", LEROBOT)
    assert file_hash(tmp_path / "again") == file_hash(lerobot)


def test_a_run_killed_before_its_record_stood_is_no_obstacle(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").write_text("1")
    (out / "stage.json.tmp").write_text("{")
    assert export_dataset(folder, out, RldsExport())["episodes"] == 8
    assert not list(out.glob("*.tmp"))


def test_no_episode_no_export(tmp_path):
    writer = DatasetWriter(tmp_path / "set")
    writer.write(0, make_episode(2))  # a failure
    with pytest.raises(DatasetError, match="no successful episode"):
        export_dataset(tmp_path / "set", tmp_path / "out", LEROBOT, successes=True)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["lerobot", "robomimic", "rlds"])
def test_a_killed_export_leaves_nothing_that_loads_and_the_same_command_completes_it(tmp_path, to):
    writer = DatasetWriter(tmp_path / "set")
    for index in range(40):
        writer.write(index, make_episode(index, length=8, size=96))
    command = ["-m", "rldg", "data", "export", str(tmp_path / "set"), "--to", to, "--out", str(tmp_path / "out")]
    command += ["--fps", "10"] if to == "lerobot" else []
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while (
        process.poll() is None
        and not any(p.name != "stage.json.tmp" for p in tmp_path.glob("out/**/*.tmp"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    final = {"lerobot": "meta/info.json", "robomimic": "out.hdf5", "rlds": "dataset_info.json"}[to]
    assert not (tmp_path / "out" / final).exists()
    again = subprocess.run([sys.executable, *command, "--json"], capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["episodes"] == 40
    assert (tmp_path / "out" / final).exists() and not list(tmp_path.rglob("*.tmp"))


def test_columns_of_several_dimensions_survive(tmp_path):
    """Other people's data sets hold matrices, bytes-wide integers and text per step."""
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "steps": tfds.features.Dataset(
                {
                    "action": tfds.features.Tensor(shape=(2, 3), dtype=np.float32),
                    "one": tfds.features.Tensor(shape=(1,), dtype=np.float32),
                    "code": np.uint8,
                    "remark": tfds.features.Text(),
                }
            ),
            "operator": tfds.features.Text(),
            "gains": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        }
    )
    columns = {
        "steps/action": np.arange(12, dtype=np.float32).reshape(2, 2, 3) / 7,
        "steps/one": np.float32([[1], [2]]),
        "steps/code": np.array([7, 255]),
        "steps/remark": ["größer".encode(), b""],
        "operator": b"A",
        "gains": np.float32([0.1, 0.2]),
    }
    DatasetWriter(tmp_path / "set").write_record(0, encode(columns), features.to_json())
    export_dataset(tmp_path / "set", tmp_path / "lerobot", LEROBOT)
    import_dataset(tmp_path / "lerobot", tmp_path / "back", LeRobotImport())
    assert_same(tmp_path / "set", tmp_path / "back")
    assert Path(tmp_path / "back/features.json").exists()


@pytest.mark.slow
def test_tfds_reads_exported_and_imported_rlds(folder, lerobot, tmp_path):
    """TensorFlow Datasets, in a process of its own, sees the same actions whatever a data set went through."""
    export_dataset(folder, tmp_path / "usb/1.0.0", RldsExport(shard_mb=0.02, image_format="png", image_size=(16, 20)))
    import_dataset(lerobot, tmp_path / "back", LeRobotImport())
    import_dataset(foreign_lerobot(tmp_path / "pusht", "v2.1"), tmp_path / "foreign", LeRobotImport())
    code = """
import sys
import numpy as np
import tensorflow_datasets as tfds
*folders, target = sys.argv[1:]
seen = {}
for folder in folders:
    steps = [step for episode in tfds.builder_from_directory(folder).as_dataset("train") for step in episode["steps"]]
    seen[folder] = np.stack([step["action"].numpy() for step in steps])
    seen[folder + "/shape"] = [v.shape for k, v in sorted(steps[0]["observation"].items()) if k.startswith("image")][0]
np.savez(target, **seen)
"""
    folders = [str(tmp_path / name) for name in ("usb/1.0.0", "back", "foreign")]
    target = tmp_path / "seen.npz"
    command = [sys.executable, "-c", code, *folders, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(target) as seen:
        for name in folders:
            stored = open_dataset(name)
            np.testing.assert_array_equal(seen[name], np.concatenate([e.steps["action"] for e in stored]))
        assert seen[folders[0] + "/shape"].tolist() == [16, 20, 3]
        assert seen[folders[2] + "/shape"].tolist() == [48, 64, 3]

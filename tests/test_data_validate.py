"""`rldg data validate`: nothing in sound data sets is flagged, and whatever is planted is named."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rldg.cli.main import dispatch
from rldg.data.collection import collect
from rldg.data.description import read_features
from rldg.data.example import decode, encode, flat_fields
from rldg.data.images import decode_image, encode_jpeg
from rldg.data.manifest import write_manifest
from rldg.data.reader import open_dataset
from rldg.data.tfrecord import frame, read_records
from rldg.data.validation import Finding, Place, Report, validate
from rldg.errors import DatasetError, UnknownNameError
from rldg.workers import EpisodeRunner
from tests.planted import copied, rewritten

WRIST, SIDE = "steps/observation/image_wrist_1", "steps/observation/image_side_1"
RAW, POSE, STATE = "steps/observation/raw_state", "steps/observation/tcp_pose", "steps/observation/state"
SOUND = {
    "expert": ("usb_a_insertion", "expert", 4),
    "teleoperator": ("vga_insertion", "teleoperator", 2),
    "clumsy": ("xlr_insertion", "teleoperator:clumsy", 2),
    "tight": ("usb_a_insertion_tight", "expert", 2),
    "randomised": ("usb_a_insertion_randomised", "teleoperator", 3),
}
BLACK = encode_jpeg(np.zeros((128, 128, 3), np.uint8))
OTHER_CONTRACT = {"translation_scale": 0.02, "rotation_scale": 0.1, "rate": 10, "gripper": "fixed"}
MOTION = {"action_lag", "action_frame", "action_units", "action_sign"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Name -> a data set that was really collected; made when first asked for."""
    root = tmp_path_factory.mktemp("sound")

    def made(name):
        task, policy, episodes = SOUND[name]
        if not (root / name).exists():
            run = EpisodeRunner(task, policy, base_seed=3)
            collect(run, root / name, episodes, configuration={"task": task, "policy": policy}, seed=3)
        return root / name

    return made


@pytest.fixture(scope="module")
def expert(sound):
    return sound("expert")


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_data_set_raises_nothing(sound, name):
    report = validate(sound(name))
    assert report.findings == []
    assert report.skipped == {}
    assert report.episodes == {"train": SOUND[name][2]}
    assert report.steps == open_dataset(sound(name)).steps


def kinds(report):
    return {kind for _, kind in report.counts}


# What is done to the columns of an episode, by the kind of finding that names it.


def set_to(name, value):
    def edit(index, columns):
        columns[name] = value

    return edit


def in_episode(number, edit):
    return lambda index, columns: edit(index, columns) if index == number else None


def at(name, where, value):
    def edit(index, columns):
        columns[name] = np.array(columns[name])
        columns[name][where] = value

    return edit


def scaled(name, part, factor):
    def edit(index, columns):
        columns[name] = columns[name].copy()
        columns[name][:, part] *= factor

    return edit


def shifted(steps):
    """All forms of the action moved alike, so that only the motion betrays it."""

    def edit(index, columns):
        for name in ("steps/action", "steps/base_action", "steps/action_normalized"):
            columns[name] = np.roll(columns[name], steps, axis=0)

    return edit


def in_base_frame(index, columns):
    columns["steps/action"] = columns["steps/base_action"]


def pictures(camera, change):
    def edit(index, columns):
        columns[camera] = change(list(columns[camera]))

    return edit


def repainted(change):
    return lambda encoded: [encode_jpeg(change(decode_image(content))) for content in encoded]


def with_absolute_poses(index, columns):
    columns[POSE] = columns[RAW][:, :7]
    columns[STATE] = np.concatenate([columns[POSE], columns[STATE][:, 7:]], axis=1)


def with_scalar_first(index, columns):
    columns[POSE] = np.roll(columns[POSE], 1, axis=1)[:, [1, 2, 3, 0, 4, 5, 6]]
    columns[STATE] = np.concatenate([columns[POSE], columns[STATE][:, 7:]], axis=1)


def with_a_jump(index, columns):
    shift = np.where(np.arange(len(columns[RAW])) < 4, 0, 0.3).astype(np.float32)
    for name in (RAW, POSE, STATE):
        columns[name] = columns[name].copy()
        columns[name][:, 0] += shift


def without(name):
    def edit(index, columns):
        del columns[name]

    return edit


def shorter(name):
    def edit(index, columns):
        columns[name] = columns[name][:-1]

    return edit


def without_steps(index, columns):
    columns.update({name: value[:0] for name, value in columns.items() if name.startswith("steps/")})


def twice(index, columns):
    return [columns, {**columns, "episode_metadata/episode_id": b"another name"}] if index == 1 else None


def metadata(**values):
    def edit(index, columns):
        columns.update({f"episode_metadata/{name}": value for name, value in values.items()})

    return edit


def failed(index, columns):
    metadata(success=False, failure_reason=b"time_out")(index, columns)
    columns["steps/reward"] = columns["steps/reward"] * 0
    columns["steps/is_terminal"] = columns["steps/is_terminal"] & False
    columns["steps/discount"] = columns["steps/discount"] * 0 + 1


def more(copies, edit):
    """Several different episodes in the place of each."""

    def make(index, columns):
        made = [dict(columns) for _ in range(copies)]
        for copy, one in enumerate(made):
            one["steps/observation/tcp_force"] = columns["steps/observation/tcp_force"] + copy * 1e-4
            one[STATE] = columns[STATE].copy()
            one[STATE][:, 13:16] = one["steps/observation/tcp_force"]
            edit(index, one)
        return made

    return make


PLANTED = [
    ("record_undecodable", in_episode(1, without("steps/action"))),
    ("column_length", in_episode(1, shorter("steps/reward"))),
    ("column_length", in_episode(1, shorter(WRIST))),
    ("episode_empty", in_episode(1, without_steps)),
    ("not_finite", at("steps/action", (3, 2), np.nan)),
    ("not_finite", at("steps/observation/tcp_force", (5, 0), np.inf)),
    ("out_of_bounds", scaled("steps/observation/tcp_vel", slice(None), 1e3)),
    ("out_of_bounds", scaled("steps/action_normalized", slice(0, 6), 2)),
    ("quaternion", scaled(RAW, slice(3, 7), 1.2)),
    ("pose_jump", with_a_jump),
    ("pose_frame", with_absolute_poses),
    ("pose_frame", with_scalar_first),
    ("state_parts", scaled(STATE, slice(7, 13), 2)),
    ("contract_broken", metadata(action_contract=b"{}")),
    ("contracts_differ", in_episode(1, metadata(action_contract=json.dumps(OTHER_CONTRACT).encode()))),
    ("task_versions", in_episode(1, metadata(task_hash=b"0123456789abcdef"))),
    ("action_scale", in_episode(2, scaled("steps/action", slice(0, 6), 1.1))),
    ("action_base", in_episode(2, scaled("steps/base_action", slice(1, 2), -1))),
    ("action_lag", shifted(1)),
    ("action_lag", shifted(-1)),
    ("action_frame", in_base_frame),
    ("action_units", scaled("steps/action", slice(0, 3), 1000)),
    ("action_units", scaled("steps/action", slice(3, 6), 180 / np.pi)),
    ("action_units", in_episode(1, scaled("steps/action", slice(0, 3), 1e-3))),
    ("action_sign", scaled("steps/action", slice(0, 6), -1)),
    ("action_sign", scaled("steps/action", slice(2, 3), -1)),
    ("gripper_range", at("steps/action", (slice(None), 6), -1)),
    ("gripper_sign", at("steps/action", (slice(None), 6), 1)),
    ("is_first", at("steps/is_first", 0, False)),
    ("is_last", at("steps/is_last", -2, True)),
    ("is_terminal", at("steps/is_terminal", -2, True)),
    ("is_terminal", at("steps/is_terminal", -1, False)),
    ("reward", at("steps/reward", -1, 0)),
    ("reward", at("steps/reward", 2, 1)),
    ("discount", at("steps/discount", -1, 1)),
    ("failure_reason", metadata(failure_reason=b"jam")),
    ("instruction_empty", in_episode(3, lambda i, c: c.update({"steps/language_instruction": [b""] * len(c[WRIST])}))),
    ("instruction_changes", lambda i, c: c["steps/language_instruction"].__setitem__(3, b"something else")),
    ("instruction_illegible", lambda i, c: c.update({"steps/language_instruction": [b"\xff\xfe"] * len(c[WRIST])})),
    ("metadata_missing", metadata(policy_kind=b"")),
    ("metadata_missing", metadata(seed=-1)),
    ("time_missing", metadata(time=b"yesterday")),
    ("picture_broken", in_episode(1, pictures(WRIST, lambda p: [*p[:4], p[4][:200], *p[5:]]))),
    ("picture_broken", in_episode(1, pictures(WRIST, lambda p: [b"", *p[1:]]))),
    ("picture_size", in_episode(1, pictures(WRIST, repainted(lambda image: image[:64, :64])))),
    ("picture_black", in_episode(1, pictures(SIDE, lambda p: [*p[:4], BLACK, *p[5:]]))),
    ("picture_blank", in_episode(1, pictures(SIDE, repainted(lambda image: np.full_like(image, 128))))),
    ("picture_frozen", in_episode(1, pictures(WRIST, lambda p: [*p[:3], *[p[2]] * (len(p) - 3)]))),
    ("picture_repeated", in_episode(1, pictures(SIDE, lambda p: [*p[:3], p[2], *p[4:]]))),
    ("picture_shared", lambda i, c: c.update({SIDE: c[WRIST]})),
    ("channel_order", in_episode(1, pictures(WRIST, repainted(lambda image: image[..., ::-1])))),
    ("episode_duplicate", twice),
    ("episode_id", metadata(episode_id=b"the same")),
    ("balance_outcomes", more(2, failed)),
    ("balance_tasks", more(3, lambda i, c: metadata(task=b"other" if i == 3 else b"usual")(i, c))),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "edit"), PLANTED, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(PLANTED)])
def test_what_is_planted_in_the_episodes_is_named(expert, tmp_path, kind, edit):
    report = validate(rewritten(expert, tmp_path / "set", edit), skip=["scene"])
    assert kind in kinds(report)
    motion = {
        found for found in kinds(report) if found in ("action_lag", "action_frame", "action_units", "action_sign")
    }
    assert motion <= {kind}, "one cause, one name"
    finding = next(finding for finding in report.findings if finding.kind == kind)
    assert finding.what and finding.right
    assert finding.place.split == "train"


def test_a_hand_that_hardly_ever_turns_the_tool_tells_no_scale(expert, tmp_path):
    unturned = scaled("steps/action", slice(3, 6), 0)
    folder = rewritten(expert, tmp_path / "set", unturned)
    assert "action_units" not in kinds(validate(folder, skip=["scene"]))


def test_a_few_faults_do_not_hide_the_rest(expert, tmp_path):
    edit = in_episode(1, without("steps/action"))
    folder = rewritten(expert, tmp_path / "set", lambda i, c: edit(i, c) or at("steps/reward", 2, 1)(i, c))
    report = validate(folder, skip=["scene"])
    assert [finding.place.episode for finding in report.findings if finding.kind == "reward"] == [0, 2, 3]
    assert report.episodes == {"train": 3}


SCENES = {
    "channel_order": lambda image: image[..., ::-1],
    "picture_flipped": lambda image: image[::-1],
    "picture_mirrored": lambda image: image[:, ::-1],
    "picture_rotated": lambda image: image[::-1, ::-1],
}


@pytest.mark.parametrize("kind", SCENES)
def test_a_set_that_is_wrong_throughout_differs_from_the_scenes_of_its_seeds(expert, tmp_path, kind):
    folder = rewritten(expert, tmp_path / "set", pictures(SIDE, repainted(SCENES[kind])))
    report = validate(folder)
    assert {finding.kind for finding in report.findings} == {kind}
    assert all("image_side_1" in finding.what for finding in report.findings)


def first_shard(folder):
    return sorted(folder.glob("*.tfrecord-*"))[0]


def altered(path, change):
    path.write_bytes(change(path.read_bytes()))


def in_the_first(change):
    return lambda folder: altered(first_shard(folder), change)


def in_the_features(old, new):
    return lambda folder: altered(folder / "features.json", lambda content: content.replace(old, new, 1))


def renamed_dataset(folder):
    altered(folder / "dataset_info.json", lambda content: content.replace(b'"name": "expert"', b'"name": "other"'))


def two_in_one(folder):
    first, second = sorted(folder.glob("*.tfrecord-*"))[:2]
    first.write_bytes(first.read_bytes() + second.read_bytes())


def in_two_splits(folder):
    for number, path in enumerate(sorted(folder.glob("*.tfrecord-*"))):
        shutil.copy(path, folder / f"expert-val.tfrecord-{number:05d}")


def with_manifest(change):
    def edit(folder):
        write_manifest(folder)
        change(folder)

    return edit


FILES = [
    ("record_broken", in_the_first(lambda b: b[:2000] + bytes([b[2000] ^ 1]) + b[2001:])),
    ("record_broken", in_the_first(lambda b: b[:-1000])),
    ("record_broken", in_the_first(lambda b: b"\xff" * 8 + b[8:])),
    ("record_count", in_the_first(lambda b: b"")),
    ("record_count", two_in_one),
    ("file_missing", lambda folder: first_shard(folder).unlink()),
    ("file_unlisted", lambda folder: shutil.copy(first_shard(folder), folder / "expert-train.tfrecord-00099")),
    ("file_unlisted", in_two_splits),
    ("episode_duplicate", in_two_splits),
    ("file_name", renamed_dataset),
    ("file_leftover", lambda folder: (folder / "expert-train.tfrecord-00004.tmp").write_bytes(b"half")),
    ("info_missing", lambda folder: (folder / "dataset_info.json").unlink()),
    ("info_broken", lambda folder: (folder / "dataset_info.json").write_text("[]")),
    ("features_broken", lambda folder: (folder / "features.json").write_text("{}")),
    ("features_broken", lambda folder: (folder / "features.json").unlink()),
    ("field_type", in_the_features(b'"float32"', b'"float64"')),
    ("field_missing", in_the_features(b'"reward"', b'"rewards"')),
    ("set_empty", lambda folder: [path.unlink() for path in folder.glob("*.tfrecord-*")]),
    ("manifest_altered", with_manifest(lambda folder: altered(folder / "dataset_info.json", lambda b: b + b" "))),
    ("manifest_missing", with_manifest(lambda folder: first_shard(folder).unlink())),
    ("manifest_unlisted", with_manifest(lambda folder: (folder / "notes.txt").write_text("new"))),
    ("manifest_broken", lambda folder: (folder / "SHA256SUMS").write_text("no checksum\n")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "damage"), FILES, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(FILES)])
def test_what_is_planted_in_the_files_is_named(expert, tmp_path, kind, damage):
    folder = copied(expert, tmp_path / "expert")
    damage(folder)
    assert kind in kinds(validate(folder, skip=["scene"]))


def test_every_kind_is_described(expert):
    """The page lists what is planted here, and nothing else is planted."""
    page = (Path(__file__).parents[1] / "docs" / "validate.md").read_text()
    for kind in {kind for kind, _ in (*PLANTED, *FILES)} | SCENES.keys():
        assert f"`{kind}`" in page, kind


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_command_line(expert, tmp_path, capsys):
    folder = copied(expert, tmp_path / "expert")
    assert dispatch(["data", "validate", str(folder), "--write-manifest", "--json"]) == 0
    assert last_line(capsys)["manifest"] == str(folder / "SHA256SUMS")
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, timeout=60).returncode == 0
    assert dispatch(["data", "validate", str(folder), "--skip", "scene", "--json"]) == 0
    assert last_line(capsys)["skipped"] == {"scene": "left out on request"}
    altered(first_shard(folder), lambda content: content[:-5])
    assert dispatch(["data", "validate", str(folder), "--skip", "scene"]) == 1
    text = capsys.readouterr().out
    assert "record_broken" in text and "manifest_altered" in text and "0 warnings" in text
    assert dispatch(["data", "validate", str(folder), "--skip", "scene", "--json"]) == 1
    found = last_line(capsys)
    assert not found["ok"]
    assert found["counts"] == {"manifest_altered": 1, "record_broken": 1, **found["counts"]}
    before = (folder / "SHA256SUMS").read_bytes()
    assert dispatch(["data", "validate", str(folder), "--skip", "scene", "--write-manifest"]) == 1
    assert (folder / "SHA256SUMS").read_bytes() == before, "a broken set is not blessed"


def test_what_is_no_data_set_or_no_check_is_refused(expert, tmp_path):
    with pytest.raises(DatasetError, match="holds no data set"):
        validate(tmp_path)
    with pytest.raises(DatasetError, match="holds no data set"):
        validate(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="Did you mean 'motion'"):
        validate(expert, skip=["motions"])


def test_a_foreign_data_set_is_checked_as_far_as_its_columns_go(tmp_path):
    vector = tfds.features.Tensor(shape=(4,), dtype=np.float32)
    steps = {"observation": {"image": tfds.features.Image(shape=(16, 16, 3))}, "action": vector, "is_last": np.bool_}
    features = tfds.features.FeaturesDict({"steps": tfds.features.Dataset(steps)})
    (tmp_path / "features.json").write_text(json.dumps(features.to_json()))
    image = encode_jpeg(np.arange(768, dtype=np.uint8).reshape(16, 16, 3))
    record = {
        "steps/observation/image": [image] * 3,
        "steps/action": np.array([[1.0] * 4, [np.nan] * 4, [1.0] * 4]),
        "steps/is_last": np.arange(3) == 2,
    }
    (tmp_path / "foreign-train.tfrecord-00000-of-00002").write_bytes(frame(encode(record)))
    report = validate(tmp_path)
    assert kinds(report) == {"not_finite", "file_missing", "info_missing"}
    assert report.skipped["gripper"] == "'steps/action' is a number of shape (4,), not a number of (7,)"
    assert {"contract", "motion", "scene", "outcome"} <= report.skipped.keys()
    assert report.steps == 3


@pytest.mark.parametrize(
    ("name", "dtype", "value"),
    [("success", "bool", 1), ("task", "int64", 7), ("time", "int64", 7), ("seed", "float32", 0.5)],
)
def test_metadata_of_other_types_are_named_and_harm_no_check(expert, tmp_path, name, dtype, value):
    folder = copied(expert, tmp_path / name)
    content = json.loads((folder / "features.json").read_bytes())
    metadata = content["content"]["features"]["episode_metadata"]["featuresDict"]["features"]
    shape = {"dimensions": ["2"]} if name == "success" else {}
    metadata[name] = {
        "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
        "tensor": {"shape": shape, "dtype": dtype, "encoding": "none"},
    }
    (folder / "features.json").write_text(json.dumps(content))
    fields = flat_fields(read_features(folder))
    for path in folder.glob("*.tfrecord-*"):
        ((_, record),) = read_records(path)
        columns = decode(record, flat_fields(read_features(expert)))
        columns[f"episode_metadata/{name}"] = np.full(fields[f"episode_metadata/{name}"].shape, value)
        path.write_bytes(frame(encode(columns)))
    report = validate(folder)
    assert "field_type" in kinds(report)
    assert sum(report.episodes.values()) == 4
    assert "record_undecodable" not in kinds(report)


def test_only_the_first_hundred_findings_of_a_kind_are_kept():
    report = Report()
    for episode in range(1000):
        report.add(Finding("reward", "wrong", "right", Place("train", episode=episode)))
    assert (len(report.findings), report.faults) == (100, 1000)

"""What the training loader promises: the right steps, shuffled well, the same for any reader, and no more memory."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldg.data.example import decode, encode
from rldg.data.index import build_index
from rldg.data.loader import LoaderConfig, expected_memory, make_loader
from rldg.data.normalisation import Normalisation
from rldg.data.order import Order
from rldg.data.reader import open_dataset
from rldg.data.schema import episode_columns, episode_features
from rldg.data.statistics import compute_statistics
from rldg.data.steps import StepSource
from rldg.data.tfrecord import frame
from rldg.data.transform import DRAWS, RLDG_OPENVLA, ImageTransform
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from rldg.machine import free_memory
from tests.synthetic_episodes import make_episode

WRIST = {"wrist": "observation/image_wrist"}
PLAIN = ImageTransform(height=24, width=24)
AUGMENTED = RLDG_OPENVLA.model_copy(update={"height": 24, "width": 24})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    writer = DatasetWriter(folder)
    for index in range(6):
        writer.write(index, make_episode(index))
    return folder


@pytest.fixture(scope="module")
def source(folder):
    return StepSource(open_dataset(folder, verify=False), WRIST, state="observation/state")


def config(batch_size=4, transform=AUGMENTED, **changes):
    return LoaderConfig(batch_size, {"wrist": transform}, **changes)


def assert_same(found, wanted):
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_steps_come_with_history_and_future(folder, source):
    dataset = open_dataset(folder)
    loader = make_loader([source], config(1, PLAIN, window=2, horizon=3, shuffle=False))
    first, last = loader.batch(3), loader.batch(6)  # of the second episode, which has steps 3 to 6
    episode = dataset[1]
    assert first["observation"]["timestep_pad_mask"].tolist() == [[False, True]]
    np.testing.assert_array_equal(first["observation"]["proprio"][0], episode.steps["observation/state"][[0, 0]])
    np.testing.assert_array_equal(first["action"][0], episode.steps["action"][[[0, 1, 2], [0, 1, 2]]])
    assert first["action_pad_mask"].all()
    assert first["task"]["language_instruction"].tolist() == ["Insert the plug – gently."]
    images = episode.steps["observation/image_wrist"]
    np.testing.assert_array_equal(last["observation"]["image_wrist"][0], np.stack([images[2], images[3]]))
    np.testing.assert_array_equal(last["action"][0], episode.steps["action"][[[2, 3, 3], [3, 3, 3]]])
    assert last["action_pad_mask"][0, ..., 0].tolist() == [[True, True, False], [True, False, False]]
    assert last["observation"]["timestep"].tolist() == [[2, 3]]


def test_an_epoch_shows_every_step_once(source):
    loader = make_loader([source], config(5, epochs=1))
    seen = np.concatenate([batch["action"][:, 0, 0, 0] for batch in loader])
    assert sorted(seen) == sorted(source.actions[:, 0])


@pytest.mark.parametrize("threads", [0, 3])
def test_batches_depend_on_seed_and_number_alone(folder, source, threads):
    few = StepSource(open_dataset(folder).first(2), WRIST, state="observation/state")

    def reader(seed=0, threads=threads):
        return make_loader([few, source], config(seed=seed, threads=threads, weights=(0.5, 0.5)))

    expected = [reader(threads=1).batch(number) for number in range(7)]
    interrupted = reader()
    for batch in expected[:3]:
        assert_same(next(interrupted), batch)
    state = json.loads(json.dumps(interrupted.get_state()))
    interrupted.close()
    resumed = reader()
    resumed.set_state(state)
    for batch in expected[3:]:
        assert_same(next(resumed), batch)
    resumed.close()
    assert not np.array_equal(reader(1).batch(0)["action"], expected[0]["action"])
    with pytest.raises(DatasetError, match="seed was 0 and is 1"):
        reader(1).set_state(state)


def test_hosts_share_what_one_would_read_alone(source):
    alone = make_loader([source], config(6))
    hosts = [make_loader([source], config(2, shard=shard, shards=3)) for shard in range(3)]
    for number in range(4):
        whole, parts = alone.batch(number), [host.batch(number) for host in hosts]
        for shard, part in enumerate(parts):
            assert_same(part, jax.tree.map(lambda values, shard=shard: values[shard::3], whole))


def test_weights_decide_the_mixture_and_kept_pictures_change_nothing(folder, source):
    few = StepSource(open_dataset(folder).first(1), WRIST, state="observation/state", name="few")
    blind = StepSource(open_dataset(folder), {"wrist": None}, state="observation/state")
    sources, weights = [few, source, blind], (0.75, 0.125, 0.125)
    reader = make_loader(sources, config(8, weights=weights, memory_limit=0))
    names = np.concatenate([reader.batch(number)["dataset_name"] for number in range(10)])
    assert np.mean(names == "few") == 0.75
    kept = config(8, weights=weights, memory_limit=1 << 20)
    assert expected_memory(sources, kept).pictures == (len(few) + 2 * len(source)) * (24 * 24 * 3 + 1)
    keeping = make_loader(sources, kept)
    for number in (3, 4, 3, 4, 5):
        assert_same(keeping.batch(number), reader.batch(number))


def test_without_augmentation_pictures_are_those_of_acting(folder, source):
    batch = make_loader([source], config(25, shuffle=False, augment=False)).batch(0)
    pictures = [picture for episode in open_dataset(folder) for picture in episode.steps["observation/image_wrist"]]
    np.testing.assert_array_equal(batch["observation"]["image_wrist"][:, 0], [AUGMENTED(p) for p in pictures])


def test_every_batch_holds_frames_of_many_episodes(tmp_path):
    episodes = [make_episode(index, length=10, size=8) for index in range(200)]
    (tmp_path / "features.json").write_text(json.dumps(episode_features(episodes[0]).to_json()))
    records = [frame(encode(episode_columns(episode))) for episode in episodes]
    (tmp_path / "set-train.tfrecord-00000-of-00001").write_bytes(b"".join(records))
    source = StepSource(open_dataset(tmp_path, verify=False), {"wrist": None})
    episode_of = dict(zip(source.actions[:, 0].tolist(), source.episode.tolist(), strict=True))
    loader = make_loader([source], LoaderConfig(256, {"wrist": ImageTransform(height=1, width=1)}, threads=0))
    for number in range(30):
        actions = loader.batch(number)["action"][:, 0, 0, 0].tolist()
        assert len({episode_of[action] for action in actions}) >= 50


def test_goals_are_later_pictures_of_the_same_episode(folder, source):
    mute = StepSource(open_dataset(folder), WRIST, state="observation/state", language=None)

    def read(goals):
        batches = [make_loader([source, mute], config(16, PLAIN, goals=goals, horizon=3)).batch(n) for n in range(8)]
        return jax.tree.map(lambda *parts: np.concatenate(parts), *batches)

    found, without = read(0.5), read(0.0)
    pictures = [picture for episode in open_dataset(folder) for picture in episode.steps["observation/image_wrist"]]
    assert "image_wrist" not in without["task"]
    told, shown = (found["task"]["pad_mask_dict"][name] for name in ("language_instruction", "image_wrist"))
    np.testing.assert_array_equal(told, ~shown)
    np.testing.assert_array_equal(found["task"]["language_instruction"] != "", told)
    labelled = without["task"]["pad_mask_dict"]["language_instruction"]
    assert 0.3 < told[labelled].mean() < 0.7 and not told[~labelled].any()
    assert not found["task"]["image_wrist"][told].any()
    now, goal = found["observation"]["timestep"][:, 0], found["task"]["timestep"]
    assert ((goal > now) | ((goal == now) & ~without["action_pad_mask"][:, 0, 1, 0])).all()
    beyond = now[:, None] + np.arange(3) > goal[:, None]
    np.testing.assert_array_equal(found["observation"]["task_completed"][:, 0], beyond)
    np.testing.assert_array_equal(found["action"], without["action"])
    row = {picture.tobytes(): number for number, picture in enumerate(pictures)}
    here = [row[picture.tobytes()] for picture in found["observation"]["image_wrist"][shown, 0]]
    there = [row[picture.tobytes()] for picture in found["task"]["image_wrist"][shown]]
    np.testing.assert_array_equal(np.subtract(there, here), (goal - now)[shown])
    every = read(1.0)["task"]["pad_mask_dict"]
    assert every["image_wrist"].all() and not every["language_instruction"].any()


@settings(max_examples=60)
@given(data=st.data())
def test_any_stretch_of_a_mixture_holds_every_share_and_an_epoch_everything(data):
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(lengths), max_size=len(lengths)))
    order = Order(lengths, weights, 3, None)
    first = data.draw(st.integers(0, 2000))
    whole = order.rows(0, first + 200)
    np.testing.assert_array_equal(order.rows(first, first + 200), whole[first:])  # wherever one begins to read
    sources = np.searchsorted(np.cumsum(lengths), whole, side="right")
    for number, (length, start) in enumerate(zip(lengths, np.cumsum([0, *lengths[:-1]]), strict=True)):
        stream = whole[sources == number]
        assert abs((sources[first:] == number).sum() - 200 * weights[number] / sum(weights)) <= len(lengths)
        for epoch in range(0, len(stream) - length + 1, length):
            assert sorted(stream[epoch : epoch + length] - start) == list(range(length))
    twice = Order(lengths, lengths, 3, epochs=2)
    assert sorted(twice.rows(0, len(twice))) == sorted(2 * list(range(sum(lengths))))


def test_pictures_are_kept_where_there_is_room_and_the_memory_is_stated(source, monkeypatch, caplog):
    wanted = len(source) * (24 * 24 * 3 + 1)
    for free, kept in ((4 * wanted, wanted), (4 * wanted - 4, 0)):
        monkeypatch.setattr("rldg.data.loader.free_memory", lambda free=free: free)
        assert expected_memory([source], config()).pictures == kept
    assert free_memory() > 1 << 20
    with caplog.at_level("INFO"):
        make_loader([source], config(memory_limit=wanted))
    assert f"kept pictures {wanted / 2**20:,.0f} MiB" in caplog.text


def test_a_camera_and_a_state_that_one_data_set_lacks_are_masked(folder, source):
    blind = StepSource(open_dataset(folder), {"wrist": None}, language=None)
    loader = make_loader([source, blind], config(16, weights=(0.5, 0.5), state_dim=25, action_dim=9))
    batch = loader.batch(0)
    lacking = ~batch["observation"]["pad_mask_dict"]["image_wrist"][:, 0]
    assert lacking.sum() == 8
    assert not batch["observation"]["image_wrist"][lacking].any()
    assert not batch["observation"]["proprio"][lacking].any() and batch["observation"]["proprio"].shape[-1] == 25
    np.testing.assert_array_equal(batch["task"]["language_instruction"] == "", lacking)
    np.testing.assert_array_equal(batch["task"]["pad_mask_dict"]["language_instruction"], ~lacking)
    assert batch["action_pad_mask"][..., :7].all() and not batch["action_pad_mask"][..., 7:].any()


def test_the_index_finds_what_the_records_hold(folder):
    dataset = open_dataset(folder)
    index = build_index(list(dataset.record_index.files), dataset.fields, ["steps/observation/image_wrist"])
    for record in range(len(dataset)):
        columns = decode(dataset.record(record), dataset.fields)
        for name, field in dataset.fields.items():
            np.testing.assert_array_equal(index.value(name, record, field), columns[name])
        first = index.first_picture["steps/observation/image_wrist"]
        places = index.pictures["steps/observation/image_wrist"][first[record] : first[record + 1]]
        assert [index.read(record, *place) for place in places.tolist()] == columns["steps/observation/image_wrist"]


def test_a_stored_index_spares_reading_until_the_files_change(folder, tmp_path):
    copy = tmp_path / "set"
    copy.mkdir()
    for path in folder.glob("[!.]*"):
        (copy / path.name).write_bytes(path.read_bytes())
    (wanted := open_dataset(copy, verify=False)) and open_dataset(copy, verify=False)
    victim = sorted(copy.glob("*.tfrecord-*"))[2]
    content = victim.read_bytes()
    status = victim.stat()
    victim.write_bytes(content[:500] + bytes([content[500] ^ 4]) + content[501:])
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_dataset(copy, verify=False).entries == wanted.entries  # nobody looked
    with pytest.raises(DatasetError, match=f"{victim}: record 0"):
        open_dataset(copy)
    victim.touch()
    with pytest.raises(DatasetError, match=f"{victim}: record 0"):
        open_dataset(copy, verify=False)
    victim.write_bytes(content)
    (copy / ".index-train.npz").write_bytes(b"PK\3\4 cut")
    DatasetWriter(copy).write(6, make_episode(6))
    assert len(open_dataset(copy, verify=False)) == 7


def test_what_cannot_be_read_is_named(folder, source, tmp_path):
    with pytest.raises(DatasetError, match="has no column observation/image_side; it has action, "):
        StepSource(open_dataset(folder), {"side": "observation/image_side"})
    with pytest.raises(DatasetError, match="no episode left"):
        StepSource(open_dataset(folder).first(0), WRIST)
    with pytest.raises(DatasetError, match=r"has the cameras \['wrist'\], not \['side'\]"):
        make_loader([source], LoaderConfig(1, {"side": PLAIN}))
    with pytest.raises(DatasetError, match="goal pictures lies between 0 and 1, not at 50"):
        config(goals=50)
    with pytest.raises(DatasetError, match="Goal pictures need a camera"):
        LoaderConfig(1, goals=0.5)
    with pytest.raises(DatasetError, match="shards and epochs count from 1"):
        config(epochs=0)
    with pytest.raises(DatasetError, match="There is no batch 7; the last is 6"):
        make_loader([source], config(epochs=1)).batch(7)
    with pytest.raises(DatasetError, match="1 sources need as many weights above 0"):
        make_loader([source], config(weights=(0.5, 0.5)))
    with pytest.raises(DatasetError, match="20 numbers per state, more than the 9"):
        make_loader([source], config(state_dim=9))
    writer = DatasetWriter(tmp_path)
    writer.write(0, make_episode(0))
    broken = StepSource(open_dataset(tmp_path), WRIST)
    path = writer.path(0)
    start, size = broken.episodes.record_index.pictures["steps/observation/image_wrist"][1].tolist()
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=f"{path}: record 0, step 1, 'observation/image_wrist': A picture of"):
        make_loader([broken], config(3, shuffle=False)).batch(0)
    path.write_bytes(content[: start + 1])
    with pytest.raises(DatasetError, match=f"{path} was cut off"):
        broken.picture("wrist", 1)


def test_normalisation_takes_the_statistics_there_and_back(folder):
    dataset = open_dataset(folder)
    statistics = compute_statistics(dataset)
    actions = StepSource(dataset, WRIST).actions
    for mode in ("normal", "bounds"):
        scale = Normalisation.of(statistics, mode=mode)
        found = StepSource(dataset, WRIST, action_normalisation=scale).actions
        np.testing.assert_array_equal(found, scale.normalise(actions))
        np.testing.assert_array_equal(found[:, 6], actions[:, 6])  # the gripper
        kept = (np.abs(found) < 1) | (mode == "normal")
        np.testing.assert_allclose(scale.restore(found)[kept], actions[kept], atol=1e-5)
    assert np.abs(found[:, :6]).max() == 1
    with pytest.raises(DatasetError, match="no 'proprio' to normalise by"):
        Normalisation.of({"action": statistics["action"]}, "proprio")


def test_what_never_changes_becomes_zero_for_openvla_and_comes_back():
    still = {"q01": [0.3, 0.0], "q99": [0.3, 1.0], "min": [0.3, -1.0], "max": [0.3, 2.0], "mean": [0.3, 0.5]}
    values = np.array([[0.3, 0.0], [0.3, 1.0]], np.float32)
    for mode, expected in (("bounds_q99", 0), ("bounds", -1)):
        scale = Normalisation.of({"action": still}, mode=mode)
        np.testing.assert_allclose(scale.normalise(values), [[expected, -1], [expected, 1]], atol=1e-6)
        np.testing.assert_allclose(scale.restore(scale.normalise(values)), values, atol=1e-6)


pictures = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
)


@settings(max_examples=30)
@given(image=pictures, seed=st.integers(0, 2**32 - 1))
def test_a_transform_without_changes_changes_nothing_and_any_stays_in_bounds(image, seed):
    np.testing.assert_array_equal(PLAIN(image), image)
    draws = np.random.default_rng(seed).random((1, DRAWS))
    (change,) = AUGMENTED.changes(draws)
    assert (change.rows.stop, change.columns.stop) <= (24, 24)
    assert AUGMENTED.changed(image, change, np.empty_like(image)).shape == image.shape


def test_training_crops_and_serving_takes_the_centre():
    image = np.zeros((100, 100, 3), np.uint8)
    image[4:96, 4:96] = 200
    transform = ImageTransform(height=100, width=100, crop_scale=(0.81, 0.81))
    assert (transform(image) == 200).all()  # 90 x 90 pixels, from the middle
    draws = np.random.default_rng(0).random((500, DRAWS))
    corners = {(change.rows.start, change.columns.start) for change in transform.changes(draws)}
    assert min(corners) >= (0, 0) and max(corners) <= (10, 10) and len(corners) > 90
    restored = ImageTransform.model_validate_json(transform.model_dump_json())
    assert restored == transform
    np.testing.assert_array_equal(restored(image), transform(image))


@pytest.mark.parametrize(("changes", "range_of_means"), [({"brightness": 0.2}, (100 - 51, 100 + 51)), ({}, (100, 100))])
def test_brightness_moves_and_hue_and_saturation_keep_the_luma(changes, range_of_means):
    colours = {"saturation": (0.8, 1.2), "hue": 0.05, "contrast": (0.8, 1.2)} | changes
    transform = ImageTransform(height=8, width=8, **colours)
    image = np.full((8, 8, 3), 100, np.uint8)
    means = [
        transform.changed(image, change, np.empty_like(image)).mean()
        for change in transform.changes(np.random.default_rng(0).random((300, DRAWS)))
    ]
    low, high = range_of_means
    assert low - 1 <= min(means) <= low + 3 and high - 3 <= max(means) <= high + 1


def test_octo_sees_the_pixels_it_was_trained_on():
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    found = ImageTransform(height=64, width=64, method="linear")(image)
    wanted = jax.image.resize(image.astype(np.float32), (64, 64, 3), "linear", antialias=True)
    difference = np.abs(found - np.asarray(wanted).round())
    assert difference.max() <= 1 and difference.mean() < 1e-3  # sums of float32 in another order


MEMORY = """
import sys
from rldg.machine import free_memory
from rldg.data.loader import LoaderConfig, expected_memory, make_loader
from rldg.data.reader import open_dataset
from rldg.data.steps import StepSource
from rldg.data.transform import RLDG_OPENVLA

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

source = StepSource(open_dataset(sys.argv[1], verify=False), {"wrist": "observation/image_wrist"})
transform = RLDG_OPENVLA.model_copy(update={"height": 128, "width": 128})
config = LoaderConfig(64, {"wrist": transform}, threads=2, memory_limit=int(sys.argv[2]))
before = resident()
loader = make_loader([source], config)
assert len(source) > 10 * config.batch_size * config.read_ahead
sizes, memory = [], expected_memory([source], config)
for step in range(len(source) // config.batch_size):
    batch = next(loader)
    sizes.append(resident())
loader.close()
start = len(sizes) // 10
print(max(sizes[start:]) / sizes[start], (max(sizes) - before) / (memory.batches + memory.pictures))
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_memory_stays_flat_over_a_set_ten_times_the_buffer(limit, tmp_path):
    writer = DatasetWriter(tmp_path)
    for index in range(60):
        writer.write(index, make_episode(index, length=60, size=128))
    command = [sys.executable, "-c", MEMORY, str(tmp_path), str(limit)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    growth, share_of_expected = map(float, found.stdout.split())
    assert growth < 1.1
    assert share_of_expected < 1.5

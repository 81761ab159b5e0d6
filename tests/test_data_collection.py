"""Collection: the same data set whatever the workers, the interruptions and the order of requests."""

import json
from pathlib import Path

import numpy as np
import pytest

from rldg.data.collection import collect
from rldg.data.example import encode
from rldg.data.forecast import forecast
from rldg.data.manifest import MANIFEST, data_files, file_sha256, read_manifest
from rldg.data.reader import open_dataset
from rldg.data.schema import episode_columns
from rldg.engines import make_engine
from rldg.errors import DatasetError, StageError, UsageError
from tests.synthetic_episodes import make_episode, slow_episode

SETTINGS = {"configuration": {"task": "synthetic"}}


def failing_episode(index):
    return make_episode(2)


def contents(folder):
    return [path.read_bytes() for path in sorted(folder.glob("*.tfrecord-*"))]


def assert_holds(folder, count):
    """Exactly the episodes 0 .. count - 1, each once and as it should be, and nothing half-written."""
    dataset = open_dataset(folder)
    assert [entry.metadata["seed"] for entry in dataset.entries] == list(range(count))
    for index, stored in enumerate(dataset):
        np.testing.assert_array_equal(stored.steps["action"], make_episode(index).action)
    assert len({entry.metadata["time"] for entry in dataset.entries}) == 1
    info = json.loads((folder / "dataset_info.json").read_text())
    assert info["splits"][0]["shardLengths"] == ["1"] * count
    assert info["splits"][0]["numBytes"] == str(sum(map(len, contents(folder))))
    assert not list(folder.glob("*.tmp"))


def test_asking_for_more_extends_and_for_less_changes_nothing(tmp_path):
    collect(make_episode, tmp_path, 3, **SETTINGS)
    before = contents(tmp_path)
    assert collect(make_episode, tmp_path, 7, **SETTINGS)["episodes"] == 7
    assert contents(tmp_path)[:3] == before
    assert collect(make_episode, tmp_path, 2, **SETTINGS)["episodes"] == 7
    assert json.loads((tmp_path / "stage.json").read_text())["result"]["episodes"] == 7
    assert_holds(tmp_path, 7)


def test_a_complete_set_has_a_manifest_and_an_incomplete_one_has_none(tmp_path):
    def interrupted(index):
        if index == 5:
            assert not (tmp_path / MANIFEST).exists()
            raise KeyboardInterrupt
        return make_episode(index)

    def assert_manifest_holds():
        assert read_manifest(tmp_path) == {file.name: file_sha256(file) for file in data_files(tmp_path)}

    collect(make_episode, tmp_path, 3, **SETTINGS)
    assert_manifest_holds()
    with pytest.raises(KeyboardInterrupt):
        collect(interrupted, tmp_path, 7, **SETTINGS)
    assert len(open_dataset(tmp_path)) == 5
    assert not (tmp_path / MANIFEST).exists()
    collect(make_episode, tmp_path, 5, **SETTINGS)
    assert_manifest_holds()


def test_source_date_epoch_fixes_the_time_on_record(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    for parent in ("one", "two"):
        collect(make_episode, tmp_path / parent / "set", 3, **SETTINGS)
    assert contents(tmp_path / "one" / "set") == contents(tmp_path / "two" / "set")
    assert open_dataset(tmp_path / "one" / "set").entries[0].metadata["time"] == "1970-01-02T00:00:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH must be a whole number"):
        collect(make_episode, tmp_path / "three", 3, **SETTINGS)


def test_successes_are_counted_and_failures_kept(tmp_path):
    result = collect(make_episode, tmp_path, 5, count_successes=True, **SETTINGS)
    assert result == {"episodes": 7, "successes": 5, "steps": 30}
    assert [entry.success for entry in open_dataset(tmp_path).entries] == [True, True, False, True, True, False, True]


def test_a_policy_that_never_succeeds_is_given_up(tmp_path):
    with pytest.raises(DatasetError, match="hold only 0 of the 2 successes"):
        collect(failing_episode, tmp_path, 2, count_successes=True, **SETTINGS)


def test_workers_change_nothing_but_the_time(tmp_path):
    for workers in (1, 2):
        engine = make_engine(workers=workers)
        collect(slow_episode, tmp_path / str(workers), 6, count_successes=True, engine=engine, **SETTINGS)
        assert_holds(tmp_path / str(workers), 8)


def test_an_episode_that_was_removed_is_collected_again(tmp_path):
    collect(make_episode, tmp_path, 5, **SETTINGS)
    before = contents(tmp_path)
    victim = sorted(tmp_path.glob("*.tfrecord-*"))[1]
    victim.write_bytes(b"garbage")
    with pytest.raises(DatasetError, match=f"{victim}: record 0"):
        collect(make_episode, tmp_path, 5, **SETTINGS)
    victim.unlink()
    collect(make_episode, tmp_path, 5, **SETTINGS)
    assert [len(content) for content in contents(tmp_path)] == [len(content) for content in before]
    assert_holds(tmp_path, 5)


def test_another_configuration_is_refused_unless_told_to_overwrite(tmp_path):
    collect(make_episode, tmp_path, 3, **SETTINGS)
    with pytest.raises(StageError, match="--overwrite"):
        collect(make_episode, tmp_path, 3, configuration={"task": "other"})
    assert collect(make_episode, tmp_path, 2, configuration={"task": "other"}, overwrite=True)["episodes"] == 2


def test_a_renamed_folder_continues_under_its_old_name(tmp_path):
    collect(make_episode, tmp_path / "old", 3, **SETTINGS)
    folder = (tmp_path / "old").rename(tmp_path / "new")
    collect(make_episode, folder, 5, **SETTINGS)
    assert {Path(path).name[:3] for path in folder.glob("*.tfrecord-*")} == {"old"}
    assert_holds(folder, 5)


def test_a_forecast_tells_episodes_time_and_disk_from_the_first_few():
    expected = forecast(slow_episode, 6, 40, count_successes=True)
    sizes = [len(encode(episode_columns(make_episode(index)))) for index in range(6)]
    assert (expected.tried, expected.successes, expected.episodes) == (6, 4, 60)
    assert expected.wilson95 == pytest.approx((0.300, 0.903), abs=0.001)
    assert expected.bytes == pytest.approx(np.mean(sizes) * 60, rel=0.01)
    assert expected.seconds == pytest.approx(expected.start_seconds + 60 * expected.seconds_per_episode)
    assert 0.02 <= expected.seconds_per_episode < 1
    hopeless = forecast(failing_episode, 2, 40, count_successes=True)
    assert (hopeless.success_share, hopeless.episodes, hopeless.seconds, hopeless.bytes) == (0, None, None, None)

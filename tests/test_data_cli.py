"""`rldg collect` and `rldg data` on the simulated robot, as a user types them."""

import json

import numpy as np
import pytest

from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.env.types import ActionContract
from rldg.errors import StageError, UsageError
from rldg.tasks import load_task
from rldg.workers import episode_seed

COLLECT = ["collect", "usb_a_insertion", "--seed", "5", "--json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root") / "usb_expert" / "1.0.0"
    assert dispatch([*COLLECT, "--policy", "expert", "--episodes", "2", "--out", str(folder)]) == 0
    return folder


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_collected_episodes_say_where_they_come_from(folder):
    task = load_task("usb_a_insertion")
    for index, stored in enumerate(open_dataset(folder)):
        metadata = stored.metadata
        assert metadata["seed"] == episode_seed(5, index)
        assert (metadata["task"], metadata["task_hash"], metadata["policy_kind"]) == (task.name, task.hash, "expert")
        assert metadata["success"] == (stored.steps["reward"][-1] == 1)
        assert stored.steps["language_instruction"] == [task.instruction] * len(stored)
        expected = ActionContract.of(task).to_metric(stored.steps["action_normalized"])
        np.testing.assert_allclose(stored.steps["action"][:, :6], expected[:, :6], atol=0.02)
        assert stored.steps["observation/image_wrist_1"].decoded().std() > 1, "the pictures show something"


def test_the_same_command_reuses_and_another_policy_is_refused(folder, capsys):
    before = [path.stat().st_mtime_ns for path in sorted(folder.glob("*.tfrecord-*"))]
    assert dispatch([*COLLECT, "--policy", "expert", "--episodes", "2", "--out", str(folder)]) == 0
    assert last_line(capsys)["episodes"] == 2
    assert [path.stat().st_mtime_ns for path in sorted(folder.glob("*.tfrecord-*"))] == before
    with pytest.raises(StageError):
        dispatch([*COLLECT, "--policy", "teleoperator", "--episodes", "2", "--out", str(folder)])


def test_show_and_stats(folder, capsys):
    assert dispatch(["data", "show", str(folder), "--json"]) == 0
    overview = last_line(capsys)
    assert overview["episodes"] == 2
    assert overview["fields"]["steps/action"] == "float32 (7,)"
    assert dispatch(["data", "show", str(folder), "1", "--json"]) == 0
    assert len(last_line(capsys)["steps"]["action"]) == open_dataset(folder).entries[1].length
    assert dispatch(["data", "stats", str(folder), "--failures", "--json"]) == 0
    assert last_line(capsys)["num_transitions"] == overview["steps"]
    assert dispatch(["data", "show", str(folder)]) == 0
    assert "observation/image_wrist_1" in capsys.readouterr().out
    with pytest.raises(UsageError, match="episodes 0 to 1, not 2"):
        dispatch(["data", "show", str(folder), "2"])


def test_a_dry_run_writes_nothing_and_predicts(tmp_path, capsys):
    out = tmp_path / "later" / "set"
    command = [*COLLECT, "--policy", "expert", "--episodes", "1000", "--out", str(out), "--dry-run", "2"]
    assert dispatch(command) == 0
    predicted = last_line(capsys)
    assert (predicted["tried"], predicted["episodes"]) == (2, 1000)
    assert predicted["bytes"] > 1e6
    assert predicted["bytes_free"] > 0
    assert not out.parent.exists()
    command.remove("--json")
    assert dispatch(command) == 0
    assert "95 % interval" in capsys.readouterr().out

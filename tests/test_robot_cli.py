"""`rldg robot`, and `--station` on what runs episodes."""

import itertools
import json

import numpy as np
import pytest
import yaml

from rldg.cli.main import dispatch
from rldg.cli.robot.target import write_target
from rldg.data.reader import open_dataset
from rldg.errors import RldgError, TaskFileError, UsageError
from rldg.robots.franka_client import FrankaClient
from rldg.serving.station import StationServer
from rldg.tasks import load_station, load_task

TASK = load_task("usb_a_insertion")


@pytest.fixture(scope="module")
def station_file(tmp_path_factory):
    """A station's file beside a simulated station that it names, in lock-step."""
    file = tmp_path_factory.mktemp("stations") / "lab.yaml"
    with StationServer(TASK, load_station("sim"), speed=0) as server:
        cameras = ["--cameras", "wrist_1=station", "side_1=station"]
        target = ["--target", "0.5", "0", "0.08", "1", "0", "0", "0"]
        assert dispatch(["robot", "init", str(file), "--url", server.url, "--gripper", "none", *cameras, *target]) == 0
        content = yaml.safe_load(file.read_text()) | {"speed": 0, "safety": {"stop_key": ""}}
        file.write_text("# mine\n" + yaml.safe_dump(content, default_flow_style=None))
        yield file


def last_json(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_init_writes_a_station_and_refuses_what_is_none(tmp_path, station_file):
    assert load_station(station_file).cameras["side_1"].driver == "station"
    with pytest.raises(UsageError, match="--overwrite"):
        dispatch(["robot", "init", str(station_file)])
    wrong = ["robot", "init", str(tmp_path / "a.yaml"), "--url", "ftp://x", "--gripper", "none"]
    target = ["--target", "0", "0", "0", "1", "0", "0", "0"]
    with pytest.raises(TaskFileError, match="url"):
        dispatch([*wrong, "--cameras", "wrist_1=station", *target])
    with pytest.raises(UsageError, match="is no camera"):
        dispatch([*wrong, "--cameras", "wrist_1=webcam:0", *target])
    assert list(tmp_path.iterdir()) == []


def test_check_goes_through_everything(station_file, capsys):
    assert dispatch(["robot", "check", str(station_file), "--json"]) == 0
    names = [check["name"] for check in last_json(capsys)["checks"]]
    assert names[:5] == ["server", "round trip", "force at rest", "gains", "inside the box"]
    assert "camera wrist_1" in names and not any("corner" in name for name in names)


def test_check_moves_to_the_corners_when_it_may_and_fails_without_a_server(station_file, tmp_path, capsys):
    content = yaml.safe_load(station_file.read_text())
    content["safety"]["box"] = {
        "low": [-0.06, -0.06, -0.1, -0.3, -0.3, -0.8],
        "high": [0.06, 0.06, 0.03, 0.3, 0.3, 0.8],
    }
    small = tmp_path / "small.yaml"
    small.write_text(yaml.safe_dump(content))
    dispatch(["robot", "check", str(small), "--yes", "--json"])
    checks = {check["name"]: check["good"] for check in last_json(capsys)["checks"]}
    assert [good for name, good in checks.items() if "corner" in name] == [True] * 4
    content["url"], content["cameras"] = "http://127.0.0.1:9/", {}
    small.write_text(yaml.safe_dump(content))
    assert dispatch(["robot", "check", str(small), "--json"]) == 1


def test_target_records_where_the_tool_is_and_keeps_comments(station_file, tmp_path, capsys):
    copy = tmp_path / "copy.yaml"
    copy.write_text(station_file.read_text())
    for task in ("", "usb_a_insertion", "usb_a_insertion", "hdmi_insertion"):
        dispatch(["robot", "target", str(copy), "--now", "--json", *(["--task", task] if task else [])])
    pose = last_json(capsys)["pose"]
    station = load_station(copy)
    assert copy.read_text().startswith("# mine\n") and set(station.targets) == {"usb_a_insertion", "hdmi_insertion"}
    for recorded in (station.target_pose, station.target_of("usb_a_insertion"), station.target_of("hdmi_insertion")):
        np.testing.assert_allclose(recorded, pose, atol=1e-4)


def test_a_target_goes_into_a_file_that_has_none_of_its_own(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text("extends: sim_franka.yaml\nname: lab\n")
    pose = [0.4, 0.1, 0.2, 0.0, 1.0, 0.0, 0.0]
    write_target(file, pose, "")
    write_target(file, pose, "usb_a_insertion")
    station = load_station(file)
    assert list(station.target_pose) == list(station.target_of("usb_a_insertion")) == pose


def test_the_mean_of_a_pose_that_points_down_points_down(station_file, tmp_path, monkeypatch):
    """Readings of w scatter around 0; of the two quaternions that mean the same, the wrong ones would cancel out."""
    readings = itertools.cycle([1e-4, -1e-4])
    answer = FrankaClient._json

    def scattered(self, route, tries):
        reply, w = answer(self, route, tries), next(readings)
        return reply | {"pose": [0.5, 0, 0.08, *(np.copysign(1, w) * np.array([1, 0, 0, w])).tolist()]}

    monkeypatch.setattr(FrankaClient, "_json", scattered)
    copy = tmp_path / "copy.yaml"
    copy.write_text(station_file.read_text())
    dispatch(["robot", "target", str(copy), "--now"])
    np.testing.assert_allclose(load_station(copy).target_pose, [0.5, 0, 0.08, 1, 0, 0, 0], atol=1e-6)


def test_collect_and_evaluate_run_on_a_station(station_file, tmp_path, capsys):
    out = tmp_path / "data"
    where = ["--station", str(station_file)]
    dispatch(["collect", TASK.name, "--policy", "expert", "--episodes", "2", "--out", str(out), *where, "--json"])
    assert last_json(capsys)["successes"] == 2
    for episode in open_dataset(out):
        assert (episode.metadata["backend"], episode.metadata["station"]) == ("franka", "lab")
    evaluation = ["evaluate", TASK.name, "--policy", "expert", "--episodes", "2", "--videos", "0"]
    dispatch([*evaluation, "--out", str(tmp_path / "evaluation"), *where, "--json"])
    assert last_json(capsys)["evaluations"][0]["successes"] == 2
    with pytest.raises(UsageError, match="one arm"):
        dispatch([*evaluation, "--out", str(tmp_path / "other"), *where, "--workers", "2"])
    with pytest.raises(RldgError, match="another"):
        dispatch([*evaluation, "--out", str(tmp_path / "evaluation")])

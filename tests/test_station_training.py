"""The whole line on a station, over HTTP: interventions while it trains, labels by a key, faults in between."""

import json

import numpy as np
import pytest
import requests

from rldg.classifiers.labels import HeldSwitch
from rldg.classifiers.record import record, recording_env
from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.env.robot_env import RobotEnv
from rldg.errors import RldgError, UsageError
from rldg.policies.expert import Expert
from rldg.robots.stops import RobotFault
from rldg.serving.station import StationServer
from rldg.specialists.actor import FAULTS, Actor
from rldg.specialists.config import SpecialistConfig
from rldg.tasks import load_station, load_task
from tests.point_robot import PointRobot, point_task

TASK = load_task("usb_a_insertion")


@pytest.fixture
def station(tmp_path):
    """A station's file and the server that it names, in lock-step."""
    with StationServer(TASK, load_station("sim"), speed=0) as server:
        file = tmp_path / "lab.yaml"
        file.write_text(f"extends: sim_franka.yaml\nname: lab\nurl: {server.url}\nspeed: 0\n")
        yield file, server


class FaultyRobot(PointRobot):
    """Its network fails in its first `faults` episodes, at the third step."""

    def __init__(self, faults):
        super().__init__()
        self._faults = faults

    def reset(self, generator):
        super().reset(generator)
        self._steps, self._fails, self._faults = 0, self._faults > 0, self._faults - 1

    def move(self, pose, gripper):
        self._steps += 1
        if self._fails and self._steps == 3:
            raise RobotFault("connection", "The network fails.")
        super().move(pose, gripper)


def test_a_training_begins_an_episode_again_that_a_fault_of_the_set_up_ended():
    def episode(faults):
        env = RobotEnv(point_task(), cameras=False, robot=FaultyRobot(faults))
        return Actor(lambda task: env, point_task(), SpecialistConfig(), seed=0, _env=env)._whole(Expert(), 1)

    whole, again = episode(0), episode(FAULTS - 1)
    assert again.success and not again.fault
    np.testing.assert_array_equal(whole.action, again.action)
    with pytest.raises(RldgError, match="Faults of the set-up ended 5 episodes in a row"):
        episode(FAULTS)


class AtDepth:
    """An operator who holds the key while the plug is in."""

    def __init__(self, server):
        self._arm = server.arm

    def held(self):
        return self._arm.state()[0].pose[2] < 0.081

    def close(self):
        pass


def test_labels_are_recorded_on_a_station_by_a_key_only(station, tmp_path):
    file, server = station
    command = ["classifier", "record", TASK.name, "--station", str(file), "--out", str(tmp_path / "labels")]
    with pytest.raises(UsageError, match="does not know the truth; label by --labels key"):
        dispatch(command)
    env = recording_env(TASK, 25, load_station(file))
    source, asked = HeldSwitch(AtDepth(server)), {"positives": 5, "negatives": 10}
    counts = record(env, Expert(), source, tmp_path / "labels", labels_by="key", **asked)
    env.close()
    assert counts["positives"] >= 5 and counts["negatives"] >= 10
    assert {e.metadata["station"] for e in open_dataset(tmp_path / "labels")} == {"lab"}


@pytest.mark.slow
def test_a_training_with_interventions_runs_on_a_station_and_what_comes_of_it_acts_there(station, tmp_path, capsys):
    file, server = station
    requests.post(
        server.url + "sim/fault", json={"kind": "error", "seconds": 60, "probability": 0.02}, timeout=5
    )  # of which most are tried again unnoticed
    run, where = tmp_path / "run", ["--station", str(file)]
    sizes = ["--demonstrations", "3", "--hidden", "32", "32", "--batch-size", "32", "--updates-per-step", "1"]
    ends = ["--updates-per-call", "100", "--round-steps", "100", "--least-updates", "200", "--confirm-episodes", "3"]
    options = [*sizes, *ends, "--max-env-steps", "400", "--operator", "teleoperator"]
    status = dispatch(["train", TASK.name, *where, *options, "--out", str(run)])
    assert status in (0, 1)  # so short a training may come to nothing
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) >= 2 and max(line["intervention_share"] for line in lines) > 0
    assert json.loads((run / "stage.json").read_text())["configuration"]["station"] == str(file)
    dispatch(["collect", TASK.name, "--policy", str(run), "--episodes", "1", *where, "--out", str(tmp_path / "data")])
    assert [episode.metadata["station"] for episode in open_dataset(tmp_path / "data")] == ["lab"]

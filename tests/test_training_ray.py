"""Actors on a Ray cluster: the same weights, whoever dies. Starts a cluster on this machine, as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from rldg.specialists.arrays import read_arrays
from rldg.specialists.train import train
from tests.point_robot import point_env, point_task
from tests.test_specialist import learning_curve
from tests.test_training import SHORT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.1:26479"
START = ["start", "--head", "--node-ip-address=127.0.0.1", "--port=26479", "--num-cpus=2", "--include-dashboard=false"]
START += ["--object-store-memory=100000000", "--block", '--resources={"robot": 2}']
ENVIRONMENT = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT), "RAY_ADDRESS": ADDRESS}
ON_RAY = """
import sys
from pathlib import Path
from rldg.ray_engine import RayEngine
from rldg.specialists.train import train
from tests.point_robot import point_task
from tests.test_training import SHORT, dying_env

resource = sys.argv[2]
train(point_task(), Path(sys.argv[1]), SHORT, seed=3, make_env=dying_env, engine=RayEngine(2, "", {resource: 1}))
"""


@pytest.fixture(scope="module")
def died(tmp_path_factory):
    return tmp_path_factory.mktemp("died")


@pytest.fixture(scope="module", autouse=True)
def cluster(died):
    pytest.importorskip("ray")
    ray = Path(sys.executable).with_name("ray")
    with TemporaryDirectory(prefix="ray") as folder:  # a short path: there are sockets in it
        head = subprocess.Popen(
            [ray, *START, f"--temp-dir={folder}"],
            env=ENVIRONMENT | {"DIED": str(died)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(head.pid, signal.SIGTERM)
            head.wait(60)


def on_ray(folder, resource):
    """The result of the training, tried again while the cluster is not up yet."""
    command = [sys.executable, "-c", ON_RAY, folder, resource]
    deadline = time.monotonic() + 240
    while True:
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=400)
        if "No Ray cluster answers" not in done.stderr or time.monotonic() > deadline:
            return done
        time.sleep(2)


def test_weights_are_those_of_a_local_training_although_a_ray_worker_was_killed(tmp_path, died):
    done = on_ray(tmp_path / "ray", "robot")
    assert done.returncode == 0, done.stderr
    assert (died / "once").exists()
    assert "A worker died on round" in (tmp_path / "ray/train.log").read_text()
    assert json.loads((tmp_path / "ray/stage.json").read_text())["result"]["actors_lost"] == 1
    train(point_task(), tmp_path / "local", SHORT, seed=3, make_env=point_env)
    ray, local = (read_arrays(tmp_path / name / "specialist.npz") for name in ("ray", "local"))
    np.testing.assert_equal(ray, local)
    assert learning_curve(tmp_path / "ray") == learning_curve(tmp_path / "local")


def test_a_cluster_without_such_a_machine_says_how_to_start_one(tmp_path):
    done = on_ray(tmp_path, "arm")
    assert "has the resource 'arm': start one with `ray start" in done.stderr

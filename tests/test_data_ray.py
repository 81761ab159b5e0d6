"""A Ray cluster as the engine: the same bytes, whoever dies. Starts a cluster on this machine, as a user would."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rldg.data.manifest import data_files
from tests.test_data_interruption import COLLECT, EPOCH, episodes_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.1:26379"
START = ["start", "--head", "--node-ip-address=127.0.0.1", "--port=26379", "--num-cpus=2", "--include-dashboard=false"]
START += ["--object-store-memory=100000000", "--block"]
ENVIRONMENT = os.environ | EPOCH | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT), "RAY_ADDRESS": ADDRESS}

SURVIVES = """
import sys
from functools import partial
from pathlib import Path
from rldg.engines import make_engine
from rldg.workers import map_episodes
from tests.worker_functions import dies, hangs, raises

dead, hung = map(Path, sys.argv[1:])
engine = make_engine("ray", 2)
expected = [(index, index) for index in range(6)]
assert list(map_episodes(partial(dies, folder=dead, times=2), range(6), engine)) == expected
assert list(map_episodes(partial(hangs, folder=hung, times=1), range(6), engine, timeout=20)) == expected
list(map_episodes(raises, range(6), engine))
"""


@pytest.fixture(scope="module", autouse=True)
def cluster():
    pytest.importorskip("ray")
    ray = Path(sys.executable).with_name("ray")
    with TemporaryDirectory(prefix="ray") as folder:  # a short path: there are sockets in it
        head = subprocess.Popen(
            [ray, *START, f"--temp-dir={folder}"],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(head.pid, signal.SIGTERM)
            head.wait(60)


def started(command, **options):
    """The result of `command`, tried again while the cluster is not up yet."""
    deadline = time.monotonic() + 240
    while True:
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, **options)
        if "No Ray cluster answers" not in done.stderr or time.monotonic() > deadline:
            return done
        time.sleep(2)


def test_dead_and_hanging_workers_are_replaced_and_errors_come_out_as_they_are(tmp_path):
    for name in ("dead", "hung"):
        (tmp_path / name).mkdir()
    done = started([sys.executable, "-c", SURVIVES, tmp_path / "dead", tmp_path / "hung"])
    assert done.stderr.splitlines()[-1].startswith("rldg.errors.UnknownNameError: Unknown fruit 'aple'."), done.stderr
    assert len(list((tmp_path / "dead").iterdir())) == 2
    assert len(list((tmp_path / "hung").iterdir())) == 1


def test_killed_in_the_middle_and_continued_it_is_what_one_process_would_have_collected(tmp_path):
    local, folder = tmp_path / "local" / "set", tmp_path / "ray" / "set"
    subprocess.run([*COLLECT, "--episodes", "12", "--out", local], env=ENVIRONMENT, check=True, timeout=300)
    command = [*COLLECT, "--episodes", "12", "--engine", "ray", "--workers", "2", "--out", str(folder)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while episodes_in(folder) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert episodes_in(folder) < 12
    done = started(command)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in data_files(folder)] == [path.read_bytes() for path in data_files(local)]


def test_where_no_cluster_is_the_way_to_one_is_shown(tmp_path):
    command = [*COLLECT, "--episodes", "1", "--engine", "ray", "--ray-address", "127.0.0.1:1", "--out", str(tmp_path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert "ray start --head" in done.stderr.splitlines()[-1]

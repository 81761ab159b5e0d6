"""The same collection on a Ray cluster: the same bytes, whoever dies. Starts a cluster on this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")
RAY = str(Path(sys.executable).with_name("ray"))
PORT = 26379
OFFLINE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "SOURCE_DATE_EPOCH": "1700000000"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a cluster with two processors, started as a user starts it."""
    folder = tmp_path_factory.mktemp("ray", numbered=True)
    command = [RAY, "start", "--head", "--node-ip-address=127.0.0.1", f"--port={PORT}", "--num-cpus=2"]
    command += [
        "--include-dashboard=false",
        "--object-store-memory=100000000",
        "--block",
        f"--temp-dir=/tmp/{folder.parent.name[-20:]}",
    ]
    head = subprocess.Popen(
        command,
        env=os.environ | OFFLINE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        for line in head.stdout:
            if "--block" in line or "Ray runtime started" in line:
                break
        yield f"127.0.0.1:{PORT}"
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.wait(30)

"""Whatever ends a collection, at whatever moment, the same command completes it to the same bytes."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from rldg.cli.main import dispatch
from rldg.data.collection import collect
from rldg.data.manifest import data_files
from rldg.data.reader import open_dataset
from rldg.errors import StageError
from tests.synthetic_episodes import collect_slowly, collect_with_little_room, growing_episode

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}  # else two collections differ in when they began
COLLECT = [sys.executable, "-m", "rldg", "collect", "usb_a_insertion", "--policy", "expert"]


def files(folder):
    return {path.name: path.read_bytes() for path in [*data_files(folder), folder / "SHA256SUMS"]}


def episodes_in(folder):
    return sum(path.suffix != ".tmp" for path in folder.glob("*.tfrecord-*"))


def kill_repeatedly(begin, folder, episodes, kills):
    """Kills what `begin` starts, evenly over the collection's progress: some while it starts, most while it writes."""
    rng = random.Random(0)
    for number in range(kills):
        process = begin()
        deadline = time.monotonic() + 240
        try:
            while episodes_in(folder) < episodes * number // kills:
                assert process.is_alive(), "it ended by itself"
                assert time.monotonic() < deadline, "no progress"
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.03) if rng.random() < 0.7 else rng.uniform(0, 0.5))
        finally:
            process.kill()
            process.join(10)
        if (folder / "features.json").exists():
            open_dataset(folder)  # raises if anything in it is broken


class Command(subprocess.Popen):
    """A command that is handled like a `multiprocessing.Process`."""

    def is_alive(self):
        return self.poll() is None

    def join(self, timeout):
        self.wait(timeout)


@pytest.fixture(scope="module")
def forkserver():
    """Starts processes from one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rldg.data.collection", "tests.synthetic_episodes"])
    return context


@pytest.fixture(scope="module")
def quick_start(forkserver):
    """Starts collections of synthetic episodes."""

    def start(*arguments):
        process = forkserver.Process(target=collect_slowly, args=arguments)
        process.start()
        return process

    return start


def test_killed_forty_times_with_one_worker(tmp_path, quick_start, monkeypatch):
    monkeypatch.setenv(*next(iter(EPOCH.items())))
    folder, undisturbed = tmp_path / "killed" / "set", tmp_path / "undisturbed" / "set"
    collect_slowly(undisturbed, 60)
    kill_repeatedly(lambda: quick_start(folder, 60), folder, 60, 40)
    (folder / "set-train.tfrecord-00059.tmp").write_bytes(b"half an episo")
    collect_slowly(folder, 60)
    assert files(folder) == files(undisturbed)
    assert json.loads((folder / "stage.json").read_text())["finished"]


@pytest.mark.timeout(600)
def test_killed_with_four_workers(tmp_path, quick_start, monkeypatch):
    monkeypatch.setenv(*next(iter(EPOCH.items())))
    folder, undisturbed = tmp_path / "killed" / "set", tmp_path / "undisturbed" / "set"
    collect_slowly(undisturbed, 30)
    kill_repeatedly(lambda: quick_start(folder, 30, 4), folder, 30, 2)
    collect_slowly(folder, 30)
    assert files(folder) == files(undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("workers", [1, 4])
def test_killed_a_hundred_times_the_simulated_collection_is_what_it_would_have_been(tmp_path, workers):
    def command(folder):
        return [*COLLECT, "--episodes", "60", "--workers", str(workers), "--out", str(folder)]

    folder, undisturbed = tmp_path / "killed" / "set", tmp_path / "undisturbed" / "set"
    environment = os.environ | EPOCH
    subprocess.run(command(undisturbed), env=environment, check=True, stderr=subprocess.DEVNULL)

    def begin():
        return Command(command(folder), env=environment, stderr=said)

    with open(tmp_path / "said", "w") as said:
        kill_repeatedly(begin, folder, 60, 100)
    subprocess.run(command(folder), env=environment, check=True, stderr=subprocess.DEVNULL)
    assert len(open_dataset(folder)) == 60
    assert files(folder) == files(undisturbed)


@pytest.mark.parametrize(("number", "workers", "status"), [(signal.SIGTERM, 2, 143), (signal.SIGINT, 1, 130)])
def test_a_signal_ends_workers_at_once_and_the_rest_is_kept(tmp_path, number, workers, status):
    folder = tmp_path / "set"
    command = [*COLLECT, "--episodes", "1000", "--workers", str(workers), "--out", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while episodes_in(folder) < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        with pytest.raises(StageError, match=rf"in use by process {process.pid} on .* \(.*collect usb_a_insertion"):
            dispatch([*COLLECT[3:], "--episodes", "1", "--out", str(folder)])
        sent = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert time.monotonic() - sent < 10
    finally:
        process.kill()
    assert process.returncode == status
    assert said.splitlines()[-1] == "rldg: interrupted; what is finished is kept, and the same command continues."
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):  # nobody of its session is left
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    kept = len(open_dataset(folder))
    assert kept >= 2
    assert dispatch([*COLLECT[3:], "--episodes", str(kept + 1), "--out", str(folder)]) == 0
    assert len(open_dataset(folder)) == kept + 1


def test_a_full_disk_is_one_sentence_and_the_same_command_completes(tmp_path, forkserver):
    undisturbed, folder = tmp_path / "undisturbed" / "set", tmp_path / "full" / "set"
    collect(growing_episode, undisturbed, 12, configuration={"task": "synthetic"})
    sizes = sorted(path.stat().st_size for path in undisturbed.glob("*.tfrecord-*"))
    answer = tmp_path / "answer"
    process = forkserver.Process(target=collect_with_little_room, args=(folder, 12, sizes[6], answer))
    process.start()
    process.join(120)
    said = answer.read_text()
    assert "set-train.tfrecord-00007 could not be written: File too large" in said
    assert len(open_dataset(folder)) == 7
    assert not list(folder.glob("*.tmp"))
    assert not json.loads((folder / "stage.json").read_text())["finished"]
    collect(growing_episode, folder, 12, configuration={"task": "synthetic"})
    assert [path.stat().st_size for path in sorted(folder.glob("*.tfrecord-*"))] == sizes
    assert json.loads((folder / "stage.json").read_text())["finished"]

"""Run folders: what belongs together is continued or reused, everything else is refused with a way out."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rldg.errors import StageError
from rldg.stage import file_hash, stage, write_json

WORKER = """
import sys, time
from pathlib import Path
from rldg.stage import stage
with stage(Path(sys.argv[1]), "count", {"to": 3}) as run:
    print("working", flush=True)
    time.sleep(60)
"""


def record(folder):
    return json.loads((folder / "stage.json").read_text())


def working_process(folder):
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(folder)], stdout=subprocess.PIPE, text=True)
    with process.stdout as output:
        assert output.readline() == "working\n"
    return process


def test_a_finished_stage_says_what_was_run_and_is_reused(tmp_path):
    with stage(tmp_path / "run", "count", {"to": 3}, seed=7, inputs={"data": "abc"}) as run:
        assert not run.finished
        run.result = {"sum": 6}
    written = record(tmp_path / "run")
    assert written["finished"]
    assert written["result"] == {"sum": 6}
    assert {"argv", "began", "code_version", "packages", "machine", "duration_seconds"} <= written.keys()
    with stage(tmp_path / "run", "count", {"to": 3}, seed=7, inputs={"data": "abc"}) as again:
        assert again.finished
        assert again.result == {"sum": 6}
        assert again.began == run.began
    assert record(tmp_path / "run") == written


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"configuration": {"to": 4}}, "configuration.to: 3 there, 4 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"inputs": {"data": "def"}}, "inputs.data: 'abc' there, 'def' here"),
        ({"command": "sum"}, "command: 'count' there, 'sum' here"),
    ],
)
def test_another_configuration_is_refused_by_name_and_overwrite_replaces_it(tmp_path, changed, named):
    original = {"command": "count", "configuration": {"to": 3}, "seed": 0, "inputs": {"data": "abc"}}
    with stage(tmp_path, **original):
        (tmp_path / "old.txt").write_text("old")
        (tmp_path / "videos").mkdir()
    with pytest.raises(StageError) as refusal, stage(tmp_path, **{**original, **changed}):
        pass
    assert named in str(refusal.value)
    assert "--overwrite" in str(refusal.value)
    assert "--resume" in str(refusal.value)
    with stage(tmp_path, **{**original, **changed}, overwrite=True) as run:
        assert not run.finished
        assert not (tmp_path / "old.txt").exists()
        assert not (tmp_path / "videos").exists()


def test_overwrite_does_not_empty_a_folder_that_no_run_made(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StageError, match="will not empty it"), stage(tmp_path, "count", {}, overwrite=True):
        pass
    assert (tmp_path / "thesis.tex").exists()


def test_a_second_process_is_refused_while_the_first_works_and_may_continue_once_it_is_killed(tmp_path):
    process = working_process(tmp_path)
    with (
        pytest.raises(StageError, match=f"in use by process {process.pid}"),
        stage(tmp_path, "count", {"to": 3}, overwrite=True),
    ):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    began = record(tmp_path)["began"]
    assert not record(tmp_path)["finished"]
    with stage(tmp_path, "count", {"to": 3}) as run:
        assert not run.finished
        assert run.began == began
    assert record(tmp_path)["finished"]


def test_an_interrupted_stage_continues_and_its_duration_adds_up(tmp_path):
    for attempt in range(2):
        with pytest.raises(KeyboardInterrupt), stage(tmp_path, "count", {"to": 3}) as run:
            assert not run.finished
            time.sleep(0.05)
            raise KeyboardInterrupt
        assert not record(tmp_path)["finished"]
        assert record(tmp_path)["duration_seconds"] >= 0.05 * (attempt + 1)
    with stage(tmp_path, "count", {"to": 3}):
        pass
    assert record(tmp_path)["finished"]
    assert record(tmp_path)["duration_seconds"] >= 0.1


def test_an_unfinished_stage_is_not_continued_where_that_was_not_asked_for(tmp_path):
    with pytest.raises(KeyboardInterrupt), stage(tmp_path, "count", {"to": 3}):
        raise KeyboardInterrupt
    with pytest.raises(StageError, match="--resume"), stage(tmp_path, "count", {"to": 3}, resume=False):
        pass


@pytest.mark.parametrize("content", ["{half", "[]", "{}", '{"command": "count"}'])
def test_a_spoilt_record_is_named_and_overwrite_starts_afresh(tmp_path, content):
    (tmp_path / "stage.json").write_text(content)
    with pytest.raises(StageError, match="--overwrite"), stage(tmp_path, "count", {}):
        pass
    with stage(tmp_path, "count", {}, overwrite=True) as run:
        assert not run.finished


def test_a_folders_hash_is_that_of_its_content_not_of_when_it_was_made(tmp_path):
    for name in ("one", "two"):
        with stage(tmp_path / name, "count", {"to": 3}):
            (tmp_path / name / "data.bin").write_bytes(b"123")
        time.sleep(0.01)
    assert file_hash(tmp_path / "one") == file_hash(tmp_path / "two")
    before = file_hash(tmp_path / "one")
    with stage(tmp_path / "one", "count", {"to": 3}):
        pass
    assert file_hash(tmp_path / "one") == before
    (tmp_path / "one" / "data.bin").write_bytes(b"124")
    assert file_hash(tmp_path / "one") != before


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}

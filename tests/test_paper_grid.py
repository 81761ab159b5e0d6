"""The grid of experiments: cells are shared, run once, in the order of their needs, and go on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.paper.cell import HERE, Cell, make_cell
from pipelines.paper.forecast import Progress
from pipelines.paper.grid import run_grid, unfinished
from pipelines.verbs import PipelineError
from rldg.errors import StageError
from tests import toy_verb

ROOT = Path(__file__).parents[1]


def toy(root: Path, number: int, *needs: Cell, **changes: Any) -> Cell:
    args = toy_verb.Args(number, HERE, tuple(need.folder for need in needs), **changes)
    return make_cell(root, "toy", args, needs, seconds=10.0)


def total(cell: Cell) -> int:
    return int((cell.folder / "sum.json").read_text())


def attempts(cell: Cell) -> int:
    return len((cell.folder / "attempts").read_text().splitlines())


def test_cells_run_in_the_order_of_their_needs_and_once(tmp_path: Path) -> None:
    shared = toy(tmp_path, 1)
    first, second = toy(tmp_path, 2, shared), toy(tmp_path, 3, toy(tmp_path, 1))
    last = toy(tmp_path, 4, first, second)
    run_grid(tmp_path, [last], lanes=2)
    assert total(last) == 4 + (2 + 1) + (3 + 1)
    assert attempts(shared) == 1
    run_grid(tmp_path, [last], lanes=2)
    assert attempts(last) == 1
    record = last.read_record()
    assert record["needs"] == [str(first), str(second)]
    assert record["packages"]["numpy"]


def test_a_cell_is_named_by_all_that_decides_it_and_nothing_else(tmp_path: Path) -> None:
    one = toy(tmp_path, 1)
    assert toy(tmp_path, 1, workers=3).folder == one.folder
    assert toy(tmp_path, 2).folder != one.folder
    assert (
        toy(tmp_path / "elsewhere", 5, toy(tmp_path / "elsewhere", 1)).folder.name == toy(tmp_path, 5, one).folder.name
    )
    assert toy(tmp_path, 5, toy(tmp_path, 2)).folder != toy(tmp_path, 5, one).folder
    assert make_cell(tmp_path, "toy", one.args, inputs={"station": "changed"}).folder != one.folder


def test_a_failing_cell_stops_only_those_that_need_it_and_is_named(tmp_path: Path) -> None:
    bad, good = toy(tmp_path, -1), toy(tmp_path, 1)
    with pytest.raises(PipelineError, match=f"1 cells failed.*{bad}.*{bad.log}"):
        run_grid(tmp_path, [toy(tmp_path, 2, bad), toy(tmp_path, 3, good)], lanes=2)
    assert total(toy(tmp_path, 3, good)) == 4
    assert "-1 is negative" in bad.log.read_text()
    assert not toy(tmp_path, 2, bad).finished


def test_only_what_is_missing_is_run_again(tmp_path: Path) -> None:
    first = toy(tmp_path, 1)
    last = toy(tmp_path, 2, first)
    run_grid(tmp_path, [last], lanes=1)
    first.record.unlink()
    assert not unfinished([last])
    assert set(unfinished([last, first])) == {first.folder}


def test_a_killed_grid_leaves_no_process_behind_and_goes_on(tmp_path: Path) -> None:
    command = (
        "from pathlib import Path; from pipelines.paper.grid import run_grid; from tests.test_paper_grid import toy\n"
        "if __name__ == '__main__':\n"
        "    root = Path(__import__('sys').argv[1])\n"
        "    run_grid(root, [toy(root, 2, toy(root, 1), seconds=60.0)], 2)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(command)
    slow = toy(tmp_path, 2, toy(tmp_path, 1), seconds=60.0)
    with subprocess.Popen(
        [sys.executable, script, tmp_path], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as run:
        deadline = time.monotonic() + 60
        while not (slow.folder / "attempts").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(StageError, match="in use by process"):
            run_grid(tmp_path, [slow], lanes=1)
        run.send_signal(signal.SIGKILL)
    child = int((slow.folder / "attempts").read_text())
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert toy(tmp_path, 1).finished
    quick = replace(slow, args=replace(slow.args, seconds=0.0))
    run_grid(tmp_path, [quick], lanes=1)
    assert total(quick) == 3
    assert attempts(toy(tmp_path, 1)) == 1


def test_an_interrupted_grid_ends_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = toy(tmp_path, 1, seconds=60.0)

    def interrupt(self: Progress) -> None:
        if (slow.folder / "attempts").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "show", interrupt)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_grid(tmp_path, [slow], lanes=1)
    assert time.monotonic() - began < 40
    assert not slow.finished


def test_the_forecast_learns_the_pace_of_each_kind(tmp_path: Path) -> None:
    first, second, third = toy(tmp_path, 1), toy(tmp_path, 2), toy(tmp_path, 3)
    chained = toy(tmp_path, 4, third)
    with Progress(tmp_path, [first, second, third, chained], lanes=2) as progress:
        assert progress.seconds_left() == 20.0  # 40 s over two lanes
        progress.end(first, 30.0)  # three times as long as expected
        assert progress.seconds_left() == 60.0  # two in a chain
    record = {"cell": "toy/0", "seconds": 5.0, "expected_seconds": 10.0}
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "0.json").write_text(json.dumps(record))
    with Progress(tmp_path, [second, third], lanes=1) as progress:
        assert progress.seconds_left() == 10.0

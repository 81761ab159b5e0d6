"""Pipelines: stages are reused, redone when their inputs change, and a failure is said; the demo runs end to end."""

import json
from pathlib import Path

import pytest

from pipelines import demo, results
from pipelines.generalists import Generalist
from pipelines.verbs import PipelineError, carry_out, read_result
from rldg.cli import collect


def collecting(out: Path, **changes: object) -> collect.Args:
    return collect.Args(**{"task": "usb_a_insertion", "policy": "expert", "episodes": 1, "out": out} | changes)


def test_finished_stages_are_reused_and_changed_ones_redone(tmp_path: Path) -> None:
    carry_out(collecting(tmp_path / "data"))
    shard = next((tmp_path / "data").glob("*tfrecord*"))
    first = shard.stat().st_mtime_ns
    carry_out(collecting(tmp_path / "data"))
    assert shard.stat().st_mtime_ns == first
    carry_out(collecting(tmp_path / "data", task="vga_insertion"))
    record = json.loads((tmp_path / "data" / "stage.json").read_text())
    assert record["configuration"]["task"] == "vga_insertion"
    assert read_result(tmp_path / "data")["episodes"] == 1


def test_a_failing_stage_stops_the_pipeline_and_says_which(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PipelineError, match="rldg collect"):
        carry_out(collecting(tmp_path / "good", episodes=500), collecting(tmp_path / "bad", policy="no_such_policy"))
    assert "no_such_policy" in capfd.readouterr().err


def test_numbers_in_readme_are_the_committed_results() -> None:
    table = results.markdown(json.loads(results.RESULTS.read_text(encoding="utf-8")))
    assert table in results.README.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("generalist", ["octo", "openvla"])
def test_demo_end_to_end(generalist: Generalist, tmp_path: Path) -> None:
    args = demo.Args(
        generalist=generalist,
        out=tmp_path / "demo",
        episodes=3,
        trials=4,
        curve_trials=2,
        updates=16,
    )
    demo.run(args)
    summary = json.loads((args.out / "summary.json").read_text())
    assert summary["specialist"]["successes"] >= 3
    assert [g["data"] for g in summary["generalists"]] == ["rl", "teleoperator"]
    assert {g["generalist"] for g in summary["generalists"]} == {generalist}
    assert {g["episodes"] for g in summary["generalists"]} == {3}
    assert summary["paired_difference"].keys() == {"mean", "low", "high"}
    assert len(json.loads((args.out / "curves.json").read_text())) == 16
    assert "RL data" in (args.out / "report.html").read_text(encoding="utf-8")

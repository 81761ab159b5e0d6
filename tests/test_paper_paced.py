"""A policy at another rate: the same scenes, fewer actions a second, as many seconds until the time-out."""

from pathlib import Path

import pytest

from pipelines.paper import paced
from pipelines.paper.measure import evaluations, ratio
from rldg.cli import evaluate
from rldg.evaluation.compare import find_evaluations
from rldg.tasks import load_task


def test_a_paced_task_lasts_as_long() -> None:
    slow = paced.at_rate(load_task("usb_a_insertion"), 4.0)
    assert (slow.rate, slow.horizon) == (4.0, 40)


def test_the_expert_takes_longer_at_4_hz_on_the_same_scenes(tmp_path: Path) -> None:
    tasks = ("usb_a_insertion",)
    evaluate.main(evaluate.Args(tasks, "expert", tmp_path / "usual", episodes=3, workers=1, videos=0))
    paced.main(paced.Args(tasks, "expert", tmp_path / "slow", 4.0, episodes=3))
    (usual,), (slow,) = (find_evaluations(tmp_path / name) for name in ("usual", "slow"))
    assert [trial.seed for trial in usual.trials] == [trial.seed for trial in slow.trials]
    assert all(trial.seconds == pytest.approx(trial.steps / 4) for trial in slow.trials)
    assert slow.summary.successes > 0
    assert ratio([slow], [usual], lambda trial: trial.seconds).value > 1
    assert not evaluations([])

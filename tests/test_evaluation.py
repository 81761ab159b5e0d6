"""Trials on locked scenes, their statistics, comparison and films."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldg.cli import compare as compare_verb
from rldg.cli import evaluate as evaluate_verb
from rldg.errors import ActionError, DatasetError, StageError
from rldg.evaluation.compare import compare, find_evaluations
from rldg.evaluation.evaluate import InfrastructureError, evaluate
from rldg.evaluation.statistics import paired_difference, wilson
from rldg.evaluation.trials import read_summary, read_trials
from rldg.rollout.video import VideoRecorder
from rldg.tasks import load_task
from tests.synthetic_episodes import make_episode

TASK = load_task("usb_a_insertion")
CONTRACT = json.dumps({"rate": 10.0})


def episode(index: int, success: bool | None = None, cameras: tuple[str, ...] = ()):
    """A made-up trial of the USB task on scene `index`."""
    made = make_episode(index, cameras=cameras)
    success = made.success if success is None else success
    about = replace(
        made.metadata, action_contract=CONTRACT, task=TASK.name, task_hash=TASK.hash, seed=1000 + index,
        success=success, failure_reason="" if success else "time_out",
    )  # fmt: skip
    return replace(made, metadata=about)


def filmed(index):
    return episode(index, cameras=("side_1", "wrist_1"))


class Faulty:
    """Raises on chosen scenes, as often as told; counts how often each scene was tried."""

    def __init__(self, faults, error=None):
        self.faults, self.error, self.tried = dict(faults), error or OSError("the renderer is gone"), []

    def __call__(self, index):
        self.tried.append(index)
        if self.faults.get(index, 0) > 0:
            self.faults[index] -= 1
            raise self.error
        return episode(index)


outcomes = st.integers(1, 40).flatmap(
    lambda scenes: st.tuples(*(st.lists(st.booleans(), min_size=scenes, max_size=scenes) for _ in range(2)))
)
arms = st.tuples(st.integers(1, 30), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_contains_the_rate_and_shrinks_with_more_trials(successes, failures):
    trials = successes + failures
    low, high = wilson(successes, trials)
    assert 0 <= low <= (successes / trials if trials else 0) <= high <= 1 or trials == 0
    more = wilson(4 * successes, 4 * trials)
    assert more[1] - more[0] <= high - low


def test_wilson_equals_published_values():
    assert wilson(96, 100) == pytest.approx((0.9016, 0.9843), abs=1e-4)  # Wilson (1927) by hand
    assert wilson(0, 0) == (0.0, 1.0)


@given(arms)
@settings(deadline=None)
def test_difference_contains_its_estimate_and_changes_sign_with_the_arms(shape):
    scenes, runs_a, runs_b, seed = shape
    rng = np.random.default_rng(seed)
    a, b = rng.random((scenes, runs_a)) < rng.random(), rng.random((scenes, runs_b)) < rng.random()
    forth, back = paired_difference(a, b), paired_difference(b, a)
    assert forth.mean == pytest.approx(a.mean() - b.mean())
    assert -1 <= forth.low <= forth.mean + 1e-12
    assert forth.mean - 1e-12 <= forth.high <= 1
    assert (back.low, back.mean, back.high) == pytest.approx((-forth.high, -forth.mean, -forth.low))


@given(outcomes)
@settings(deadline=None)
def test_difference_shrinks_with_more_scenes(pair):
    a, b = (np.array(arm) for arm in pair)
    once, often = paired_difference(a, b), paired_difference(np.tile(a, 4), np.tile(b, 4))
    assert often.high - often.low <= once.high - once.low + 1e-12


def test_difference_of_one_run_is_newcombes_interval():
    both, only_a, only_b, neither = 30, 12, 2, 6
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    (low_a, high_a), (low_b, high_b), phi = wilson(42, 50), wilson(32, 50), np.corrcoef(a, b)[0, 1]
    below, above = np.array([[0.84 - low_a, high_b - 0.64], [high_a - 0.84, 0.64 - low_b]])
    low = 0.2 - np.sqrt(below @ below - 2 * phi * below.prod())
    high = 0.2 + np.sqrt(above @ above - 2 * phi * above.prod())
    found = paired_difference(a, b)
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, low, high))


@pytest.mark.parametrize(("runs", "seed_effect"), [(1, 0.0), (3, 0.0), (3, 0.8)])
def test_difference_covers_the_truth_as_often_as_it_says(runs, seed_effect):
    rng = np.random.default_rng(0)

    def rate(base, size):
        return 1 / (1 + np.exp(-(base + seed_effect * rng.normal(size=size))))

    truth = rate(2.2, 400_000).mean() - rate(0.8, 400_000).mean()
    hits = 0
    for _ in range(400):
        a = rng.random((60, runs)) < rate(2.2, (1, runs))
        b = rng.random((60, runs)) < rate(0.8, (1, runs))
        found = paired_difference(a, b)
        hits += found.low <= truth <= found.high
    assert hits / 400 >= 0.92


def test_evaluation_leaves_trials_and_a_summary_with_the_promised_fields(tmp_path):
    summary = evaluate(episode, tmp_path, 9, task=TASK, policy="made-up")
    written = json.loads((tmp_path / "summary.json").read_text())
    assert {
        "task", "policy", "successes", "trials", "wilson95", "cycle_steps", "failures", "seeds"
    } <= written.keys()  # fmt: skip
    assert written["task"] == "usb_a_insertion"
    assert (written["successes"], written["trials"], written["failures"]) == (6, 9, {"time_out": 3})
    assert written["seeds"] == list(range(1000, 1009))
    lengths = [3 + index % 4 for index in range(9) if index % 3 != 2]
    assert written["cycle_steps"] == pytest.approx(np.mean(lengths))
    assert written["cycle_seconds"] == pytest.approx(np.mean(lengths) / 10)
    assert read_summary(tmp_path / "summary.json") == replace(summary, wilson95=tuple(summary.wilson95))
    assert len(read_trials(tmp_path / "trials.jsonl")) == 9


def test_finished_evaluation_is_reused_extended_and_never_mixed_with_another(tmp_path):
    evaluate(Faulty({}), tmp_path, 4, task=TASK, policy="p")
    again = Faulty({})
    evaluate(again, tmp_path, 4, task=TASK, policy="p")
    assert again.tried == []
    assert evaluate(again, tmp_path, 6, task=TASK, policy="p").trials == 6
    assert again.tried == [4, 5]
    assert json.loads((tmp_path / "stage.json").read_text())["result"]["trials"] == 6
    with pytest.raises(StageError, match="--overwrite"):
        evaluate(episode, tmp_path, 4, task=TASK, policy="another")


def test_infrastructure_faults_are_tried_again_and_counted_apart(tmp_path, caplog):
    run = Faulty({1: 1, 3: 9})
    summary = evaluate(run, tmp_path, 6, task=TASK, policy="p")
    assert run.tried == [0, 1, 2, 3, 4, 5, 1, 3]
    assert (summary.trials, summary.infrastructure_faults) == (5, 1)
    assert sum(summary.failures.values()) + summary.successes == 5
    assert "renderer is gone" in (tmp_path / "faults.jsonl").read_text()
    assert evaluate(episode, tmp_path, 6, task=TASK, policy="p").infrastructure_faults == 0


def test_set_up_that_always_fails_is_an_error_and_so_is_an_impossible_action(tmp_path):
    with pytest.raises(InfrastructureError, match="renderer is gone"):
        evaluate(Faulty({0: 9, 1: 9}), tmp_path / "a", 2, task=TASK, policy="p")
    with pytest.raises(ActionError, match="finite"):
        evaluate(Faulty({1: 1}, ActionError("must be finite")), tmp_path / "b", 2, task=TASK, policy="p")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import tests.test_evaluation as t
def run(index):
    if index == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return t.filmed(index)
t.evaluate(run, Path({out!r}), 8, task=t.TASK, policy="p")
"""


def test_killed_evaluation_continues_with_nothing_lost_or_doubled(tmp_path):
    code = KILLED.format(root=str(Path(__file__).parents[1]), out=str(tmp_path))
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL
    assert len(read_trials(tmp_path / "trials.jsonl")) == 5
    with open(tmp_path / "trials.jsonl", "a") as file:
        file.write('{"index": 5, "se')  # as if the kill had hit the writing of a line
    evaluate(filmed, tmp_path, 8, task=TASK, policy="p")
    evaluate(filmed, tmp_path / "whole", 8, task=TASK, policy="p")
    assert (tmp_path / "trials.jsonl").read_bytes() == (tmp_path / "whole" / "trials.jsonl").read_bytes()
    assert (tmp_path / "summary.json").read_bytes() == (tmp_path / "whole" / "summary.json").read_bytes()
    films = [sorted(path.name for path in (folder / "videos").iterdir()) for folder in (tmp_path, tmp_path / "whole")]
    assert films[0] == films[1]


def test_first_successes_and_failures_are_filmed_in_a_form_browsers_play(tmp_path):
    evaluate(filmed, tmp_path, 9, task=TASK, policy="p", videos=2)
    names = sorted(path.name for path in (tmp_path / "videos").iterdir())
    assert names == ["0000_success.mp4", "0001_success.mp4", "0002_failure.mp4", "0005_failure.mp4"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", tmp_path / "videos" / names[0], "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "h264" in said
    assert "yuv420p" in said
    assert "480x268" in said
    assert f"frame={len(filmed(0)) + 10:5d}" in said  # the outcome stays for a second


def test_recorder_films_what_it_watched(tmp_path):
    recorder = VideoRecorder(lambda episode: tmp_path / f"{episode.metadata.episode_id}.mp4", rate=10)
    recorder.end(filmed(0))
    assert [path.name for path in tmp_path.iterdir()] == ["synthetic-0.mp4"]


def write_arm(folder, succeeds, scenes=range(20), task=TASK, policy="p"):
    run = lambda index: episode(scenes[index], succeeds(scenes[index]))  # noqa: E731
    evaluate(run, folder, len(scenes), task=task, policy=policy)


def test_comparison_pairs_the_scenes_that_both_were_tried_on(tmp_path):
    write_arm(tmp_path / "a", lambda seed: True)
    write_arm(tmp_path / "b", lambda seed: seed % 2 == 0, scenes=range(4, 20))
    result = compare(find_evaluations(tmp_path / "a"), find_evaluations(tmp_path / "b"))
    assert (result.successes, result.trials, result.unshared) == ((16, 8), (16, 16), 4)
    assert result.difference.mean == pytest.approx(0.5)
    assert result.difference.low > 0


def test_comparison_pools_training_seeds_by_scene(tmp_path):
    for seed in range(3):
        write_arm(tmp_path / f"a/seed{seed}", lambda scene: True, policy=f"a{seed}")
        write_arm(tmp_path / f"b/seed{seed}", lambda scene, seed=seed: (scene + seed) % 3 > 0, policy=f"b{seed}")
    result = compare(find_evaluations(tmp_path / "a"), find_evaluations(tmp_path / "b"))
    assert (result.runs, result.trials, result.difference.scenes) == ((3, 3), (60, 60), 20)


def test_arm_may_be_one_specialist_per_task(tmp_path):
    for task in (TASK, load_task("vga_insertion")):
        write_arm(tmp_path / "a" / task.name, lambda seed: True, task=task, policy=f"specialist of {task.name}")
        write_arm(tmp_path / "b" / task.name, lambda seed: seed < 10, task=task, policy="one for all")
    result = compare(find_evaluations(tmp_path / "a"), find_evaluations(tmp_path / "b"))
    assert (result.runs, result.difference.scenes) == ((1, 1), 40)


def test_arm_with_more_runs_on_one_task_or_a_doubled_run_is_refused(tmp_path):
    write_arm(tmp_path / "a/0", lambda seed: True, policy="0")
    write_arm(tmp_path / "a/1", lambda seed: True, policy="1")
    write_arm(tmp_path / "a/2", lambda seed: True, policy="0", task=load_task("vga_insertion"))
    with pytest.raises(DatasetError, match="same number of runs"):
        compare(find_evaluations(tmp_path / "a"), find_evaluations(tmp_path / "a"))
    write_arm(tmp_path / "b/0", lambda seed: True)
    write_arm(tmp_path / "b/1", lambda seed: True)
    with pytest.raises(DatasetError, match="as another folder beside it does"):
        compare(find_evaluations(tmp_path / "b"), find_evaluations(tmp_path / "b"))


def test_comparison_refuses_other_tasks_and_other_scenes(tmp_path):
    write_arm(tmp_path / "a", lambda seed: True, scenes=range(3))
    write_arm(tmp_path / "b", lambda seed: True, scenes=range(10, 13))
    with pytest.raises(DatasetError, match="no locked scene"):
        compare(find_evaluations(tmp_path / "a"), find_evaluations(tmp_path / "b"))
    write_arm(tmp_path / "c", lambda seed: True, scenes=range(3), task=load_task("vga_insertion"))
    with pytest.raises(DatasetError, match="vga_insertion"):
        compare(find_evaluations(tmp_path / "a"), find_evaluations(tmp_path / "c"))
    with pytest.raises(DatasetError, match="finished evaluation"):
        compare([], find_evaluations(tmp_path / "a"))


def test_verbs_evaluate_and_compare_on_the_real_simulator(tmp_path, capsys):
    for policy in ("expert", "teleoperator"):
        arguments = evaluate_verb.Args(
            ("usb_a_insertion", "vga_insertion"), policy, tmp_path / policy, episodes=2, workers=1, videos=0, json=True
        )
        assert evaluate_verb.main(arguments) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["task"] for one in result["evaluations"]] == ["usb_a_insertion", "vga_insertion"]
    seeds = [read_summary(tmp_path / p / "usb_a_insertion" / "summary.json").seeds for p in ("expert", "teleoperator")]
    assert seeds[0] == seeds[1]
    assert compare_verb.main(compare_verb.Args(tmp_path / "expert", tmp_path / "teleoperator", json=True)) == 0
    compared = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert compared["difference"]["scenes"] == 4
    assert compared["tasks"] == ["usb_a_insertion", "vga_insertion"]

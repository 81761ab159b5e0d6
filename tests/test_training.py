"""Actors and learners that die, people in the loop, baselines: what a training promises around its algorithm."""

import dataclasses
import json
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rldg.engines import LocalEngine
from rldg.errors import TrainingError, UnknownNameError, UsageError
from rldg.policies.intervention import distance
from rldg.rollout import rollout
from rldg.specialists import memory, supervise
from rldg.specialists.algorithms import configured
from rldg.specialists.arrays import read_arrays
from rldg.specialists.checkpoint import Checkpoints
from rldg.specialists.operators import OperatorStatistics, intervals
from rldg.specialists.spec import AgentSpec
from rldg.specialists.train import train
from tests.point_robot import point_env, point_task
from tests.test_specialist import TINY, learning_curve

SHORT = dataclasses.replace(TINY, max_env_steps=200)
CLONE = {
    "demonstrations": 20,
    "hidden": (32, 32),
    "batch_size": 64,
    "updates_per_call": 100,
    "pretrain_updates": 2000,
    "least_updates": 10**9,
    "learning_rate": 3e-3,
    "average_updates": 20,
    "round_steps": 50,
}


def dying_env(task):
    """A point robot whose process dies when it is made, until a file in the folder of the environment says it has."""
    mark = Path(os.environ["DIED"]) / "once"
    env = point_env(task)
    step, count = env.step, [0]

    def counted(action):
        count[0] += 1
        if count[0] == 120 and not mark.exists():  # in the middle of a round
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return step(action)

    env.step = counted
    return env


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    train(point_task(), folder, SHORT, seed=3, make_env=point_env)
    return folder


def assert_same(a: Path, b: Path) -> None:
    np.testing.assert_equal(read_arrays(a / "specialist.npz"), read_arrays(b / "specialist.npz"))
    assert learning_curve(a) == learning_curve(b)


@pytest.mark.timeout(300)
def test_an_actor_killed_within_a_round_is_reported_and_changes_nothing(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("DIED", str(tmp_path))
    folder = tmp_path / "run"
    train(point_task(), folder, SHORT, seed=3, make_env=dying_env, engine=LocalEngine(2))
    assert (tmp_path / "once").exists()
    assert "A worker died on round" in (folder / "train.log").read_text()
    assert json.loads((folder / "stage.json").read_text())["result"]["actors_lost"] == 1
    assert_same(folder, undisturbed)


def test_a_replay_that_does_not_fit_is_refused_before_anything_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**6)
    long = dataclasses.replace(SHORT, max_env_steps=10**6)
    with pytest.raises(TrainingError, match=r"needs 0\.1 GB, and 0\.0 GB are free"):
        train(point_task(), tmp_path, long, make_env=point_env)


def test_the_memory_that_is_said_is_what_the_replay_takes(undisturbed):
    arrays = Checkpoints(undisturbed / "checkpoints").latest()
    taken = sum(column.nbytes for name, column in arrays.items() if name.startswith("replay."))
    rows, task = len(arrays["replay.column.last"]), point_task()
    whole = (1 + 1 / task.horizon) * (SHORT.max_env_steps + SHORT.demonstrations * task.horizon)
    said = memory.replay_bytes(SHORT, AgentSpec.of(SHORT, task), task) * rows / whole
    assert 0.7 * said < taken < 1.1 * said


def test_updates_follow_steps_by_the_ratio_that_was_asked_for(undisturbed):
    lines = learning_curve(undisturbed)
    for before, after in pairwise(lines):
        allowed = before["env_steps"] * SHORT.updates_per_step
        assert after["updates"] == allowed // SHORT.updates_per_call * SHORT.updates_per_call


def train_and_die(folder: Path, deaths: int, overwrite: bool) -> None:
    """What is supervised: a training whose process is killed a few times after its first checkpoint."""
    from rldg.specialists.checkpoint import Checkpoints

    save, saved = Checkpoints.save, []

    def save_then_die(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 1 and len(list(folder.glob("died_*"))) < deaths:
            (folder / f"died_{time.monotonic_ns()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Checkpoints, "save", save_then_die)  # noqa: B010
    train(point_task(), folder, SHORT, seed=3, make_env=point_env, overwrite=overwrite)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_learner_is_reported_and_goes_on_to_the_same_bits(undisturbed, tmp_path):
    supervise.supervised(train_and_die, tmp_path, [tmp_path, 2, True], [tmp_path, 2, False])
    assert (tmp_path / "train.log").read_text().count("The learner was killed by signal 9") == 2
    assert_same(tmp_path, undisturbed)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise UnknownNameError("fruit", "aple", ["apple"])


def test_a_learner_that_dies_before_it_saves_anything_is_given_up(tmp_path):
    with pytest.raises(TrainingError, match="killed by signal 9, 3 times without a checkpoint"):
        supervise.supervised(die, tmp_path, [], [])


def test_what_the_learner_raises_comes_out_as_it_is(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'apple'"):
        supervise.supervised(refuse, tmp_path, [], [])


@pytest.mark.timeout(300)
def test_intervened_steps_are_prior_data_too_and_counted(tmp_path):
    config = dataclasses.replace(SHORT, operator="teleoperator", snapshot_steps=100)
    train(point_task(), tmp_path, config, seed=1, make_env=point_env)
    lines, result = learning_curve(tmp_path), json.loads((tmp_path / "stage.json").read_text())["result"]
    shares = [line["intervention_share"] for line in lines]
    assert max(shares) > 0
    assert all(line["intervention_steps"] >= 1 for line in lines if line["interventions"])
    alone = dataclasses.replace(SHORT, max_env_steps=20)
    train(point_task(), tmp_path / "alone", alone, seed=1, make_env=point_env)
    demonstrated = json.loads((tmp_path / "alone/stage.json").read_text())["result"]["demonstration_steps"]
    steps = np.diff([0] + [line["env_steps"] for line in lines])
    assert result["demonstration_steps"] == demonstrated + round(float(np.dot(shares, steps)))
    assert len(list((tmp_path / "snapshots").iterdir())) == 2


@pytest.mark.timeout(300)
def test_a_clone_does_what_it_was_shown_and_corrections_are_cloned_too(tmp_path):
    cloned = train(point_task(), tmp_path / "bc", configured("bc", **CLONE), make_env=point_env)
    env = point_env(point_task())
    assert sum(rollout(env, cloned, seed).success for seed in range(20)) >= 10
    assert learning_curve(tmp_path / "bc")[-1]["updates"] == 2000
    config = configured("hg-dagger", **CLONE, max_env_steps=300)
    train(point_task(), tmp_path / "dagger", config, make_env=point_env)
    lines = learning_curve(tmp_path / "dagger")
    assert lines[-1]["env_steps"] >= 300
    assert "intervention_share" in lines[-1]
    assert lines[-1]["updates"] > 2000


@pytest.mark.timeout(300)
def test_without_demonstrations_it_learns_from_its_own_steps_alone(tmp_path):
    config = dataclasses.replace(SHORT, algorithm="sac", demonstrations=0, max_env_steps=100)
    train(point_task(), tmp_path, config, make_env=point_env)
    assert json.loads((tmp_path / "stage.json").read_text())["result"]["demonstration_steps"] == 0


def test_algorithms_refuse_what_they_cannot_learn_from():
    with pytest.raises(UnknownNameError, match="Did you mean 'rlpd'"):
        configured("rldp")
    with pytest.raises(UsageError, match="name an operator"):
        configured("hg-dagger", operator="")
    with pytest.raises(UsageError, match="bc needs demonstrations"):
        configured("bc", demonstrations=0)


def explored(count: int, successes: float, begun: int, steps: int) -> dict[str, np.ndarray]:
    """A round of `count` episodes of 50 steps, each with `begun` interventions of `steps` steps altogether."""
    return {
        "lengths": np.full(count, 50),
        "successes": np.arange(count) < successes * count,
        "interventions": np.full(count, begun),
        "intervened": np.full(count, steps),
    }


def advice(rounds) -> str:
    statistics = OperatorStatistics(rate=10)
    for columns in rounds:
        statistics.record(columns)
    return OperatorStatistics(10, statistics.arrays()).advice()  # as after a resume


def test_the_operator_is_told_when_to_taper_and_what_to_do_otherwise():
    helped, alone = explored(2, 1, 1, 10), explored(9, 1, 0, 0)
    assert "taper off" in advice([helped, alone, alone])
    assert "correct briefly and hand back" in advice([explored(5, 1, 1, 45)] * 4)
    assert "more of the steps" in advice([explored(5, 0, 1, 5)] * 10 + [explored(5, 0, 2, 20)] * 10)
    assert advice([explored(5, 0, 1, 5)] * 10) == ""
    assert advice([alone] * 3) == "", "nobody intervenes, so nobody needs advice"


def test_interventions_are_counted_as_stretches():
    assert intervals(np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], bool)) == [2, 1, 3]


def test_progress_of_a_grasp_is_on_the_way_to_the_object_and_with_it():
    pose = np.array([0.03, 0, 0.04, 0, 0, 0, 1])
    assert distance({"privileged": {"tcp_in_target": pose}}) == pytest.approx(0.05)
    both = {"tcp_in_target": pose, "object_in_tcp": 2 * pose, "object_in_target": 3 * pose}
    assert distance({"privileged": both}) == pytest.approx(0.25)

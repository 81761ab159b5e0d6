"""Judges by a classifier, an operator or conditions: what users of such a task may rely on."""

import logging
import os
import pty
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldg.classifiers.config import ClassifierConfig
from rldg.classifiers.learner import initial_weights
from rldg.classifiers.train import save_classifier, write_task
from rldg.cli.main import dispatch
from rldg.env.classifier import Classifier, Positives, hash_of, load_classifier
from rldg.env.conditions import satisfied
from rldg.env.operator import OperatorJudge
from rldg.env.robot_env import RobotEnv
from rldg.env.types import Observation
from rldg.errors import CheckpointError, RldgError, UsageError
from rldg.evaluation.trials import Trial, summarise
from rldg.policies.expert import Expert
from rldg.robots import terminal_key
from rldg.robots.terminal_key import TerminalKey
from rldg.rollout import Episode, Subscriber, rollout
from rldg.tasks import Task, load_task, task_names
from rldg.tasks.conditions import Bounds
from rldg.tasks.task import JudgedByClassifier, JudgedByConditions, JudgedByOperator
from rldg.workers import EpisodeRunner
from tests.helpers import changed
from tests.point_robot import PointRobot, point_task

SURE, NEVER = 5.0, -5.0  # logits
NEAR = {"distance": Bounds(at_most=0.012)}
ANYWHERE = Positives(np.full(6, -10.0), np.full(6, 10.0), score=0.0)


def classifier(folder: Path, logit: float, cameras: dict[str, int], positives: Positives = ANYWHERE) -> Classifier:
    """A classifier that always gives the same answer, saved in `folder`."""
    weights = initial_weights(np.random.default_rng(0), cameras, ClassifierConfig(channels=(4, 4, 4, 4), hidden=4))
    weights["last.weight"] *= 0
    weights["last.bias"] += logit
    made = Classifier("usb_a_insertion", weights, cameras, positives, hash_of(weights))
    folder.mkdir(exist_ok=True)
    save_classifier(folder, made)
    return made


def judged(folder: Path, task: Task, **fields: object) -> Task:
    """`task`, judged by the classifier in `folder` near the target; its own criterion is the truth."""
    rule = {"kind": "classifier", "checkpoint": str(folder), "guard": NEAR, "truth": task.success} | fields
    return changed(task, success=JudgedByClassifier.model_validate(rule))


class SeeingRobot(PointRobot):
    """A point robot with a camera that shows nothing, but counts its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.camera_sizes, self.pictures = {"wrist_1": 32}, 0

    def images(self) -> dict[str, np.ndarray]:
        self.pictures += 1
        return {"wrist_1": np.zeros((32, 32, 3), np.uint8)}


def point_view(folder: Path, **fields: object) -> Task:
    task = judged(folder, point_task(), **fields)
    return changed(task, cameras={"wrist_1": task.cameras["wrist_1"].model_copy(update={"resolution": 32})})


class Script:
    """A switch that is held when a list says so."""

    def __init__(self, held: list[bool]) -> None:
        self._held = iter(held)

    def held(self) -> bool:
        return next(self._held, False)

    def close(self) -> None:
        pass


def test_a_classifier_looks_near_the_target_only_and_the_truth_is_kept_beside_its_verdict(tmp_path: Path) -> None:
    usb = load_task("usb_a_insertion")
    classifier(tmp_path, SURE, {"wrist_1": 128, "side_1": 128})
    env = RobotEnv(judged(tmp_path, usb), cameras=False)
    taken: list[int] = []
    look = env.robot.images
    env.robot.images = lambda: (taken.append(1), look())[1]  # type: ignore[method-assign]
    episode = rollout(env, Expert(), seed=3)
    assert episode.images == {}  # the judge's pictures are not the policy's
    assert len(taken) == 1 and len(episode) > 3
    about = episode.metadata
    assert (about.success, about.truth, about.judged_by) == (True, "failure", "classifier")
    assert np.linalg.norm(episode.final["privileged"]["tcp_in_target"][:3]) <= 0.012
    env.close()


def test_a_success_that_the_classifier_never_sees_is_on_record_as_one(tmp_path: Path) -> None:
    classifier(tmp_path, NEVER, {"wrist_1": 32})
    episode = rollout(RobotEnv(point_view(tmp_path), robot=SeeingRobot()), Expert(), seed=0)
    assert (episode.success, episode.metadata.truth, len(episode)) == (False, "success", 50)


def test_a_policy_that_looks_as_well_pays_for_one_picture_per_step(tmp_path: Path) -> None:
    classifier(tmp_path, NEVER, {"wrist_1": 32})
    robot = SeeingRobot()
    episode = rollout(RobotEnv(point_view(tmp_path), robot=robot), Expert(), seed=0)
    assert robot.pictures == len(episode) + 1


def test_what_is_wrong_with_a_classifier_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="rldg classifier train"):
        RobotEnv(point_view(tmp_path / "none"), robot=SeeingRobot())
    made = classifier(tmp_path / "one", SURE, {"wrist_1": 32})
    assert load_classifier(tmp_path / "one").weight_hash == made.weight_hash
    with pytest.raises(RldgError, match=made.weight_hash):
        RobotEnv(point_view(tmp_path / "one", weight_hash="0" * 16), robot=SeeingRobot())
    classifier(tmp_path / "two", SURE, {"wrist_1": 64})
    with pytest.raises(RldgError, match="'wrist_1': 64"):
        RobotEnv(point_view(tmp_path / "two"), robot=SeeingRobot())
    weights = tmp_path / "one" / "classifier.npz"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        load_classifier(tmp_path / "one")


def warnings_of(task: Task, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.WARNING, "rldg"):
        env = RobotEnv(task, robot=SeeingRobot())
        for seed in range(30):
            assert rollout(env, Expert(), seed).success
    return [record.message for record in caplog.records]


def test_one_warning_when_successes_are_none_by_the_truth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    classifier(tmp_path, SURE, {"wrist_1": 32})
    (warning,) = warnings_of(point_view(tmp_path, guard={"distance": Bounds(at_most=0.04)}), caplog)
    assert "exploiting the reward classifier of 'point'" in warning and "truth" in warning


def test_no_warning_while_verdict_and_truth_agree(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    classifier(tmp_path, SURE, {"wrist_1": 32})
    inside = {axis: Bounds(at_least=-0.007, at_most=0.007) for axis in "xyz"}
    task = point_view(tmp_path, guard=inside | {"angle": Bounds(at_most=0.1)})
    assert not warnings_of(task, caplog)


@pytest.mark.parametrize(("where", "score", "warned"), [(0.05, 0.0, False), (0.0, 0.0, True), (0.05, 0.999, True)])
def test_without_a_truth_successes_unlike_the_positives_warn(
    where: float, score: float, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    positives = Positives(np.full(6, -where), np.full(6, where), score)
    classifier(tmp_path, SURE, {"wrist_1": 32}, positives)
    task = point_view(tmp_path, guard={"distance": Bounds(at_most=0.04)}, truth=None)
    found = warnings_of(task, caplog)
    assert len(found) == warned and all("unlike the positives" in warning for warning in found)


def test_conditions_are_a_reward_like_any_other() -> None:
    rule = {"z": Bounds(at_least=-0.001), "force": Bounds(at_most=50), "gripper": Bounds(at_most=0.1)}
    truth = load_task("usb_a_insertion").success
    success = JudgedByConditions(kind="conditions", conditions=rule, truth=truth)  # type: ignore[arg-type]
    env = RobotEnv(changed(load_task("usb_a_insertion"), success=success), cameras=False)
    episode = rollout(env, Expert(), seed=1)
    assert episode.success and episode.metadata.judged_by == "conditions"
    assert episode.final["privileged"]["tcp_in_target"][2] >= -0.001
    assert episode.privileged["tcp_in_target"][-1, 2] < -0.001


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_conditions_hold_exactly_between_their_bounds(value: float, low: float, high: float) -> None:
    low, value, high = (float(np.float32(x)) for x in (min(low, high), value, max(low, high)))
    observation = {
        "state": {
            "tcp_vel": np.zeros(6),
            "tcp_force": np.zeros(3),
            "tcp_torque": np.zeros(3),
            "gripper_pose": np.ones(1),
        },
        "privileged": {"tcp_in_target": np.array([0, value, 0, 0, 0, 0, 1])},
    }
    assert satisfied({"y": Bounds(at_least=low, at_most=high)}, observation) == (low <= value <= high)
    assert satisfied({"y": Bounds(at_least=low)}, observation) == (low <= value)
    assert satisfied({}, observation)
    assert not satisfied({"gripper": Bounds(at_most=0.5), "y": Bounds(at_least=-2)}, observation)


def test_an_operator_ends_the_episode_and_a_switch_held_from_before_does_not() -> None:
    task = changed(point_task(), success=JudgedByOperator(kind="operator", truth=point_task().success))  # type: ignore[arg-type]
    switch = Script([True, True, False, False, True])
    env = RobotEnv(task, robot=PointRobot(), judge=lambda look: OperatorJudge(switch))
    episode = rollout(env, Expert(), seed=0)
    assert episode.success and len(episode) == 5
    assert episode.metadata.judged_by == "operator" and episode.metadata.truth in ("success", "failure")


def test_a_key_of_the_terminal_is_held_while_it_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    clock = [100.0]
    monkeypatch.setattr(terminal_key.os, "open", lambda *_: os.dup(slave))
    monkeypatch.setattr(terminal_key.time, "monotonic", lambda: clock[0])
    key = TerminalKey()
    assert not key.held()
    os.write(master, b"x")
    assert not key.held()
    os.write(master, b" ")
    assert key.held()
    clock[0] += 0.6  # the delay before a key repeats
    assert key.held()
    os.write(master, b"  ")
    assert key.held()
    clock[0] += 0.1
    assert key.held()
    clock[0] += 0.1  # it would have come again: released
    assert not key.held()
    os.write(master, b"  ")
    clock[0] += 3.0  # a reset, in which nobody asked
    assert not key.held()
    os.write(master, b" ")
    assert key.held()
    key.close()
    key.close()
    assert termios.tcgetattr(slave) == before


def test_an_operator_without_a_terminal_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(6, "No such device or address")

    monkeypatch.setattr(terminal_key.os, "open", refuse)
    with pytest.raises(RldgError, match="no terminal"):
        RobotEnv(changed(point_task(), success=JudgedByOperator(kind="operator")), robot=PointRobot())


class Lasted(Subscriber):
    """Measures an episode from its first observation to its end."""

    def begin(self, observation: Observation) -> None:
        self._began = time.monotonic()

    def end(self, episode: Episode) -> None:
        self.seconds = time.monotonic() - self._began


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task in simulation that an operator judges, who never says anything."""
    monkeypatch.setattr("rldg.env.success.TerminalKey", lambda: Script([False] * 100))
    file = tmp_path / "watched.yaml"
    file.write_text("extends: usb_a_insertion.yaml\nname: watched\nhorizon: 8\nsuccess: {kind: operator}\n")
    return file


def test_an_operator_sees_a_simulation_in_real_time(watched: Path) -> None:
    clock = Lasted()
    episode = EpisodeRunner(str(watched), "expert", cameras=False, subscribers=lambda index: [clock])(0)
    assert len(episode) == 8
    assert clock.seconds >= 8 / 10


def test_an_operator_is_asked_by_one_process(watched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    run = [str(watched), "--policy", "expert", "--episodes", "1", "--out", str(tmp_path / "out")]
    for verb in ("collect", "evaluate"):
        with pytest.raises(UsageError, match="judges 'watched', one episode at a time"):
            dispatch([verb, *run, "--workers", "2"])
    assert dispatch(["evaluate", *run, "--videos", "0"]) == 0  # other processes would find no terminal


@pytest.mark.parametrize("name", task_names())
def test_the_written_task_is_the_task_but_for_its_judge(name: str, tmp_path: Path) -> None:
    task, cameras = load_task(name), {"wrist_1": 128}
    made = classifier(tmp_path / "made", SURE, cameras)
    write_task(tmp_path / "task.yaml", task, tmp_path / "made", made, 0.8)
    again = load_task(tmp_path / "task.yaml")
    assert again.model_copy(update={"name": task.name, "success": task.success}) == task
    rule = again.success
    assert isinstance(rule, JudgedByClassifier) and rule.truth is not None
    assert rule.truth.kind == task.success.kind and rule.weight_hash == made.weight_hash


def test_an_evaluation_counts_successes_by_the_truth_as_well(tmp_path: Path) -> None:
    classifier(tmp_path, SURE, {"wrist_1": 32})
    env = RobotEnv(point_view(tmp_path, guard={"distance": Bounds(at_most=0.04)}), robot=SeeingRobot())
    trials = [Trial.of(seed, rollout(env, Expert(), seed)) for seed in range(5)]
    summary = summarise("point", "expert", trials)
    assert summary.successes == 5 and summary.true_successes == 0
    unknown = RobotEnv(point_task(), robot=PointRobot())
    assert summarise("point", "expert", [Trial.of(0, rollout(unknown, Expert(), 0))]).true_successes is None

"""Reward classifiers from labels to a judged task: recording, training, report, command line."""

import json
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldg import geometry
from rldg.classifiers.config import ClassifierConfig
from rldg.classifiers.examples import Examples, held_out, read_examples
from rldg.classifiers.labels import HeldSwitch, truth
from rldg.classifiers.learner import augmented, initial_weights
from rldg.classifiers.metrics import Quality, sweep
from rldg.classifiers.perturbed import Perturbed
from rldg.classifiers.record import record, recording_env
from rldg.classifiers.report import write_report
from rldg.classifiers.train import save_classifier, train_classifier
from rldg.classifiers.vice import Vice, ViceConfig, unlearned
from rldg.classifiers.vice_actor import ViceActor, WatchedEnv, warmed_up
from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.env.classifier import Classifier, load_classifier, logit, patches
from rldg.env.robot_env import RobotEnv
from rldg.env.types import Observation
from rldg.errors import DatasetError, RldgError, StageError, UsageError
from rldg.policies.expert import Expert
from rldg.rollout import rollout
from rldg.rollout.pace import Pace
from rldg.specialists.arrays import read_arrays
from rldg.specialists.checkpoint import Checkpoints
from rldg.specialists.replay import Replay
from rldg.specialists.train import train
from rldg.tasks import Task, load_task
from rldg.tasks.conditions import Bounds
from tests.helpers import changed
from tests.synthetic_episodes import make_episode
from tests.test_classifier_judges import Script, SeeingRobot, point_view
from tests.test_specialist import TINY

SMALL = ClassifierConfig(channels=(16, 16, 32, 32), hidden=32, steps=250, batch_size=32, shift=1, learning_rate=4e-3)


@pytest.fixture(scope="module")
def task() -> Task:
    """USB insertion with small pictures."""
    usb = load_task("usb_a_insertion")
    return changed(usb, cameras={"wrist_1": usb.cameras["wrist_1"].model_copy(update={"resolution": 64})})


@pytest.fixture(scope="module")
def labels(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels") / "usb"
    found = record(
        recording_env(task, 30), Perturbed(Expert()), truth, folder, labels_by="truth", positives=150, negatives=400
    )
    assert found["positives"] >= 150 and found["negatives"] >= 400
    return folder


@pytest.fixture(scope="module")
def trained(task: Task, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("classifier") / "usb"
    train_classifier(task, [labels], out, SMALL)
    return out


def test_labels_are_the_truth_about_the_picture_beside_them(task: Task, labels: Path) -> None:
    examples = read_examples([labels])
    assert examples.truth is not None and (examples.truth == examples.label).all()
    depth = -examples.pose[:, 2]
    assert (depth[examples.label] < 0.05 * 0.01175 + 1e-4).all()  # metres above full insertion
    near = np.abs(examples.pose[~examples.label, 2]) < 0.008
    assert near.mean() > 0.1  # near misses, not only the approach
    assert not examples.label[examples.step == 0].any()


def test_an_interrupted_recording_continues_to_the_same_episodes(task: Task, labels: Path, tmp_path: Path) -> None:
    class Interrupted(Perturbed):
        left = 70

        def act(self, observation: Observation) -> np.ndarray:
            Interrupted.left -= 1
            if not Interrupted.left:
                raise KeyboardInterrupt
            return super().act(observation)

    env = recording_env(task, 30)
    how: dict[str, Any] = {"labels_by": "truth", "positives": 150, "negatives": 400}
    with pytest.raises(KeyboardInterrupt):
        record(env, Interrupted(Expert()), truth, tmp_path / "usb", **how)
    assert len(open_dataset(tmp_path / "usb")) == 2
    record(env, Perturbed(Expert()), truth, tmp_path / "usb", **how)
    one, other = read_examples([labels]), read_examples([tmp_path / "usb"])
    np.testing.assert_array_equal(one.label, other.label)
    np.testing.assert_array_equal(one.images["wrist_1"], other.images["wrist_1"])
    before = sorted((tmp_path / "usb").glob("*.tfrecord-*"))
    record(env, Perturbed(Expert()), truth, tmp_path / "usb", **how)  # asks for no more than there is
    more = record(env, Perturbed(Expert()), truth, tmp_path / "usb", **how | {"negatives": len(other)})
    assert more["negatives"] >= len(other) and set(before) < set((tmp_path / "usb").glob("*.tfrecord-*"))
    with pytest.raises(StageError):
        record(env, Expert(), truth, tmp_path / "usb", **how)


def test_an_operator_labels_what_follows_each_step(task: Task, tmp_path: Path) -> None:
    held = [step % 3 == 0 for step in range(40)]
    record(
        recording_env(task, 20),
        Expert(),
        HeldSwitch(Script(held)),
        tmp_path,
        labels_by="key",
        positives=12,
        negatives=20,
    )
    found = read_examples([tmp_path])
    np.testing.assert_array_equal(found.label[:20], [False, *held[:19]])  # the first picture is from before any step
    np.testing.assert_array_equal(found.label[20:], [False, *held[20:39]])
    assert found.truth is not None and (found.truth != found.label).any()


def test_labels_that_never_come_are_given_up_with_a_sentence(task: Task, tmp_path: Path) -> None:
    with pytest.raises(RldgError, match="0 positives"):
        record(recording_env(task, 2), Expert(), truth, tmp_path, labels_by="truth", positives=1, negatives=1)


def test_training_ends_with_a_good_classifier_a_report_and_a_task_that_it_judges(trained: Path) -> None:
    report = json.loads((trained / "report.json").read_text())
    assert report["precision"] > 0.7 and report["recall"] > 0.7
    assert report["truth"]["classifier"]["agreement"] > 0.85
    assert report["positives"] + report["negatives"] == sum(
        report[f"{right}_{what}"] for right in ("true", "false") for what in ("positives", "negatives")
    )
    page = (trained / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert page.count("<img") == min(24, report["false_positives"]) + min(24, report["false_negatives"])
    episode = rollout(RobotEnv(load_task(trained / "task.yaml"), cameras=False), Expert(), seed=5)
    assert episode.metadata.judged_by == "classifier" and episode.metadata.truth in ("success", "failure")
    assert load_classifier(trained).weight_hash in episode.metadata.success_rule


def test_the_same_seed_trains_the_same_classifier_and_a_finished_run_is_kept(
    task: Task, labels: Path, trained: Path, tmp_path: Path
) -> None:
    again = train_classifier(task, [labels], tmp_path, SMALL)
    assert again["weight_hash"] == load_classifier(trained).weight_hash
    assert train_classifier(task, [labels], tmp_path, SMALL) == again
    with pytest.raises(StageError, match="seed"):
        train_classifier(task, [labels], tmp_path, SMALL, seed=1)


def test_data_that_cannot_be_learned_from_is_refused_with_a_sentence(task: Task, labels: Path, tmp_path: Path) -> None:
    from rldg.data.writer import DatasetWriter

    DatasetWriter(tmp_path / "plain").write(0, make_episode(0))
    for data, cameras, words in (
        ([tmp_path / "plain"], (), "no labels"),
        ([labels], ("side_9",), "side_9"),
        ([tmp_path / "none"], (), "no data set"),
    ):
        with pytest.raises(DatasetError, match=words):
            read_examples(data, cameras)
    few = tmp_path / "few"
    record(recording_env(task, 30), Expert(), truth, few, labels_by="truth", positives=1, negatives=1)
    with pytest.raises(DatasetError, match="record more episodes"):
        train_classifier(task, [few], tmp_path / "out", SMALL)


def test_a_report_shows_every_mistake_and_what_labels_say_against_the_truth(
    labels: Path, trained: Path, tmp_path: Path
) -> None:
    examples = read_examples([labels])
    wrong = replace(examples, label=~examples.label)
    report = write_report(tmp_path, load_classifier(trained), wrong, threshold=0.5, about={"task": "t"})
    assert report["truth"]["labels"]["agreement"] == 0
    assert len(report["mistakes"]) == report["false_positives"] + report["false_negatives"] > 0.8 * len(examples)
    page = (tmp_path / "report.html").read_text()
    assert "the worst 24 shown" in page and page.count("the simulator contradicts the label") == 48


def test_numpy_acts_as_jax_learns() -> None:
    cameras = {"side_1": 32, "wrist_1": 64}
    weights = initial_weights(np.random.default_rng(1), cameras, SMALL)
    generator = np.random.default_rng(2)
    images = {c: generator.integers(0, 256, (3, n, n, 3)).astype(np.float32) for c, n in cameras.items()}
    acting, learning = logit(weights, images), jax.jit(logit)(weights, images)
    np.testing.assert_allclose(acting, learning, atol=2e-4)
    alone = [float(logit(weights, {c: view[row] for c, view in images.items()})) for row in range(3)]
    np.testing.assert_allclose(alone, acting, atol=2e-4)


@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 2, 4]))
def test_patches_hold_each_pixel_once_in_its_square(rows: int, columns: int, side: int) -> None:
    x = np.arange(rows * side * columns * side * 2).reshape(rows * side, columns * side, 2)
    cut = patches(x, side)
    for row, column in np.ndindex(rows, columns):
        square = x[row * side : (row + 1) * side, column * side : (column + 1) * side]
        np.testing.assert_array_equal(cut[row, column], square.ravel())


def test_augmentation_shifts_and_lights_but_keeps_the_range() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    seen = np.asarray(augmented(pictures, jax.random.key(0), ClassifierConfig(shift=3)))
    assert seen.shape == pictures.shape and seen.min() >= 0 and seen.max() <= 255
    still = np.asarray(augmented(pictures, jax.random.key(0), ClassifierConfig(shift=0, light=0.0)))
    np.testing.assert_array_equal(still, pictures)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_quality_counts_what_it_says(found: list[tuple[float, bool]]) -> None:
    scores, label = np.array([score for score, _ in found]), np.array([right for _, right in found])
    one = Quality.of(0.5, scores, label)
    called = [right for score, right in found if score >= 0.5]
    assert one.precision == (sum(called) / len(called) if called else None)
    assert one.recall == (sum(called) / sum(label) if label.any() else None)
    assert one.agreement == np.mean((scores >= 0.5) == label)
    swept = [one.true_positives + one.false_positives for one in sweep(scores, label)]
    assert swept == sorted(swept, reverse=True)


@given(st.integers(1, 30), st.integers(0, 30))
@settings(max_examples=30)
def test_more_episodes_never_move_one_between_learned_and_tested(few: int, more: int) -> None:
    def examples(count: int) -> Examples:
        ids = np.repeat([f"episode-{index}" for index in range(count)], 3)
        return Examples({}, np.zeros(len(ids), bool), None, np.zeros((len(ids), 6)), ids, np.arange(len(ids)))

    one, other = held_out(examples(few), 0.3), held_out(examples(few + more), 0.3)
    np.testing.assert_array_equal(one, other[: 3 * few])
    assert (one.reshape(-1, 3).min(1) == one.reshape(-1, 3).max(1)).all()


def test_the_command_line_reports_on_other_data(
    labels: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["classifier", "report", str(trained), "--data", str(labels), "--out", str(tmp_path), "--json"]
    assert dispatch(words) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["positives"] >= 150 and said["recall"] > 0.7 and (tmp_path / "report.html").exists()
    for wrong in (["--threshold", "1.5"], ["--threshold", "0"]):
        with pytest.raises(UsageError):
            dispatch([*words, *wrong])
    with pytest.raises(UsageError):
        dispatch(["classifier", "record", "usb_a_insertion", "--out", str(tmp_path), "--positives", "0"])


WHITE, GREY, BLACK = 250, 150, 0


class TintedRobot(SeeingRobot):
    """Its picture tells how near the target is: white at it, grey close by, black elsewhere."""

    def images(self) -> dict[str, np.ndarray]:
        distance = np.linalg.norm(geometry.relative(self.target(), self.state().pose)[:3])
        tint = WHITE if distance < 0.006 else GREY if distance < 0.025 else BLACK
        return {"wrist_1": np.full((32, 32, 3), tint, np.uint8)}


VICE = ViceConfig(
    classifier=replace(SMALL, steps=4000, smoothing=0.1), remembered=200, period=1, warm_up=10, first_updates=40
)


def tinted(folder: Path) -> tuple[Task, Examples]:
    """A task that is judged near its target by the classifier in `folder`, and positives: white pictures."""
    task = point_view(folder, guard={"distance": Bounds(at_most=0.025)}, threshold=0.5)
    white = {"wrist_1": np.full((40, 32, 32, 3), WHITE, np.uint8)}
    return task, Examples(white, np.ones(40, bool), None, np.zeros((40, 6)), np.full(40, "p"), np.arange(40))


def probabilities_of_tints(made: Classifier) -> dict[int, float]:
    return {t: made.probability({"wrist_1": np.full((32, 32, 3), t, np.uint8)}) for t in (WHITE, GREY, BLACK)}


@dataclass(frozen=True)
class MakeTinted:
    """As `MakeWatched`, with the robot above."""

    first: Path

    def __call__(self, task: Task) -> WatchedEnv:
        return WatchedEnv(task, load_classifier(self.first), robot=TintedRobot())


def steps_judged_successes(tints: list[int]) -> dict[str, np.ndarray]:
    """Transitions of an episode whose last step was taken for a success, with what the classifier saw after each."""
    steps, last = len(tints), np.arange(len(tints) + 1) == len(tints)
    pictures = np.zeros((steps + 1, 32, 32, 3), np.uint8)
    pictures[:steps] = np.array(tints, np.uint8)[:, None, None, None]
    reward = (np.arange(steps + 1) == steps - 1).astype(np.float32)
    columns = {"reward": reward, "continues": np.where(last, 0, 1 - reward).astype(np.float32), "last": last}
    columns |= {"looked": ~last, "picture.wrist_1": pictures, "intervention": np.zeros(steps + 1, bool)}
    return columns


def test_vice_unlearns_what_was_taken_for_a_success_and_stored_rewards_follow(tmp_path: Path) -> None:
    task, positives = tinted(tmp_path)
    env = WatchedEnv(task, unlearned("point", positives), robot=TintedRobot())
    assert not rollout(env, Expert(), 0).success  # nothing is known yet
    first, _ = warmed_up(env, positives, VICE, seed=0)
    vice, replay = Vice(first, positives, 0.5, tmp_path / "newest", VICE, seed=0), Replay()
    for number in range(1, 12):  # the policy gets to grey, again and again, and to white for once
        tints = [BLACK, WHITE] if number == 3 else [BLACK, BLACK, GREY]
        replay.add(steps_judged_successes(tints), prior=False)
        vice.learn(number, replay)
    seen = probabilities_of_tints(load_classifier(tmp_path / "newest"))
    assert seen[WHITE] > 0.5 > max(seen[GREY], seen[BLACK])
    white = replay.column("picture.wrist_1")[:, 0, 0, 0] == WHITE
    rows = np.arange(len(replay))
    np.testing.assert_array_equal(replay.take("reward", rows), white)
    taken = ~replay.column("last")
    np.testing.assert_array_equal(replay.take("continues", rows)[taken], ~white[taken])
    assert replay.column("reward").sum() == 11, "what is stored stays"

    other, again = Replay(replay.arrays()), Vice(first, positives, 0.5, None, VICE, seed=0)
    again.restore(vice.arrays(), other)
    np.testing.assert_array_equal(other.take("reward", rows), white)
    for judging, steps in ((vice, replay), (again, other)):
        steps.add(steps_judged_successes([GREY]), prior=False)
        judging.learn(12, steps)
    np.testing.assert_equal(vice.message(), again.message())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_vice_training_that_is_interrupted_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, positives = tinted(tmp_path / "classifier")
    first, _ = warmed_up(WatchedEnv(task, unlearned("point", positives), robot=TintedRobot()), positives, VICE, seed=0)
    (tmp_path / "first").mkdir()
    save_classifier(tmp_path / "first", first)
    config = replace(TINY, max_env_steps=200)

    def trained(out: Path) -> None:
        vice = Vice(first, positives, 0.5, out / "classifier", VICE, seed=0)
        train(task, out, config, 3, make_env=MakeTinted(tmp_path / "first"), actor=ViceActor, judging=vice)

    trained(tmp_path / "whole")
    save = Checkpoints.save

    def save_then_stop(*arguments: Any) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped")
    monkeypatch.undo()
    trained(tmp_path / "stopped")
    for weights in ("specialist.npz", "classifier/classifier.npz"):
        one, other = (read_arrays(tmp_path / run / weights) for run in ("whole", "stopped"))
        np.testing.assert_equal(one, other)
    lines = (tmp_path / "whole/metrics.jsonl").read_text().splitlines()
    assert any("judged_otherwise" in json.loads(line) for line in lines)


def test_a_person_labels_a_simulation_in_real_time(task: Task, tmp_path: Path) -> None:
    source, pace = HeldSwitch(Script([True] * 5)), Pace(rate=50)
    started = time.monotonic()
    how: dict[str, Any] = {"labels_by": "key", "positives": 5, "negatives": 5, "subscribers": (pace,)}
    record(recording_env(task, 10), Expert(), source, tmp_path, **how)
    assert time.monotonic() - started >= 10 / 50

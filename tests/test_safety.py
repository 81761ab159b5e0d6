"""What no sequence of commands can do to a physical arm."""

import time
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.safety import PERIOD, SAFETY, TARGET, coordinates, sequence, violations
from rldg import geometry
from rldg.env.robot_env import RobotEnv
from rldg.errors import TaskFileError
from rldg.robots.base import RobotState
from rldg.robots.guard import Guard
from rldg.robots.motion_limits import MotionLimits, distance
from rldg.robots.stops import RobotFault, RobotStop
from rldg.tasks import load_station, load_task
from rldg.tasks.safety import Safety

numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
near = st.floats(-0.5, 0.5)
poses = st.one_of(
    st.lists(numbers, min_size=7, max_size=7),
    st.builds(
        lambda position, rpy: geometry.compose(TARGET, geometry.pose_from_euler(position, rpy)).tolist(),
        st.tuples(near, near, near),
        st.tuples(near, near, st.floats(-3, 3)),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(poses, st.floats(0, 1)), min_size=1, max_size=12), st.booleans())
def test_no_sequence_leaves_the_box_or_outruns_the_limit(commands, follows):
    limits, now, measured = MotionLimits(SAFETY, TARGET, PERIOD), 10.0, TARGET
    limits.begin(measured, now - PERIOD)
    last, at = TARGET, now - PERIOD
    for pose, pause in commands:
        now += pause
        try:
            given_out = limits(np.array(pose), measured, now)
        except RobotStop:
            continue
        assert violations(last, given_out, now - at) == []
        last, at = given_out, now
        measured = given_out if follows else measured


@pytest.mark.parametrize("seed", range(20))
def test_adversarial_sequences_change_nothing_about_that(seed):
    assert sequence(np.random.default_rng(seed)) == []


def test_the_check_itself_sees_a_pose_outside_and_a_leap():
    outside = geometry.compose(TARGET, np.array([0.3, 0, 0, 0, 0, 0, 1]))
    assert violations(TARGET, outside, PERIOD) == ["box", "speed"]
    turned = geometry.compose(TARGET, geometry.pose_from_euler((0, 0, 0), (0, 0, 0.7)))
    assert violations(TARGET, turned, PERIOD) == ["turn_speed"]


def test_what_keeps_every_limit_is_not_touched():
    limits = MotionLimits(SAFETY, TARGET, PERIOD)
    limits.begin(TARGET, 0.0)
    pose = geometry.integrate(TARGET, np.array([0.015, -0.015, -0.015, 0.1, 0.02, 0.1]))
    np.testing.assert_allclose(limits(pose, TARGET, 0.1), pose, rtol=0, atol=1e-15)


def test_an_arm_that_starts_outside_is_only_led_back():
    limits = MotionLimits(SAFETY, TARGET, PERIOD)
    start = geometry.compose(TARGET, np.array([0.32, 0.0, 0.0, 0, 0, 0, 1]))
    limits.begin(start, 0.0)
    pose, beyond = start, []
    for step in range(1, 20):
        pose = limits(geometry.compose(pose, np.array([0.05, 0, 0, 0, 0, 0, 1])), pose, step * PERIOD)
        beyond.append(coordinates(pose)[0])
    assert max(beyond) < 0.32 and beyond[-1] == pytest.approx(SAFETY.box.high[0])


@pytest.mark.parametrize(
    "pose", [np.full(7, np.nan), np.r_[1e300, np.zeros(5), 1], np.zeros(7), np.zeros(6), np.array(["x"] * 7)]
)
def test_what_is_no_pose_is_refused(pose):
    limits = MotionLimits(SAFETY, TARGET, PERIOD)
    limits.begin(TARGET, 0.0)
    with pytest.raises(RobotStop) as stop:
        limits(pose, TARGET, 0.1)
    assert stop.value.reason == "not_finite" and stop.value.terminal


def test_a_jump_is_refused_and_leaves_the_set_point():
    limits = MotionLimits(SAFETY, TARGET, PERIOD)
    limits.begin(TARGET, 0.0)
    with pytest.raises(RobotStop, match="from where the arm is"):
        limits(geometry.compose(TARGET, np.array([0, 0, -0.2, 0, 0, 0, 1])), TARGET, 0.1)
    after = limits(TARGET, TARGET, 0.2)
    assert distance(after, TARGET) == (0, 0)


def test_limits_that_contradict_themselves_are_refused(tmp_path):
    with pytest.raises(ValueError, match="pitch"):
        Safety(box={"low": [-1, -1, -1, 0, -1.6, 0], "high": [1, 1, 1, 0, 0, 0]})
    with pytest.raises(ValueError, match="jump"):
        Safety(step=0.1, jump=0.05)
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nbackend: franka\ntarget_pose: [0.5, 0, 0.1, 1, 0, 0, 0]\ncameras: {}\n")
    with pytest.raises(TaskFileError, match="url"):
        load_station(str(file))


class Wire:
    """Stands for a `FrankaClient`: answers with a force, or not at all, and notes the set-points that go out."""

    def __init__(self):
        self.force, self.silent, self.sent = 0.0, False, []

    def state(self, tries=3):
        if self.silent:
            time.sleep(0.25 * tries)
            raise RobotFault("connection", "Nobody answers.")
        return RobotState(TARGET, np.zeros(6), np.array([self.force, 0, 0]), np.zeros(3), 0.0)

    def send_pose(self, pose):
        self.sent.append(pose)

    clear_and_send_pose = send_pose


@pytest.fixture
def guarded():
    wire = Wire()
    guard = Guard(wire, Safety(watchdog=0.3))
    guard.begin()
    guard.command(TARGET)
    yield guard, wire
    guard.close()


def stopped(guard, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            guard.check()
        except RobotStop as stop:
            return stop.reason
        time.sleep(0.005)
    return ""


def test_a_slow_answer_does_not_keep_the_watchdog_from_seeing_silence(guarded):
    guard, wire = guarded
    wire.silent = True
    assert stopped(guard, 0.3 + 0.25 + 0.2) == "watchdog"


def test_an_operators_stop_outlives_whatever_begins_at_the_same_moment(guarded):
    guard, wire = guarded
    guard.stop_by_operator()
    guard.begin()
    sent = len(wire.sent)
    with pytest.raises(RobotStop, match="operator"):
        guard.command(TARGET)
    time.sleep(0.1)
    assert len(wire.sent) <= sent + 1  # the hold itself


def test_no_command_goes_out_once_nobody_watches(guarded):
    guard, wire = guarded
    guard.close()
    assert len(wire.sent) == 2  # the command, and the pose at which the arm then rests
    with pytest.raises(RobotStop, match="watches the arm has ended"):
        guard.command(TARGET)
    assert len(wire.sent) == 2


def test_an_episode_begins_with_a_whole_observation_or_not_at_all(monkeypatch) -> None:
    env = RobotEnv(load_task("usb_a_insertion"))
    frozen = RobotFault("camera", "Camera 'wrist_1' is frozen.")
    pictures, seen = env.robot.images, []

    def images():
        seen.append(1)
        if len(seen) == 1:
            raise frozen
        return pictures()

    monkeypatch.setattr(env.robot, "images", images)
    observation, _ = env.reset(seed=0)
    assert len(seen) > 1 and set(observation["images"]) == set(env.camera_sizes)
    monkeypatch.setattr(env.robot, "images", Mock(side_effect=frozen))
    with pytest.raises(RobotFault, match="frozen"):
        env.reset(seed=0)

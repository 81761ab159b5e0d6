"""Operators' devices: which way they move the arm, what their buttons say, and what becomes of an episode by it."""

import importlib.util
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from rldg import geometry
from rldg.cli.main import dispatch
from rldg.env.robot_env import RobotEnv
from rldg.errors import DeviceError, DiscardedError, UnknownNameError, UsageError
from rldg.policies import gamepad as pads
from rldg.policies import spacemouse as mice
from rldg.policies.device import DevicePolicy, overseen
from rldg.policies.expert import Expert
from rldg.policies.gamepad import Gamepad
from rldg.policies.hand import Hand
from rldg.policies.keyboard import Keyboard
from rldg.policies.spacemouse import SpaceMouse
from rldg.resolve import load_policy
from rldg.rollout import rollout
from rldg.workers import EpisodeRunner
from tests.helpers import changed
from tests.point_robot import PointRobot, point_env, point_task

FAST = changed(point_task(), rate=100.0)


class Script:
    """A device whose hand is in a script: one entry per control step, the last one for ever."""

    name = "script"

    def __init__(self, *hands, waits=False):
        self.hands, self.waits, self.opened, self.shown = list(hands), waits, 0, []

    def open(self):
        self.opened += 1

    def begin(self, task):
        self.left = list(self.hands)

    def show(self, observation, recording):
        self.shown.append(recording)

    def read(self):
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def twist(axis, share=1.0):
    return np.eye(6)[axis] * share


# Devices


def mouse_state(buttons=(0, 0), **axes):
    return SimpleNamespace(**dict.fromkeys(("x", "y", "z", "roll", "pitch", "yaw"), 0.0) | axes, buttons=list(buttons))


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"y": 1}, -twist(0)),  # pushed away from the person, who faces the robot
        ({"x": 1}, twist(1)),
        ({"z": 0.5}, twist(2, 0.5)),
        ({"pitch": 1}, -twist(3)),
        ({"roll": 1}, twist(4)),
        ({"yaw": 2}, twist(5)),  # never more than all
    ],
)
def test_a_spacemouse_moves_as_hil_serl_does(axes, expected):
    np.testing.assert_array_equal(mice.hand_of(mouse_state(**axes)).twist, expected)


def test_a_spacemouses_buttons_close_and_open():
    assert [mice.hand_of(mouse_state(buttons)).gripper for buttons in ((1, 0), (0, 1), (1, 1), (0, 0), ())] == [
        -1, 1, 0, 0, 0,
    ]  # fmt: skip


def test_a_spacemouse_is_read_on_and_on_and_its_loss_is_said(monkeypatch):
    monkeypatch.setattr(mice, "SILENCE", 0.1)
    reports, gone = [], threading.Event()

    class Reader:
        def read(self):
            if gone.is_set():
                raise OSError("unplugged")
            reports.append(1)
            return mouse_state(x=min(len(reports), 1000) / 1000)

    mouse = SpaceMouse(Reader)
    mouse.open()
    first = mouse.read().twist[1]
    wait_for(lambda: mouse.read().twist[1] > first)
    gone.set()
    with pytest.raises(DeviceError, match="no longer answers"):
        wait_for(lambda: mouse.read() is None)


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def pad(axes=None, buttons=()):
    return SimpleNamespace(axis=lambda number: (axes or {}).get(number, 0.0), button=lambda number: number in buttons)


@pytest.mark.parametrize(
    ("axes", "buttons", "expected"),
    [
        ({pads.LEFT_Y: -1}, (), -twist(0)),  # SDL: up is negative
        ({pads.LEFT_X: 1}, (), twist(1)),
        ({pads.RIGHT_TRIGGER: 1}, (), twist(2)),
        ({pads.LEFT_TRIGGER: 1}, (), -twist(2)),
        ({pads.RIGHT_X: -1}, (), twist(5)),
        ({}, (pads.RIGHT_SHOULDER,), -twist(3)),
        ({pads.RIGHT_Y: 1}, (), twist(4)),
        ({pads.LEFT_X: 0.07}, (), np.zeros(6)),  # a thumb that rests
    ],
)
def test_a_gamepad_moves_the_arm(axes, buttons, expected):
    device = Gamepad(lambda: pad(axes, buttons))
    device.open()
    np.testing.assert_allclose(device.read().twist, expected, atol=1e-12)


def test_a_gamepads_buttons_speak_once_and_stop_comes_first():
    buttons = set()
    device = Gamepad(lambda: pad(buttons=buttons))
    device.open()
    buttons |= {pads.START, pads.B}
    assert (device.read().word, device.read().word) == ("success", "")
    assert device.read().gripper == 1
    buttons |= {pads.X, pads.BACK}
    assert device.read().word == "stop"


def keyboard():
    keys = {}

    def listen(pressed, released):
        keys.update(pressed=pressed, released=released)

    device = Keyboard(listen)
    device.open()
    device.begin(FAST)
    return device, keys["pressed"], keys["released"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (key, sign * twist(axis))
        for axis, keys in enumerate(("sw", "da", "eq", "uo", "ki", "jl"))
        for key, sign in zip(keys, (1, -1), strict=True)
    ],
)
def test_a_key_moves_the_arm_while_it_is_held(key, expected):
    device, press, release = keyboard()
    press(key)
    press(key)  # as desktops repeat it
    np.testing.assert_array_equal(device.read().twist, expected)
    press("shift")
    np.testing.assert_array_equal(device.read().twist, 0.25 * expected)
    release(key)
    assert not device.read().acts


def test_a_keyboards_words_come_once_however_long_a_key_is_held():
    device, press, _ = keyboard()
    press("enter")
    press("enter")
    assert (device.read().word, device.read().word) == ("success", "")
    press("esc")
    press("backspace")
    assert device.read().word == "stop"
    press("c")
    assert device.read().gripper == -1


@pytest.mark.parametrize(
    ("name", "package"), [("spacemouse", "pyspacemouse"), ("gamepad", "pygame"), ("keyboard", "pynput")]
)
def test_a_missing_package_is_said_with_what_to_install(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(DeviceError, match=rf"{package}: pip install 'rldg\[teleop\]'"):
        load_policy(name).reset(FAST, "reach")


@pytest.mark.skipif(importlib.util.find_spec("pygame") is None, reason="pygame is not installed")
def test_no_gamepad_is_said_in_one_sentence():
    with pytest.raises(DeviceError, match="No gamepad is connected"):
        load_policy("gamepad").reset(FAST, "reach")


# Episodes


def test_the_hand_moves_the_tool_along_the_base_frames_axes_however_it_is_turned():
    task = changed(FAST, horizon=10)
    for axis in range(3):
        env = point_env(task)
        episode = rollout(env, DevicePolicy(Script(Hand(twist(axis, 0.1)))), seed=3)
        moved = episode.final["state"]["tcp_pose"][:3] - episode.state["tcp_pose"][0][:3]
        start = episode.raw_state["tcp_pose"][0].astype(float)
        # The tool points down and is turned about the vertical; so are the operator's axes from the base's.
        angle = geometry.rotation_vector(geometry.compose(start, np.array([0, 0, 0, 1.0, 0, 0, 0])))
        turned = geometry.rotate_twist(start, np.append(moved, np.zeros(3)))[:3]
        expected = geometry.rotate_twist(geometry.pose_from_euler(np.zeros(3), angle), twist(axis))[:3]
        np.testing.assert_allclose(turned / np.linalg.norm(turned), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("word", "success", "reason"),
    [("success", True, ""), ("failure", False, "operator"), ("stop", False, "operator_stop")],
)
def test_an_operators_word_ends_the_episode_and_is_on_record(word, success, reason):
    device = Script(Hand(twist(2)), Hand(twist(2)), Hand(twist(2), word=word))
    episode = rollout(point_env(FAST), DevicePolicy(device), seed=1, operator="Ada")
    about = episode.metadata
    assert (len(episode), episode.success, about.failure_reason, about.judged_by) == (3, success, reason, "operator")
    assert (about.policy_kind, about.operator) == ("script", "Ada")
    assert list(episode.reward) == [0, 0, success]
    assert list(episode.is_terminal) == [False, False, True]
    np.testing.assert_array_equal(episode.action_normalized[-1], [0, 0, 0, 0, 0, 0, -1])  # the arm holds still


def test_an_episode_without_a_word_is_judged_as_its_task_says():
    episode = rollout(point_env(changed(FAST, horizon=3)), DevicePolicy(Script(Hand())), seed=1)
    assert (episode.metadata.judged_by, episode.metadata.failure_reason) == ("pose_threshold", "time_out")


def test_an_episode_that_was_thrown_away_is_begun_again_in_the_same_scene():
    device = Script(Hand(), Hand(word="discard"))
    policy, env = DevicePolicy(device), point_env(changed(FAST, horizon=4))
    with pytest.raises(DiscardedError):
        rollout(env, policy, seed=1)
    runner = EpisodeRunner(FAST.name, "script")
    runner._made = env, policy
    begin, begun = device.begin, []

    def once(task):
        device.hands = [Hand()] if begun else [Hand(), Hand(word="discard")]
        begun.append(env.robot.target().copy())
        begin(task)

    device.begin = once
    assert len(runner(0)) == 4
    np.testing.assert_array_equal(*begun)


def test_an_episode_waits_for_record_and_runs_in_real_time():
    device = Script(*[Hand(twist(2))] * 5, Hand(word="begin"), Hand(), waits=True)
    started = time.monotonic()
    episode = rollout(point_env(changed(FAST, rate=20.0, horizon=6)), DevicePolicy(device), seed=1)
    assert 0.2 <= time.monotonic() - started < 2  # four periods: the first step is not waited for
    assert device.shown == [False] * 6 + [True] * 6
    assert np.abs(episode.action_normalized[:, :6]).max() == 0
    assert device.opened == 1


def test_a_robot_that_keeps_time_itself_is_given_each_action_at_once():
    rate, observed, acted = 20.0, [], []

    class Keeping(PointRobot):
        """Its steps end on the ticks of a clock that began some time before the episode."""

        def move(self, pose, gripper):
            acted.append(time.monotonic())
            super().move(pose, gripper)
            time.sleep(1 / rate - (time.monotonic() - began) % (1 / rate))
            observed.append(time.monotonic())

    began = time.monotonic() - 0.4 / rate  # its ticks are not where a clock of the device would have them
    task = changed(FAST, rate=rate, horizon=8)
    rollout(RobotEnv(task, cameras=False, robot=Keeping()), DevicePolicy(Script(Hand(twist(0)))), seed=1)
    waits = np.array(acted[1:]) - np.array(observed[:-1])
    assert np.median(waits) < 0.2 / rate


def test_nobody_who_begins_is_said(monkeypatch):
    monkeypatch.setattr("rldg.policies.device.PATIENCE", 0.05)
    with pytest.raises(DeviceError, match="Nobody began an episode with the script"):
        rollout(point_env(FAST), DevicePolicy(Script(Hand(), waits=True)), seed=1)


def test_a_person_takes_over_a_policy_while_the_hand_is_deflected():
    device = Script(Hand(), Hand(), Hand(twist(2, 0.5)), Hand(gripper=1.0), Hand())
    policy = overseen(Expert(), device)
    assert policy.real_time
    episode = rollout(point_env(changed(FAST, horizon=6)), policy, seed=1)
    assert list(episode.is_intervention[:6]) == [False, False, True, True, False, False][: len(episode)]
    assert episode.metadata.policy_kind == "expert+script"
    np.testing.assert_allclose(episode.action_normalized[2, :3], [0, 0, -0.5], atol=1e-6)  # the tool points down
    assert device.opened == 1
    assert len(device.shown) == len(episode)  # once per step


def test_a_verdict_stops_the_policy_too():
    device = Script(Hand(), Hand(word="stop"))
    episode = rollout(point_env(FAST), overseen(Expert(), device), seed=1)
    assert (len(episode), episode.metadata.failure_reason) == (2, "operator_stop")
    np.testing.assert_array_equal(episode.action_normalized[-1, :6], 0)


def test_names_of_devices_and_what_they_refuse(tmp_path):
    assert load_policy("keyboard").metadata.kind == "keyboard"
    assert load_policy("expert+gamepad").metadata.kind == "expert+gamepad"
    with pytest.raises(UsageError, match="no options"):
        load_policy("keyboard:port=8080")
    with pytest.raises(UnknownNameError, match="Did you mean 'port'"):
        load_policy("browser:prt=8080")
    with pytest.raises(UnknownNameError, match="Did you mean 'spacemouse'"):
        load_policy("spacmouse")
    with pytest.raises(UsageError, match="--workers 1"):
        dispatch(
            [
                "collect",
                "usb_a_insertion",
                "--policy",
                "keyboard",
                "--episodes",
                "1",
                "--out",
                str(tmp_path),
                "--workers",
                "2",
            ]
        )
    with pytest.raises(UsageError, match="--workers 1"):
        dispatch(["evaluate", "usb_a_insertion", "--policy", "keyboard", "--out", str(tmp_path), "--workers", "2"])
    with pytest.raises(UsageError, match="cannot be served"):
        load_policy("keyboard").session()

"""Teleoperation in the browser: clicks become a demonstration, and nobody else may move the arm."""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing, contextmanager

import numpy as np
import pytest

from rldg import geometry
from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.env.robot_env import RobotEnv
from rldg.serving.teleop_page import DEAD_MAN, Page
from rldg.tasks import load_task
from rldg.workers import episode_seed
from tests.browser import Browser, needs_chromium

TASK = load_task("usb_a_insertion")
OBSERVATION = {
    "images": {"wrist_1": np.full((16, 16, 3), 99, np.uint8)},
    "state": {"tcp_force": np.float32([3, 0, 4]), "tcp_pose": np.float32([0.01, 0.02, 0.03, 0, 0, 0, 1])},
}


@contextmanager
def opened(**options):
    page = Page(**options)
    page.open()
    with closing(page):
        page.begin(TASK)
        yield page


def ask(url, told=None, **headers):
    body = None if told is None else json.dumps(told).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"} | headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def code_of(url, told=None, **headers):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(url, told, **headers)
    refused.value.close()
    return refused.value.code


# The page's server


def test_the_page_moves_the_hand_and_shows_what_is_there():
    with opened() as page:
        page.show(OBSERVATION, recording=False)
        status = json.loads(ask(page.url + "hand", {"twist": [0, 0, -0.5, 0, 0, 0], "gripper": 1, "word": "begin"}))
        assert (status["phase"], status["force"], status["cameras"]) == ("ready", 5.0, ["wrist_1"])
        assert status["pose"] == pytest.approx([0.01, -0.02, -0.03, 0, 0, 0])  # down is against the base's z axis
        assert (status["instruction"], status["force_limit"]) == (TASK.instruction, TASK.force_limit)
        hand = page.read()
        assert (list(hand.twist), hand.gripper, hand.word) == ([0, 0, -0.5, 0, 0, 0], 1, "begin")
        assert page.read().word == ""
        assert ask(page.url + "cameras/wrist_1.jpg").startswith(b"\xff\xd8")
        assert code_of(page.url + "cameras/other.jpg") == 404
        page.show(OBSERVATION, recording=True)
        assert json.loads(ask(page.url + "hand", {}))["step"] == 1


def test_a_page_that_falls_silent_holds_the_arm_still():
    with opened() as page:
        ask(page.url + "hand", {"twist": [1, 0, 0, 0, 0, 0]})
        assert page.read().acts
        time.sleep(DEAD_MAN + 0.05)
        assert not page.read().acts


def test_stop_comes_before_what_was_said_before_it():
    with opened() as page:
        for word in ("success", "discard", "stop"):
            ask(page.url + "hand", {"word": word})
        assert page.read().word == "stop"


@pytest.mark.parametrize(
    "told",
    [
        {"twist": [2, 0, 0, 0, 0, 0]},
        {"twist": [0, 0, 0]},
        {"twist": ["NaN"] * 6},
        {"word": "dance"},
        {"speed": 1},
        [1],
        "up",
    ],
)
def test_a_hand_that_is_none_is_refused(told):
    with opened() as page:
        assert code_of(page.url + "hand", told) == 422
        assert not page.read().acts


def test_no_other_page_may_move_the_arm():
    with opened() as page:
        told = {"twist": [1, 0, 0, 0, 0, 0]}
        assert code_of(page.url + "hand", told, Origin="http://elsewhere.example") == 403
        assert code_of(page.url + "hand", told, Host="elsewhere.example") == 403
        assert code_of(page.url + "hand", told, **{"Content-Type": "text/plain"}) == 422  # needs no leave to be sent
        assert not page.read().acts
        ask(page.url + "hand", told, Origin=page.url.rstrip("/"))
        assert page.read().acts


def test_other_machines_need_the_token(monkeypatch):
    monkeypatch.setenv("RLDG_TOKEN", "open sesame")
    with opened() as page:
        plain = page.url.partition("?")[0]
        assert code_of(plain + "hand", {}) == 403
        assert code_of(plain + "?token=wrong") == 403
        assert json.loads(ask(plain + "hand", {}, Cookie='rldg_teleop="open sesame"'))["phase"] == "idle"


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with closing(Browser(tmp_path_factory.mktemp("chromium"))) as browser:
        yield browser
        browser.open("about:blank")  # the page would go on asking


@contextmanager
def teleoperating(*options):
    """The command, and the address that it prints."""
    command = [sys.executable, "-m", "rldg", "serve", "teleop", *options, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stderr if line.startswith("Teleoperation: "))
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield process, line.removeprefix("Teleoperation: ").strip()
        finally:
            process.kill()


def record(browser):
    browser.wait("document.querySelector('#phase.ready') && !document.querySelector('[data-word=begin]').disabled")
    browser.click("[data-word=begin]")
    browser.wait("document.querySelector('#phase.recording')")


def ended(browser, word):
    browser.click(f"[data-word={word}]")
    browser.wait("!document.querySelector('#phase.recording')")


@needs_chromium
@pytest.mark.timeout(180)
def test_clicks_in_a_browser_record_demonstrations_that_are_valid(browser, tmp_path):
    out = tmp_path / "demonstrations"
    with teleoperating(TASK.name, "--out", str(out), "--episodes", "3", "--operator", "Ada") as (process, url):
        browser.open(url)
        record(browser)
        with browser.held("[data-key=q]"):  # down
            time.sleep(0.6)
        with browser.held_key("d"):
            time.sleep(0.4)
        browser.wait("document.querySelector('#step').innerText.split(' ')[0] > 10")
        assert browser.text("#instruction") == TASK.instruction
        assert browser.text("#latency").endswith(" ms")
        assert " of 60 N" in browser.text("#force-text")
        assert browser.evaluate("document.querySelector('.gripper').offsetParent") is None  # this one's is fixed
        seen = "[...document.querySelectorAll('#cameras img')].map((image) => image.alt + image.naturalWidth).join()"
        browser.wait(f"{seen} === 'side_1128,wrist_1128'")
        ended(browser, "success")
        record(browser)
        ended(browser, "discard")
        record(browser)
        browser.press("2")
        browser.wait("!document.querySelector('#phase.recording')")
        record(browser)
        browser.press(" ")
        assert process.wait(60) == 0
    assert not [text for text in browser.complaints if "ERR_CONNECTION" not in text and "Failed to fetch" not in text]
    found = open_dataset(out)
    about = [episode.metadata for episode in found]
    assert [one["failure_reason"] for one in about] == ["", "operator", "operator_stop"]
    assert {one["judged_by"] for one in about} == {"operator"}
    assert {(one["policy_kind"], one["operator"]) for one in about} == {("browser", "Ada")}
    actions = found[0].steps["action_normalized"]
    assert ((actions[:, 2] > 0.4) & (np.abs(actions[:, :2]).max(1) < 0.1)).sum() >= 3  # the tool points down
    assert (np.abs(actions[:, :2]).max(1) > 0.4).sum() >= 2
    assert dispatch(["data", "validate", str(out)]) == 0


# What the page says of the tool -> the keys that make it more and less, and how far full speed goes in a step.
AXES = {"right": ("d", "a", 15), "away": ("w", "s", 15), "yaw": ("j", "l", 5.73), "roll": ("o", "u", 5.73)}
AXES |= {"pitch": ("k", "i", 5.73), "up": ("e", "q", 15)}
CLOSE_ENOUGH = {"right": 0.3, "away": 0.3, "yaw": 0.5, "roll": 0.5, "pitch": 0.5, "up": 0}  # mm, degrees
GAIN, FASTEST = 0.3, 0.5


def shown(browser):
    """The pose that the page shows."""
    values = "[...document.querySelectorAll('#pose dd')].map((value) => [value.dataset.pose, value.innerText])"
    return {axis: float(text.split()[0]) for axis, text in browser.evaluate(values)}


def goal_of(task, index):
    """What the page shows once the plug is in, of the episode with this index."""
    with closing(RobotEnv(task, cameras=False)) as env:
        observation, _ = env.reset(seed=episode_seed(0, index))
    target = geometry.invert(observation["privileged"]["tcp_in_target"].astype(np.float64))
    x, y, z = (1000 * target[:3]).tolist()
    roll, pitch, yaw = np.rad2deg(geometry.rotation_vector(target)).tolist()
    return {"away": -x, "right": -y, "up": -z, "roll": -roll, "pitch": -pitch, "yaw": -yaw}  # the tool points down


def steer(browser, goal):
    """Holds the keys of the axes that are off, for a tenth of a second: down only where nothing else is."""
    pose = shown(browser)
    off = {axis: (goal[axis] - pose[axis]) / AXES[axis][2] for axis in AXES if off_by(goal, pose, axis)}
    if len(off) > 1:
        off.pop("up", None)
    most = max(map(abs, off.values()), default=0)
    browser.fill("#speed", min(FASTEST, GAIN * most))
    with ExitStack() as keys:
        for axis, error in off.items():
            if abs(error) > most / 2:  # one speed for all
                keys.enter_context(browser.held_key(AXES[axis][error < 0]))
        time.sleep(0.1)


def off_by(goal, pose, axis):
    return abs(goal[axis] - pose[axis]) > CLOSE_ENOUGH[axis]


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_plug_is_inserted_by_the_keys_of_the_page(browser, tmp_path):
    out, file = tmp_path / "demonstrations", tmp_path / "unhurried.yaml"
    file.write_text("extends: usb_a_insertion.yaml\nname: unhurried\nhorizon: 300\n")
    goal = goal_of(load_task(str(file)), 0)
    with teleoperating(str(file), "--out", str(out), "--episodes", "1") as (process, url):
        browser.open(url)
        record(browser)
        while process.poll() is None:
            steer(browser, goal)
        assert process.returncode == 0
    (episode,) = open_dataset(out)
    about = episode.metadata
    assert (about["success"], about["judged_by"], about["policy_kind"]) == (True, "insertion_depth", "browser")
    assert dispatch(["data", "validate", str(out)]) == 0


@needs_chromium
@pytest.mark.timeout(120)
def test_a_person_corrects_a_policy_in_the_browser(browser, tmp_path):
    out = tmp_path / "corrected"
    with teleoperating(TASK.name, "--policy", "expert", "--out", str(out), "--episodes", "1") as (process, url):
        browser.open(url)
        record(browser)
        with browser.held("[data-key=e]"):  # up, against the expert
            time.sleep(0.5)
        assert process.wait(60) == 0
    (episode,) = open_dataset(out)
    took_over = episode.steps["is_intervention"]
    assert 2 <= took_over.sum() < len(took_over)
    assert (episode.steps["action_normalized"][took_over, 2] < -0.4).all()
    assert episode.metadata["success"] and episode.metadata["judged_by"] == "insertion_depth"


@contextmanager
def simulated_station(folder):
    """A station's file whose robot is simulated in another process, behind the routes of a real one."""
    command = [sys.executable, "-m", "rldg", "serve", "robot", TASK.name, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = json.loads(process.stdout.readline())["url"]
            file = folder / "station.yaml"
            file.write_text(f"extends: sim_franka.yaml\nname: sim_franka\nurl: {url}\n")
            yield file
        finally:
            process.terminate()


@needs_chromium
@pytest.mark.timeout(120)
def test_a_robot_is_teleoperated_in_real_time(browser, tmp_path):
    out = tmp_path / "demonstrations"
    with (
        simulated_station(tmp_path) as station,
        teleoperating(TASK.name, "--station", str(station), "--out", str(out), "--episodes", "1") as (process, url),
    ):
        browser.open(url)
        record(browser)
        with browser.held("[data-key=q]"):
            time.sleep(1.0)
        started, before = time.monotonic(), steps(browser)
        browser.wait(f"document.querySelector('#step').innerText.split(' ')[0] >= {before + 20}")
        assert 1.7 < time.monotonic() - started < 2.8  # ten steps a second
        browser.click("[data-word=success]")
        assert process.wait(60) == 0
    (episode,) = open_dataset(out)
    about = episode.metadata
    assert (about["backend"], about["station"], about["judged_by"]) == ("franka", "sim_franka", "operator")
    height = episode.steps["observation/raw_state"][:, 2]
    assert height[0] - height.min() > 0.01
    assert dispatch(["data", "validate", str(out)]) == 0


def steps(browser):
    return int(browser.text("#step").split()[0])

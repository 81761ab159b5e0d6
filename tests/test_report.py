"""The page about a folder of runs: what it says, what it leaves out, and that it needs nothing but itself."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldg.cli import report as verb
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from rldg.evaluation.actions import energy_distance, near_socket, socket_actions
from rldg.evaluation.evaluate import evaluate
from rldg.evaluation.report import write_report
from tests.synthetic_episodes import make_episode
from tests.test_evaluation import TASK, episode

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def scene(index, share, cameras=()):
    """Succeeds on the given share of the scenes."""
    return episode(index, (index * 37) % 100 < 100 * share, cameras)


def write_data(folder, speed):
    """Three episodes that move towards the socket's axis at `speed`, all of their steps near the socket."""
    writer = DatasetWriter(folder)
    rng = np.random.default_rng(0)
    for index in range(3):
        made = make_episode(3 * index, length=8)
        side = rng.choice([-1, 1], (8, 2))
        pose = np.zeros((8, 7), np.float32)
        pose[:, :2], pose[:, 2], pose[:, 6] = 0.005 * side, -0.015, 1
        action = np.zeros((8, 7), np.float32)
        action[:, :2] = -speed * side
        writer.write(index, replace(made, privileged={"tcp_in_target": pose}, action_normalized=action))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small run folder of the demo's layout, written by the code that writes the real ones."""
    folder = tmp_path_factory.mktemp("runs") / "demo"
    for key, share in (("specialist", 1.0), ("rl", 0.9), ("teleoperator", 0.6)):
        run = lambda index, share=share: scene(index, share, ("side_1", "wrist_1"))  # noqa: E731
        evaluate(run, folder / "evaluation" / key, 40, task=TASK, policy=f"runs/demo/{key}", videos=1)
    write_data(folder / "data" / "rl", 0.8)
    write_data(folder / "data" / "teleoperator", 0.1)
    (folder / "specialist").mkdir()
    lines = [{"env_steps": 100 * i, "updates": 10 * i, "wall_seconds": 1.5 * i, "success": i / 9} for i in range(10)]
    (folder / "specialist" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    curves = [
        {"data": data, "seed": seed, "updates": updates, "successes": updates // 20, "trials": 100}
        for data in ("rl", "teleoperator") for seed in (0, 1) for updates in (500, 1000, 1500)
    ]  # fmt: skip
    (folder / "curves.json").write_text(json.dumps(curves))
    generalists = [{"generalist": "octo", "data": data, "episodes": 45} for data in ("rl", "teleoperator")]
    summary = {"wall_seconds": 400.0, "specialist": {"train_seconds": 80.0}, "generalists": generalists}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def test_headline_states_both_arms_and_the_paired_difference(demo):
    text = text_of(write_report(demo).read_text())
    assert "RL data 36/40 , teleoperated data 25/40 , paired difference +28 points [" in text
    assert "the whole interval lies above zero" in text
    assert "fine-tuned on 45 episodes of an RL specialist or on 45 of a simulated teleoperator" in text
    assert "6.7 min" in text


def test_page_sets_the_papers_numbers_beside_its_own_and_says_which_is_which(demo):
    text = text_of(write_report(demo).read_text())
    assert "Measured here Paper, Octo Paper, OpenVLA" in text
    assert "RL specialist, seen connectors 40/40" in text
    assert "+37 points +23 points" in text
    assert "not measured 50/80 * 73/80 *" in text


def test_every_section_has_its_figure_or_film(demo):
    page = write_report(demo).read_text()
    assert page.count("<svg") == 5
    assert page.count("<video") == 5  # a success of each arm, a failure of each but the specialist
    film = base64.b64decode(re.search(r'src="data:video/mp4;base64,([^"]+)"', page)[1])
    assert film[4:8] == b"ftyp"
    assert "Not on this page" not in page


def test_folder_with_a_single_evaluation_gives_a_page_that_names_what_is_missing(tmp_path):
    evaluate(episode, tmp_path, 6, task=TASK, policy="expert")
    text = text_of(write_report(tmp_path, tmp_path / "page.html").read_text())
    assert "expert 4/6" in text
    assert "Not on this page" in text
    assert "learning curve" in text
    assert not (tmp_path / "report.html").exists()


def test_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no run"):
        write_report(tmp_path)
    with pytest.raises(DatasetError, match="not a folder"):
        write_report(tmp_path / "nowhere")


def test_verb_says_where_the_page_is(demo, capsys):
    assert verb.main(verb.Args(demo, json=True)) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["report"] == str(demo / "report.html")


def test_hostile_names_stay_text(tmp_path):
    evaluate(episode, tmp_path, 3, task=TASK, policy="<script>alert(1)</script>")
    assert "<script" not in write_report(tmp_path).read_text()


def test_page_is_the_same_each_time_it_is_written(demo):
    assert write_report(demo).read_bytes() == write_report(demo).read_bytes()


offsets = st.floats(0.0011, 0.0089) | st.floats(-0.0089, -0.0011)


@given(offsets, offsets, st.floats(-0.0249, -0.0051), st.floats(-0.3, 0.3))
def test_moves_towards_the_axis_are_mirrored_to_the_lower_left(x, y, z, yaw):
    pose = np.array([[x, y, z, 0, 0, np.sin(yaw / 2), np.cos(yaw / 2)]])
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])  # target frame to tool frame
    twist = np.append(turn @ [-np.sign(x), -np.sign(y)], 0)[None]
    assert near_socket(pose, twist) == pytest.approx(np.array([[-1, -1]]))
    assert len(near_socket(pose + np.eye(7)[:1] * 0.02, twist)) == 0


def test_data_sets_that_move_differently_are_told_apart(demo):
    rl, teleoperator = (socket_actions(demo / "data" / key) for key in ("rl", "teleoperator"))
    assert (len(rl.xy), rl.episodes, rl.correct) == (24, 3, 1.0)
    assert rl.progress == pytest.approx(0.8)
    assert teleoperator.progress == pytest.approx(0.1)
    assert energy_distance(rl.xy, rl.xy) == pytest.approx(0, abs=1e-6)
    assert energy_distance(rl.xy, teleoperator.xy) == pytest.approx(np.sqrt(2 * 0.7 * np.sqrt(2)))


def console(page, tmp_path, *options):
    """What Chromium has to say about a page, line by line."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=2000", *options,
        page.as_uri(),
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stderr
    return [line for line in said.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed, so the page cannot be looked at")
def test_browser_shows_the_page_without_an_error_or_a_request(demo, tmp_path):
    page, shot = write_report(demo), tmp_path / "page.png"
    assert console(page, tmp_path, "--window-size=1200,3000", f"--screenshot={shot}") == []
    assert shot.stat().st_size > 50_000
    # The page forbids itself every address but its own: one that asked for something would be heard.
    asking = tmp_path / "asking.html"
    asking.write_text(page.read_text().replace("</body>", '<img src="https://example.org/x.png"></body>'))
    assert any("example.org" in line for line in console(asking, tmp_path, f"--screenshot={shot}"))

"""The page about data sets: what it is told, over real HTTP, and what people see of it in a real browser."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace

import numpy as np
import pytest

from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.data.validation import validate
from rldg.data.view import export, sidecars
from rldg.data.view.catalogue import Catalogue, parse_numbers
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError, StageError, UsageError
from tests.browser import Browser, needs_chromium
from tests.synthetic_episodes import make_episode

TELEOPERATED = 4  # episodes that can be read
COLLECT = ["--seed", "5", "--json"]


def collected(task, policy, episodes, folder):
    command = ["collect", str(task), "--policy", policy, "--episodes", str(episodes), "--out", str(folder), *COLLECT]
    assert dispatch(command) == 0
    return folder


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    """Two episodes of the scripted expert, which succeeds; one with a finding, the set with a lineage."""
    folder = collected("usb_a_insertion", "expert", 2, tmp_path_factory.mktemp("view") / "expert")
    (folder / "lineage.json").write_text(json.dumps({"parents": ["runs/raw"], "verb": "filter"}))
    findings = [
        {
            "check": "frozen_frames",
            "severity": "warning",
            "episode": 1,
            "step": 3,
            "message": "the picture stands still",
        },
        {"check": "counts", "severity": "warning", "message": "only one class"},
    ]
    (folder / "validation.json").write_text(json.dumps({"findings": findings}))
    return folder


@pytest.fixture(scope="module")
def teleoperated(tmp_path_factory):
    """Four episodes of the teleoperator, who often runs out of time, and one more whose record is broken."""
    task = tmp_path_factory.mktemp("task") / "usb_in_a_hurry.yaml"
    task.write_text("extends: usb_a_insertion.yaml\nname: usb_in_a_hurry\nhorizon: 22\n")
    folder = collected(task, "teleoperator", TELEOPERATED + 1, tmp_path_factory.mktemp("view") / "teleoperated")
    broken = folder / f"teleoperated-train.tfrecord-{TELEOPERATED:05d}"
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 0xFF
    broken.write_bytes(content)
    return folder


class Server:
    """`rldg data view` in a process of its own."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "rldg", "data", "view", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = json.loads(self.process.stdout.readline())["url"]
        parts = urllib.parse.urlsplit(self.said)
        self.url = f"http://127.0.0.1:{parts.port}/"
        self.token = urllib.parse.parse_qs(parts.query).get("token", [""])[0]

    def get(self, path, headers=None):
        """Status, headers and body of an answer; redirects and refusals are answers, too."""
        request = urllib.request.Request(urllib.parse.urljoin(self.url, path), headers=headers or {})
        try:
            with urllib.request.build_opener(KeepRedirects).open(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def json(self, path):
        return json.loads(self.get(path)[2])

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        said = self.process.communicate(timeout=20)[1]
        return self.process.returncode, said


class KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture(scope="module")
def server(teleoperated, expert):
    server = Server(teleoperated, expert)
    yield server
    server.stop()


# What the page is told


def test_table_holds_every_episode_with_its_metadata_and_a_broken_record_as_broken(server, teleoperated, expert):
    index = server.json("data/index.json")
    assert [source["folder"] for source in index["sources"]] == [str(teleoperated), str(expert)]
    whole = [row for row in index["episodes"] if "error" not in row]
    (broken,) = (row for row in index["episodes"] if "error" in row)
    assert "teleoperated-train.tfrecord-00004: record 0 is corrupt" in broken["error"]
    assert (broken["source"], broken["number"]) == (0, None)
    assert [(row["source"], row["number"]) for row in whole] == [(0, i) for i in range(TELEOPERATED)] + [(1, 0), (1, 1)]
    assert {row["metadata"]["policy_kind"] for row in whole} == {"teleoperator", "expert"}
    assert {row["metadata"]["success"] for row in whole} == {True, False}, "the test is about failures, too"
    for entry, row in zip(open_dataset(expert).entries, whole[TELEOPERATED:], strict=True):
        assert row["steps"] == entry.length
        assert row["metadata"] == pytest.approx(entry.metadata)


def test_findings_and_lineage_stand_by_what_they_are_about(server):
    index = server.json("data/index.json")
    found = {(row["source"], row["number"]): row["findings"] for row in index["episodes"] if row["findings"]}
    assert {key: [finding["check"] for finding in value] for key, value in found.items()} == {(1, 1): ["frozen_frames"]}
    assert [finding["check"] for finding in index["sources"][1]["findings"]] == ["counts"]
    assert index["sources"][1]["documents"]["lineage.json"]["parents"] == ["runs/raw"]
    assert index["sources"][0]["documents"] == {}


def test_pictures_are_the_bytes_of_the_record(server, expert):
    episode = server.json("data/1/1/episode.json")
    _, headers, frames = server.get("data/1/1/frames.bin")
    stored = open_dataset(expert)[1]
    assert [camera["name"] for camera in episode["cameras"]] == ["side_1", "wrist_1"]
    assert headers["Content-Type"] == "application/octet-stream"
    expected = [p for name in ("side_1", "wrist_1") for p in stored.steps[f"observation/image_{name}"].encoded]
    assert [size for camera in episode["cameras"] for size in camera["sizes"]] == [len(picture) for picture in expected]
    assert frames == b"".join(expected)


def test_plots_carry_the_numbers_of_the_record_with_their_units(server, expert):
    plots = {plot["title"]: plot for plot in server.json("data/1/0/episode.json")["plots"]}
    steps = open_dataset(expert)[0].steps
    for title, unit, lines, column in (
        ("Action: translation", "m per step", ["x", "y", "z"], steps["action"][:, :3]),
        ("Pose: orientation", "quaternion", ["qx", "qy", "qz", "qw"], steps["observation/tcp_pose"][:, 3:]),
        ("Force", "N", ["x", "y", "z"], steps["observation/tcp_force"]),
        ("Base frame, Torque", "N m", ["x", "y", "z"], steps["observation/raw_state"][:, 16:19]),
    ):
        assert (plots[title]["unit"], [line["label"] for line in plots[title]["lines"]]) == (unit, lines)
        np.testing.assert_allclose([line["values"] for line in plots[title]["lines"]], column.T, rtol=1e-6)
    assert {title for title, plot in plots.items() if plot["shown"]} == {
        "Action: translation", "Action: rotation", "Action: gripper", "Pose: position", "Force",
    }  # fmt: skip


def test_episode_that_cannot_be_served_is_answered_with_one_sentence(server):
    for path in ("data/0/4/episode.json", "data/7/0/frames.bin", "data/0/-1/episode.json"):
        status, _, body = server.get(path)
        assert (status, list(json.loads(body))) == (404, ["error"]), path
    assert server.get("data/0/x/episode.json")[0] == 422
    assert server.get("../../../pyproject.toml")[0] == 404
    assert server.get("data/%2e%2e/%2e%2e/etc/passwd")[0] == 404


def test_record_that_breaks_while_it_is_served_is_named_and_the_rest_goes_on(tmp_path):
    writer = DatasetWriter(tmp_path / "set")
    for index in range(2):
        writer.write(index, make_episode(index))
    catalogue = Catalogue([tmp_path / "set"])
    writer.path(0).write_bytes(b"short")
    with pytest.raises(DatasetError, match="tfrecord-00000: record 0 is cut off"):
        catalogue.episode(0, 0)
    writer.path(0).unlink()
    with pytest.raises(DatasetError, match=r"tfrecord-00000 (cannot be read|is not a file of records)"):
        catalogue.frames(0, 0)
    assert catalogue.episode(0, 1)["steps"] == len(make_episode(1))


def test_numbers_that_are_not_finite_become_gaps(tmp_path):
    episode = make_episode(0, length=4)
    episode.action[1, 0], episode.action[2, 1] = np.nan, np.inf
    episode = replace(episode, metadata=replace(episode.metadata, penetration=float("nan")))
    DatasetWriter(tmp_path / "set").write(0, episode)
    catalogue = Catalogue([tmp_path / "set"])
    plots = {plot["title"]: plot for plot in json.loads(json.dumps(catalogue.episode(0, 0), allow_nan=False))["plots"]}
    x, y, _ = (line["values"] for line in plots["Action: translation"]["lines"])
    assert x[1] is None and y[2] is None and x[0] == pytest.approx(episode.action[0, 0])
    (row,) = json.loads(json.dumps(catalogue.index(), allow_nan=False))["episodes"]
    assert row["metadata"]["penetration"] == "nan"


def test_every_split_is_listed_and_numbered_by_itself(tmp_path):
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        writer = DatasetWriter(tmp_path / "set", split)
        for index, number in enumerate(numbers):
            writer.write(index, make_episode(number))
    index = Catalogue([tmp_path / "set"]).index()
    assert [source["split"] for source in index["sources"]] == ["train", "val"]
    assert [(row["source"], row["number"], row["metadata"]["seed"]) for row in index["episodes"]] == [
        (0, 0, 0), (0, 1, 1), (1, 0, 2),
    ]  # fmt: skip


def test_episodes_are_chosen_by_numbers_and_ranges():
    assert parse_numbers("") is None
    assert [number for number in range(20) if number in parse_numbers("0-2,7,18-18")] == [0, 1, 2, 7, 18]
    for wrong in ("a", "1-", "-1", "1,,2", "1 2"):
        with pytest.raises(UsageError, match="numbers and ranges"):
            parse_numbers(wrong)


def test_what_validation_prints_can_be_put_beside_the_data(tmp_path):
    found = {"kind": "frozen_frames", "severity": "fault", "split": "train", "episode": 3, "step": 0}
    found |= {"file": "set-train.tfrecord-00003", "record": 0}
    found |= {"what": "it stands still", "right": "it moves"}
    report = {"ok": False, "findings": [found, found | {"split": "val"}]}
    (tmp_path / sidecars.FINDINGS).write_text(json.dumps(report))
    (finding,) = sidecars.read_findings(tmp_path, "train")
    assert finding == {
        "check": "frozen_frames", "severity": "fault", "episode": 3, "step": 0,
        "file": "set-train.tfrecord-00003", "record": 0, "message": "it stands still; right: it moves",
    }  # fmt: skip


@pytest.mark.parametrize(
    "content", ["", "{", "7", '{"findings": 3}', '["text", null, {}]', '{"findings": [{"step": "x"}]}']
)
def test_validation_file_of_any_content_is_survived(tmp_path, content):
    (tmp_path / sidecars.FINDINGS).write_text(content)
    for finding in sidecars.read_findings(tmp_path, "train"):
        assert set(finding) == {"check", "severity", "episode", "step", "message", "file", "record"}


# The server


def test_server_listens_to_this_machine_only_and_forbids_the_page_every_other_address(server):
    assert urllib.parse.urlsplit(server.said).hostname == "127.0.0.1"
    status, headers, page = server.get("")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not re.search(rb"(src|href)=\"(https?:)?//", page)
    assert server.get("", {"Host": "rebound.example.org"})[0] == 403
    assert server.get("data/index.json", {"Host": f"localhost:{urllib.parse.urlsplit(server.url).port}"})[0] == 200


def test_another_host_needs_the_token(expert):
    server = Server(expert, "--host", "0.0.0.0")
    assert server.get("/")[0] == 403
    assert server.get("/data/index.json?token=wrong%C3%A9")[0] == 403
    status, headers, _ = server.get(f"/?token={server.token}")
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"].split(";")[0]
    assert server.get("/data/index.json", {"Cookie": cookie})[0] == 200
    assert server.get("/data/index.json", {"Cookie": cookie[:-1]})[0] == 403
    server.stop()


def test_interrupt_ends_it_cleanly_also_with_a_silent_client(expert):
    server = Server(expert)
    address = urllib.parse.urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as silent:
        silent.sendall(b"GET /data/index.json HT")
        assert server.get("data/index.json")[0] == 200, "a silent client keeps nobody else waiting"
        assert server.stop() == (0, "")


def test_what_cannot_be_shown_is_said_in_one_sentence(expert, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, error, said in (
            ([expert, "--port", port], UsageError, f"Cannot listen on port {port} of 127.0.0.1"),
            ([expert, "--port", 70_000], UsageError, "no port 70000"),
            ([expert, "--host", "nowhere.invalid"], UsageError, "of nowhere.invalid"),
            ([tmp_path / "nowhere"], DatasetError, "holds no data set"),
            ([], UsageError, "Name at least one data set"),
            ([expert, "--episodes", "one"], UsageError, "'one' does not name episodes"),
        ):
            with pytest.raises(error, match=said):
                dispatch(["data", "view", *map(str, arguments)])


def test_memory_of_the_server_stays_flat(server):
    def resident():
        with open(f"/proc/{server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))  # kB

    def look_at_everything(times):
        for _ in range(times):
            for source, number in [(0, i) for i in range(TELEOPERATED)] + [(1, 0), (1, 1)]:
                server.get(f"data/{source}/{number}/episode.json")
                server.get(f"data/{source}/{number}/frames.bin")

    look_at_everything(5)
    before = resident()
    look_at_everything(10)
    assert resident() < before + 10_000


# The static folder


@pytest.fixture(scope="module")
def exported(teleoperated, expert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "page"
    command = ["data", "view", str(teleoperated), str(expert), "--export", str(folder), "--episodes", "0-1"]
    assert dispatch(command) == 0
    return folder


def handed_over(path):
    name, content = re.fullmatch(r"receive\((\"[^\"]+\"), (.*)\);\n", path.read_text(), re.DOTALL).groups()
    return json.loads(name), json.loads(content)


def test_export_holds_what_the_server_would_say_of_the_chosen_episodes(exported, server):
    _, index = handed_over(exported / "data" / "index.js")
    assert [(row["source"], row["number"]) for row in index["episodes"]] == [(0, 0), (0, 1), (0, None), (1, 0), (1, 1)]
    assert handed_over(exported / "data/1/0/episode.js") == ("1/0/episode", server.json("data/1/0/episode.json"))
    assert not (exported / "data/0/2").exists()
    assert (exported / "vendor" / "uPlot.LICENSE").exists()


def test_export_is_reused_and_refuses_what_is_not_its_own(exported, teleoperated, expert, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in exported.rglob("*.js")}
    assert export.export_page([teleoperated, expert], exported, episodes="0-1")["episodes"] == 4
    assert {path: path.stat().st_mtime_ns for path in exported.rglob("*.js")} == before
    with pytest.raises(StageError, match="episodes: '0-1' there, '0' here"):
        export.export_page([teleoperated, expert], exported, episodes="0")
    for place in (expert, expert / "page", expert.parent):
        with pytest.raises(UsageError, match="the data set"):
            export.export_page([expert], place, overwrite=True)
    assert len(open_dataset(expert)) == 2


def test_export_has_the_same_bytes_each_time(expert, tmp_path):
    for name in ("one", "two"):
        export.export_page([expert], tmp_path / name)
    files = [
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*") if path.name != "stage.json"
    ]
    assert len(files) > 15
    for file in files:
        if (tmp_path / "one" / file).is_file():
            assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


# In the browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """What a page asks for has to come from where it lies, and it has nothing to complain of."""
    yield chromium
    assert chromium.complaints == []
    own = ("http://127.0.0.1:", "file:///", "about:blank", "blob:", "data:")
    assert [url for url in chromium.requests if not url.startswith(own)] == []


DRAWN = "[...document.querySelectorAll('#panes canvas')].map((c) => Number(c.dataset.step ?? -1))"


def shows(*steps):
    return f"JSON.stringify({DRAWN}) === '{json.dumps(steps, separators=(',', ':'))}'"


def pixels(size):
    """What the first camera's canvas shows, RGBA; of a copy, for Chromium complains when a canvas is read often."""
    return (
        f"(() => {{ const c = new OffscreenCanvas({size}, {size}).getContext('2d', {{willReadFrequently: true}});"
        " c.drawImage(document.querySelector('#panes canvas'), 0, 0);"
        f" return [...c.getImageData(0, 0, {size}, {size}).data]; }})()"
    )


def row(source, number):
    """Selector of the button that opens an episode; before any sorting, the rows stand in the order of the index."""
    place = number if source == 0 else TELEOPERATED + 1 + number
    return f"#list tbody tr:nth-child({place + 1})"


@needs_chromium
def test_table_filters_sorts_and_counts(browser, server):
    browser.open(server.url)
    browser.wait("document.querySelectorAll('#list tbody tr').length === 7")
    assert re.match(r"7 of 7 episodes: \d successful, [\d,]+ steps, 1 broken", browser.text("#counts"))
    browser.fill("[name=policy]", "expert")
    assert browser.text("#counts").startswith("2 of 7 episodes: 2 successful")
    browser.fill("[name=policy]", "")
    browser.fill("[name=outcome]", "failure")
    failures = browser.count("#list tbody tr")
    assert 0 < failures < TELEOPERATED
    browser.fill("[name=reason]", "time_out")
    assert browser.count("#list .badge.failure") == browser.count("#list tbody tr") > 0
    browser.click("#filters [type=reset]")
    browser.wait("document.querySelectorAll('#list tbody tr').length === 7")
    browser.fill("[name=text]", "EXPERT usb")
    assert browser.count("#list tbody tr") == 2
    browser.fill("[name=text]", "no such thing")
    assert browser.text("#counts") == "None of 7 episodes matches."
    browser.fill("[name=text]", "")
    browser.fill("[name=shortest]", 1)
    assert browser.count("#list tbody tr") == 6, "the broken one has no steps"
    steps = "[...document.querySelectorAll('#list tbody tr')].map((r) => Number(r.cells[STEPS].innerText))"
    place = browser.evaluate(
        "[...document.querySelectorAll('#list thead th')].findIndex((c) => c.innerText === 'Steps')"
    )
    for order, reverse in (("ascending", False), ("descending", True)):
        browser.click(f"#list thead th:nth-child({place + 1}) button")
        assert browser.evaluate(f"document.querySelectorAll('#list thead th')[{place}].ariaSort") == order
        sorted_steps = browser.evaluate(steps.replace("STEPS", str(place)))
        assert sorted_steps == sorted(sorted_steps, reverse=reverse)


@needs_chromium
def test_cameras_plots_and_slider_move_together(browser, server):
    browser.open(server.url)
    browser.wait("document.querySelector('#list tbody tr')")
    browser.click(f"{row(1, 0)} .open")
    browser.wait(shows(0, 0))
    assert browser.count("#plots .uplot canvas") == 5
    ticks = int(browser.evaluate("document.getElementById('slider').max"))
    browser.fill("#slider", 2)
    browser.wait(shows(2, 2))
    assert browser.text("#clock").startswith(f"2 / {ticks} · 0.2 s")
    x = server.json("data/1/0/episode.json")["plots"][0]["lines"][0]["values"][2]
    assert float(browser.text("#plots .u-legend tr:nth-child(2) .u-value")) == pytest.approx(x, rel=0.1)
    browser.press("ArrowRight")
    browser.wait(shows(3, 3))
    browser.press("End")
    browser.wait(shows(ticks, ticks))
    assert "reward 1" in browser.text(".state")
    browser.click("#plots .u-over", x=0.5)
    browser.wait(shows(*[round(ticks / 2)] * 2))
    assert len(set(browser.evaluate(pixels(128)))) > 20, "the canvas shows a picture"
    browser.press("Home")
    browser.fill("#speed", 5)
    browser.press(" ")
    browser.wait("document.getElementById('play').ariaLabel === 'Pause'")
    browser.wait(shows(ticks, ticks))
    browser.wait("document.getElementById('play').ariaLabel === 'Play'")


@needs_chromium
def test_plots_are_chosen(browser, server):
    browser.open(f"{server.url}#a=1/0")
    browser.wait("document.querySelectorAll('#plots .uplot').length === 5")
    browser.click("#chooser summary")
    browser.evaluate("[...document.querySelectorAll('#chooser label')].find((l) => l.textContent === 'Torque').click()")
    assert browser.count("#plots .uplot") == 6
    assert "Torque [N m]" in browser.text("#plots")


@needs_chromium
def test_two_episodes_side_by_side_by_step_and_by_normalised_time(browser, server):
    browser.open(server.url)
    browser.wait("document.querySelector('#list tbody tr')")
    browser.click(f"{row(1, 0)} .open")
    browser.wait(shows(0, 0))
    browser.click(f"{row(0, 0)} .compare")
    browser.wait(shows(0, 0, 0, 0))
    assert urllib.parse.urlsplit(browser.evaluate("location.href")).fragment == "a=1/0&b=0/0"
    short, long = (server.json(f"data/{key}/episode.json")["steps"] - 1 for key in ("1/0", "0/0"))
    assert short < long
    browser.press("End")
    browser.wait(shows(short, short, long, long))
    browser.fill("#slider", short // 2)
    browser.wait(shows(*[short // 2] * 4))
    browser.fill("#align", "time")
    browser.wait(shows(0, 0, 0, 0))
    browser.fill("#slider", long // 2)
    half = round(long // 2 / long * short)
    browser.wait(shows(half, half, long // 2, long // 2))
    assert browser.text("#clock") == f"{round(100 * (long // 2) / long)} %"
    lines = (
        "[...document.querySelector('#plots .uplot').querySelectorAll('.u-series .u-label')].map((e) => e.innerText)"
    )
    assert browser.evaluate(lines)[1:] == ["x A", "y A", "z A", "x B", "y B", "z B"]
    assert browser.count("#details .differs") > 2
    browser.click("#single")
    browser.wait("document.querySelectorAll('#panes canvas').length === 2")


@needs_chromium
def test_provenance_and_findings_are_shown_and_lead_to_their_step(browser, server, expert):
    browser.open(f"{server.url}#a=1/1")
    browser.wait(shows(0, 0))
    details = browser.text("#details")
    metadata = open_dataset(expert).entries[1].metadata
    for name in ("episode_id", "task_hash", "seed", "code_version"):
        assert name in details and str(metadata[name]) in details
    assert "runs/raw" in browser.evaluate("document.getElementById('details').textContent")
    assert "frozen_frames the picture stands still" in details and "counts only one class" in details
    assert browser.count("#strips .finding") == 1
    browser.click(".findings button")
    browser.wait(shows(3, 3))


@needs_chromium
def test_broken_record_is_said_to_be_broken_and_the_page_goes_on(browser, server):
    browser.open(server.url)
    browser.wait("document.querySelectorAll('#list .badge.broken').length === 1")
    browser.click(".badge.broken")
    browser.wait("document.getElementById('message').innerText.includes('record 0 is corrupt')")
    browser.click(f"{row(0, 1)} .open")
    browser.wait(shows(0, 0))
    assert browser.evaluate("document.getElementById('message').hidden")
    browser.press("ArrowDown")
    browser.wait("location.hash === '#a=0/2'")
    browser.evaluate("history.back()")
    browser.wait("location.hash === '#a=0/1' && document.querySelector('tr.a .open').innerText === '#1'")


@needs_chromium
def test_names_out_of_a_data_set_stay_text(browser, tmp_path):
    episode = make_episode(0)
    hostile = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    metadata = replace(
        episode.metadata, task=hostile, failure_reason=hostile, success=False, policy_kind="ünïcødé 机器人"
    )
    DatasetWriter(tmp_path / "set").write(0, replace(episode, metadata=metadata, instruction=hostile))
    export.export_page([tmp_path / "set"], tmp_path / "page")
    browser.open(f"{(tmp_path / 'page' / 'index.html').as_uri()}#a=0/0")
    browser.wait(shows(0))
    assert browser.count("img") == 0
    assert hostile in browser.text("#list tbody") and "ünïcødé 机器人" in browser.text("#panes")
    assert hostile in browser.text(".state")
    assert browser.count("#strips .intervention") == 2, "steps 0 and 2"


@needs_chromium
def test_pictures_that_are_png_or_broken(browser, tmp_path):
    import tensorflow_datasets as tfds
    from PIL import Image

    from rldg.data.example import encode

    Image.fromarray(np.full((8, 8, 3), (10, 200, 30), np.uint8)).save(tmp_path / "green.png")
    green = (tmp_path / "green.png").read_bytes()
    image = tfds.features.Image(shape=(8, 8, 3), encoding_format="png")
    steps = {"observation": {"image_top": image}, "action": tfds.features.Tensor(shape=(2,), dtype=np.float32)}
    features = tfds.features.FeaturesDict({"steps": tfds.features.Dataset(steps)})
    columns = {"steps/observation/image_top": [green, b"no picture"], "steps/action": np.zeros((2, 2), np.float32)}
    DatasetWriter(tmp_path / "set").write_record(0, encode(columns), features.to_json())
    export.export_page([tmp_path / "set"], tmp_path / "page")
    browser.open(f"{(tmp_path / 'page' / 'index.html').as_uri()}#a=0/0")
    browser.wait(shows(0))
    assert browser.evaluate(pixels(8)) == [10, 200, 30, 255] * 64
    browser.press("ArrowRight")
    browser.wait(shows(1))
    assert browser.evaluate(pixels(8))[1] != 200
    assert "unjudged" in browser.text("#list tbody")


@needs_chromium
@pytest.mark.parametrize("over", ["file", "http"])
def test_exported_folder_works_from_the_disk_and_from_any_web_server(browser, exported, over):
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(exported)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as host:
        port = re.search(r"port (\d+)", host.stdout.readline())[1]
        browser.open((exported / "index.html").as_uri() if over == "file" else f"http://127.0.0.1:{port}/")
        browser.wait("document.querySelectorAll('#list tbody tr').length === 5")
        browser.click("#list tbody tr:nth-child(4) .open")
        browser.wait(shows(0, 0))
        browser.press("ArrowRight")
        browser.wait(shows(1, 1))
        browser.click("#list tbody tr:nth-child(1) .compare")
        browser.wait("document.querySelectorAll('#panes canvas').length === 4")
        browser.wait(shows(1, 1, 1, 1))
        host.terminate()


@needs_chromium
def test_empty_data_set_says_so(browser, expert, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "features.json").write_bytes((expert / "features.json").read_bytes())
    export.export_page([tmp_path / "set"], tmp_path / "page")
    browser.open((tmp_path / "page" / "index.html").as_uri())
    browser.wait("document.getElementById('counts').innerText === 'There are no episodes here.'")


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (800, "light"), (1280, "dark")])
def test_page_fits_its_window(browser, server, tmp_path, width, scheme):
    browser.open(f"{server.url}#a=1/0&b=0/0", width=width, scheme=scheme)
    browser.wait(shows(0, 0, 0, 0))
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(
        "[...document.querySelectorAll('#stage *')].every((e) => e.getBoundingClientRect().right <= innerWidth + 1)"
    )
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((c) => c < 128)")
    assert dark == (scheme == "dark")


@needs_chromium
def test_every_control_has_a_name(browser, server):
    browser.open(f"{server.url}#a=1/0&b=0/0")
    browser.wait(shows(0, 0, 0, 0))
    nameless = browser.evaluate(
        "[...document.querySelectorAll('button, input, select, canvas[role=img]')].filter((e) => !(e.ariaLabel"
        " || e.innerText?.trim() || e.labels?.length)).map((e) => e.outerHTML)"
    )
    assert nameless == []


@needs_chromium
def test_long_table_comes_in_pieces(browser, tmp_path):
    writer = DatasetWriter(tmp_path / "set")
    writer.write(0, make_episode(0, size=8))
    catalogue = Catalogue([tmp_path / "set"])
    export.export_page([tmp_path / "set"], tmp_path / "page")
    index = catalogue.index()
    index["episodes"] = [row | {"number": number} for row in index["episodes"] for number in range(20_000)]
    (tmp_path / "page/data/index.js").write_text(f'receive("index", {json.dumps(index)});')
    browser.open((tmp_path / "page" / "index.html").as_uri())
    browser.wait("document.getElementById('counts').innerText.startsWith('20000 of 20000')")
    assert browser.count("#list tbody tr") == 300
    browser.click("#more")
    assert browser.count("#list tbody tr") == 600


def test_findings_of_validation_stand_by_their_record_although_another_is_broken(tmp_path):
    writer = DatasetWriter(tmp_path / "set")
    for index in range(4):
        writer.write(index, make_episode(index))
    writer.path(1).write_bytes(writer.path(1).read_bytes()[:-2])
    report = validate(tmp_path / "set").as_dict()
    (tmp_path / "set" / "validation.json").write_text(json.dumps(report))
    broken = next(finding for finding in report["findings"] if finding["kind"] == "record_broken")
    assert broken["episode"] == 1  # the number of an intact episode on the page, which does not count what is broken
    index = Catalogue([tmp_path / "set"]).index()
    by_row = [finding["check"] for row in index["episodes"] for finding in row["findings"]]
    assert "record_broken" not in by_row
    assert "record_broken" in [finding["check"] for finding in index["sources"][0]["findings"]]
    assert [row["number"] for row in index["episodes"]] == [0, 1, 2, None]

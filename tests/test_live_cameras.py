"""Cameras up to the driver's call: newest frames, stale ones, unplugging, crops."""

import sys
import threading
import time
import types

import numpy as np
import pytest
from PIL import Image

from rldg.cli.main import dispatch
from rldg.errors import RldgError, UsageError
from rldg.robots import camera_devices
from rldg.robots.camera_sources import CameraError, OpenCVSource, RealSenseSource, make_source
from rldg.robots.live_cameras import LiveCameras, as_seen
from rldg.robots.newest_frame import NewestFrame
from rldg.robots.stops import RobotFault
from rldg.tasks import load_station
from rldg.tasks.station import CameraMount
from rldg.tasks.task import CameraView


class Pluggable:
    """A source whose cable can be pulled."""

    def __init__(self):
        self.plugged, self.value, self.opened = threading.Event(), 0, 0
        self.plugged.set()

    def open(self):
        if not self.plugged.is_set():
            raise CameraError("no such device")
        self.opened += 1

    def read(self):
        time.sleep(0.01)
        if not self.plugged.is_set():
            raise CameraError("unplugged")
        self.value += 1
        return np.full((4, 6, 3), self.value % 256, np.uint8)

    def close(self):
        pass


def test_the_newest_frame_is_had_and_an_unplugged_camera_comes_back():
    source = Pluggable()
    reader = NewestFrame("wrist_1", source)
    first = reader.get(0.3, 2)
    time.sleep(0.1)
    later = reader.get(0.3, 2)
    assert later.number > first.number + 1 and later.picture[0, 0, 0] == later.number % 256
    source.plugged.clear()
    time.sleep(0.3)
    assert reader.get(0.2, 0.1) is None and reader.problem
    source.plugged.set()
    back = reader.get(0.2, 3)
    assert back.number > later.number and source.opened == 2
    reader.close()


def folder_station(tmp_path, **mount):
    folder = tmp_path / "pictures"
    folder.mkdir(exist_ok=True)
    for value in (50, 200):
        Image.fromarray(np.full((48, 64, 3), value, np.uint8)).save(folder / f"{value}.png")
    mounts = {"wrist_1": CameraMount(driver="file", device=str(folder), **mount)}
    return load_station("sim_franka").model_copy(update={"cameras": mounts})


def test_a_folder_is_a_camera_and_a_stale_one_is_a_fault(tmp_path):
    station = folder_station(tmp_path, fps=50)
    cameras = LiveCameras({"wrist_1": CameraView(resolution=32)}, station)
    pictures = cameras.images()
    assert pictures["wrist_1"].shape == (32, 32, 3) and pictures["wrist_1"].dtype == np.uint8
    for file in (tmp_path / "pictures").iterdir():
        file.unlink()
    time.sleep(0.5)
    with pytest.raises(RobotFault, match="'wrist_1' is frozen"):
        cameras.images()
    cameras.close()


def test_a_camera_that_never_starts_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("rldg.robots.live_cameras.START_SECONDS", 0.3)
    station = folder_station(tmp_path)
    lost = station.model_copy(update={"cameras": {"wrist_1": CameraMount(driver="opencv", device="/dev/video99")}})
    with pytest.raises(RldgError, match="there is no /dev/video99"):
        LiveCameras({"wrist_1": CameraView()}, lost)
    with pytest.raises(UsageError, match="has no driver"):
        make_source("wrist_1", CameraMount(), "http://a/")


def test_crops_are_the_stations_then_the_middle_square_then_the_tasks():
    frame = np.zeros((100, 200, 3), np.uint8)
    frame[:, 60:140] = 10  # the right part of the middle
    mount = CameraMount(crop=(0.2, 0.0, 0.8, 1.0))  # columns 40 to 160; its square: 50 to 150
    seen = as_seen(frame, mount, CameraView(resolution=100))
    np.testing.assert_array_equal(seen[0, :, 0], np.r_[np.zeros(10), np.full(80, 10), np.zeros(10)])
    assert as_seen(frame, mount, CameraView(resolution=40, crop=(0.1, 0.0, 0.9, 0.8))).min() == 10


def fake_realsense(log, serials=("123",)):
    """pyrealsense2 as far as it is used."""
    module = types.ModuleType("pyrealsense2")

    class Device:
        def __init__(self, serial):
            self.serial = serial

        def get_info(self, what):
            return {"serial": self.serial, "name": "D405"}[what]

        def first_color_sensor(self):
            return types.SimpleNamespace(set_option=lambda option, value: log.append((option, value)))

    class Pipeline:
        def start(self, config):
            log.append(("start", *config.asked))
            return types.SimpleNamespace(get_device=lambda: Device("123"))

        def wait_for_frames(self, milliseconds):
            frame = types.SimpleNamespace(get_data=lambda: np.full((480, 640, 3), 7, np.uint8))
            return types.SimpleNamespace(get_color_frame=lambda: frame)

        def stop(self):
            log.append(("stop",))

    class Config:
        def __init__(self):
            self.asked = []

        def enable_device(self, serial):
            self.asked.append(serial)

        def enable_stream(self, *what):
            self.asked.append(what)

    module.camera_info = types.SimpleNamespace(serial_number="serial", name="name")
    module.context = lambda: types.SimpleNamespace(query_devices=lambda: [Device(serial) for serial in serials])
    module.config, module.pipeline = Config, Pipeline
    module.stream = types.SimpleNamespace(color="color")
    module.format = types.SimpleNamespace(rgb8="rgb8")
    module.option = types.SimpleNamespace(enable_auto_exposure="auto", exposure="exposure")
    return module


def test_a_realsense_is_asked_for_serial_size_rate_and_exposure(monkeypatch):
    log = []
    monkeypatch.setitem(sys.modules, "pyrealsense2", fake_realsense(log))
    source = RealSenseSource(CameraMount(driver="realsense", serial="123", fps=15, exposure=40000))
    source.open()
    assert source.read().shape == (480, 640, 3)
    source.close()
    assert log == [("start", "123", ("color", 640, 480, "rgb8", 15)), ("auto", 0), ("exposure", 40000), ("stop",)]
    with pytest.raises(CameraError, match="no RealSense has the serial number 9"):
        RealSenseSource(CameraMount(driver="realsense", serial="9")).open()
    monkeypatch.setattr(camera_devices, "_v4l2", list)
    assert camera_devices.attached_cameras() == [{"driver": "realsense", "serial": "123", "name": "D405"}]


def test_without_its_driver_a_realsense_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(CameraError, match="pip install"):
        RealSenseSource(CameraMount(driver="realsense")).open()


def test_opencv_reads_a_film_and_says_when_it_ends(tmp_path):
    import cv2

    film = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(film, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), (200, 0, 0), np.uint8))  # blue, as OpenCV orders it
    writer.release()
    source = OpenCVSource(CameraMount(driver="opencv", device=film))
    source.open()
    for _ in range(3):
        red, _, blue = source.read()[20, 20]
        assert blue > 150 > red
    with pytest.raises(CameraError, match="nothing more"):
        source.read()
    source.close()


def test_the_list_of_cameras_and_the_page(tmp_path, capsys):
    assert dispatch(["robot", "cameras", "--json"]) == 0
    assert '"cameras"' in capsys.readouterr().out
    from fastapi.testclient import TestClient

    from rldg.serving.camera_page import create_page

    station = folder_station(tmp_path, fps=50)
    reader = NewestFrame("wrist_1", make_source("wrist_1", station.cameras["wrist_1"], ""))
    closed = threading.Event()
    threading.Timer(0.5, closed.set).start()
    with TestClient(create_page({"wrist_1": reader}, closed), base_url="http://127.0.0.1") as client:
        assert "/stream/0" in client.get("/").text
        assert b"\xff\xd8\xff" in client.get("/stream/0").content
        assert client.get("/stream/7").status_code == 404
        assert client.get("/", headers={"Host": "a.b"}).status_code == 403
    reader.close()

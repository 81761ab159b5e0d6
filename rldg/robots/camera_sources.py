"""Where pictures come from: RealSense, whatever OpenCV opens, a folder of pictures, a simulated station.

A source is opened, read and closed by one thread; a source that failed is closed and opened again. Drivers are imported
where they are used.
"""

import importlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rldg.errors import UsageError
from rldg.tasks.station import CameraMount

READ_SECONDS = 2.0  # that a driver has for a frame
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


class CameraError(Exception):
    """A camera that is not there, or sends nothing."""


class CameraSource(Protocol):
    """One camera of one driver."""

    def open(self) -> None:
        """Starts it. Raises `CameraError`."""
        ...

    def read(self) -> np.ndarray:
        """Waits for the next whole frame (H, W, 3) uint8 RGB. Raises `CameraError` if none comes."""
        ...

    def close(self) -> None:
        """Lets go of the device; harmless if it was never opened."""
        ...


class RealSenseSource:
    """An Intel RealSense's colour stream, through pyrealsense2."""

    def __init__(self, mount: CameraMount) -> None:
        self._mount = mount
        self._pipeline: Any = None

    def open(self) -> None:
        """Starts the stream of the camera with the mount's serial number."""
        mount = self._mount
        rs = _driver("pyrealsense2", "rldg[robot]")
        try:
            known = [device.get_info(rs.camera_info.serial_number) for device in rs.context().query_devices()]
            if mount.serial and mount.serial not in known:
                raise CameraError(f"no RealSense has the serial number {mount.serial}; attached: {known or 'none'}")
            config = rs.config()
            if mount.serial:
                config.enable_device(mount.serial)
            config.enable_stream(rs.stream.color, mount.width, mount.height, rs.format.rgb8, mount.fps)
            self._pipeline = rs.pipeline()
            profile = self._pipeline.start(config)
            if mount.exposure is not None:
                sensor = profile.get_device().first_color_sensor()
                sensor.set_option(rs.option.enable_auto_exposure, 0)
                sensor.set_option(rs.option.exposure, mount.exposure)
        except RuntimeError as error:  # what librealsense raises
            raise CameraError(str(error)) from None

    def read(self) -> np.ndarray:
        """The next colour frame."""
        try:
            frame = self._pipeline.wait_for_frames(int(1000 * READ_SECONDS)).get_color_frame()
        except RuntimeError as error:
            raise CameraError(str(error)) from None
        if not frame:
            raise CameraError("a set of frames without colour")
        return np.array(frame.get_data(), np.uint8)

    def close(self) -> None:
        """Stops the stream."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            try:
                pipeline.stop()
            except RuntimeError:  # it was never started, or has been unplugged
                return


class OpenCVSource:
    """A V4L2 device such as /dev/video0, a film, or a stream's address: what OpenCV opens."""

    def __init__(self, mount: CameraMount) -> None:
        self._mount = mount
        self._capture: Any = None

    def open(self) -> None:
        """Opens the device and asks it for the mount's size, rate and exposure."""
        mount, cv2 = self._mount, importlib.import_module("cv2")
        name: str | int = mount.device
        number = mount.device.removeprefix("/dev/video")
        if number.isdecimal():
            if not Path(f"/dev/video{number}").exists():
                raise CameraError(f"there is no /dev/video{number}")
            name = int(number)
        self._capture = cv2.VideoCapture(name)
        if not self._capture.isOpened():
            raise CameraError(f"OpenCV cannot open '{mount.device}'")
        wanted = {cv2.CAP_PROP_FRAME_WIDTH: mount.width, cv2.CAP_PROP_FRAME_HEIGHT: mount.height}
        wanted |= {cv2.CAP_PROP_FPS: mount.fps, cv2.CAP_PROP_BUFFERSIZE: 1}
        if mount.exposure is not None:
            wanted |= {cv2.CAP_PROP_AUTO_EXPOSURE: 1, cv2.CAP_PROP_EXPOSURE: mount.exposure / 100}  # V4L2: by 100 us
        for setting, value in wanted.items():
            self._capture.set(setting, value)

    def read(self) -> np.ndarray:
        """The next frame."""
        good, picture = self._capture.read()
        if not good:
            raise CameraError(f"'{self._mount.device}' sends nothing more")
        return np.ascontiguousarray(picture[..., ::-1])

    def close(self) -> None:
        """Releases the device."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class FolderSource:
    """The pictures of a folder in the order of their names, over and over, at the mount's rate: a camera for tests."""

    def __init__(self, mount: CameraMount) -> None:
        self._mount = mount
        self._files: Iterator[Path] = iter(())

    def open(self) -> None:
        """Lists the folder."""
        folder = Path(self._mount.device)
        files = sorted(file for file in folder.glob("*") if file.suffix.lower() in PICTURES)
        if not files:
            raise CameraError(f"there is no picture in the folder '{folder}'")
        self._files = itertools.cycle(files)

    def read(self) -> np.ndarray:
        """The next picture."""
        from PIL import Image

        time.sleep(1 / self._mount.fps)
        try:
            return np.array(Image.open(next(self._files)).convert("RGB"))
        except OSError as error:
            raise CameraError(str(error)) from None

    def close(self) -> None:
        """Nothing is held."""


class StationSource:
    """A camera that `rldg serve robot` simulates."""

    def __init__(self, name: str, url: str) -> None:
        self._name, self._url = name, url
        self._pool: Any = None
        self._number = 0

    def open(self) -> None:
        """Connects."""
        urllib3 = _driver("urllib3", "rldg[robot]")
        self._pool, self._number = urllib3.connection_from_url(self._url, maxsize=1, retries=False), 0
        self._errors = urllib3.exceptions.HTTPError
        self._path = (urllib3.util.parse_url(self._url).path or "").rstrip("/")

    def read(self) -> np.ndarray:
        """The newest frame, which is another than the last one."""
        route = f"{self._path}/cameras/{self._name}?after={self._number}"
        try:
            reply = self._pool.request("GET", route, timeout=READ_SECONDS)
        except self._errors as error:
            raise CameraError(f"the station at {self._url} sends no frame ({type(error).__name__})") from None
        try:
            if reply.status != 200:
                raise ValueError(reply.data[:200].decode(errors="replace"))
            self._number = int(reply.headers["X-Number"])
            shape = tuple(map(int, reply.headers["X-Shape"].split(",")))
            return np.frombuffer(reply.data, np.uint8).reshape(shape)
        except (KeyError, ValueError) as error:
            raise CameraError(f"the station at {self._url} sends no frame ({error})") from None

    def close(self) -> None:
        """Closes the connection."""
        if self._pool is not None:
            self._pool.close()


def make_source(name: str, mount: CameraMount, url: str) -> CameraSource:
    """The source of a camera of the station at `url`. Raises `UsageError` for a mount that names no driver."""
    match mount.driver:
        case "realsense":
            return RealSenseSource(mount)
        case "opencv":
            return OpenCVSource(mount)
        case "file":
            return FolderSource(mount)
        case "station":
            return StationSource(name, url)
    raise UsageError(f"Camera '{name}' has no driver; give it 'driver: realsense', 'opencv', 'station' or 'file'.")


def _driver(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise CameraError(f"{name} is not installed: pip install '{extra}'") from None

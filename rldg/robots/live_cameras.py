"""`LiveCameras`: a physical station's cameras as a task sees them."""

from collections.abc import Mapping

import cv2
import numpy as np

from rldg.errors import RldgError
from rldg.robots.camera_sources import CameraError, make_source
from rldg.robots.newest_frame import NewestFrame
from rldg.robots.stops import RobotFault
from rldg.tasks.station import CameraMount, Station
from rldg.tasks.task import CameraView

STALE = 0.3  # seconds after which a frame is no observation any more
START_SECONDS = 15.0  # for the first frame


class LiveCameras:
    """Reads each camera in a thread of its own; in lock-step, where a frame belongs to a step, when it is asked.

    Raises `RldgError` if the station lacks one of the cameras `views`, or one sends no first frame.
    """

    def __init__(self, views: Mapping[str, CameraView], station: Station) -> None:
        if missing := sorted(views.keys() - station.cameras.keys()):
            raise RldgError(f"Station '{station.name}' has no camera {', '.join(missing)}; give it one in its file.")
        self._views, self._mounts = dict(views), station.cameras
        self.sizes = {name: view.resolution for name, view in views.items()}
        sources = {name: make_source(name, station.cameras[name], station.url) for name in views}
        lock_step = station.speed == 0
        self._sources = sources if lock_step else {}
        self._readers = {} if lock_step else {name: NewestFrame(name, source) for name, source in sources.items()}
        try:
            for source in self._sources.values():
                source.open()
            self._wait(START_SECONDS)
        except (CameraError, RobotFault) as error:
            self.close()
            raise RldgError(f"A camera of station '{station.name}' does not start: {error}") from None

    def check(self) -> None:
        """Raises `RobotFault` unless every camera has a fresh frame."""
        self._wait(STALE)

    def images(self) -> dict[str, np.ndarray]:
        """The newest picture of each camera, (resolution, resolution, 3) uint8 RGB.

        Raises `RobotFault` for a camera whose newest frame is stale.
        """
        return {
            name: as_seen(frame, self._mounts[name], self._views[name]) for name, frame in self._wait(STALE).items()
        }

    def _wait(self, seconds: float) -> dict[str, np.ndarray]:
        try:
            frames = {name: source.read() for name, source in self._sources.items()}
        except CameraError as error:
            raise RobotFault("camera", str(error)) from None
        for name, reader in self._readers.items():
            frame = reader.get(STALE, seconds)
            if frame is None:
                raise RobotFault("camera", f"Camera '{name}' is frozen ({reader.problem or 'no new frame comes'}).")
            frames[name] = frame.picture
        return frames

    def close(self) -> None:
        """Ends the threads."""
        for reader in self._readers.values():
            reader.close()
        for source in self._sources.values():
            source.close()


def as_seen(frame: np.ndarray, mount: CameraMount, view: CameraView) -> np.ndarray:
    """A sensor's frame (H, W, 3) as a task sees it: the station's crop, its middle square, the task's crop and size."""
    picture = _share(frame, mount.crop)
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    picture = _share(picture[top : top + side, left : left + side], view.crop)
    size = (view.resolution, view.resolution)
    if picture.shape[:2] != size:
        shrinks = min(picture.shape[:2]) > view.resolution
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.ascontiguousarray(picture)


def _share(picture: np.ndarray, crop: tuple[float, float, float, float]) -> np.ndarray:
    height, width = picture.shape[:2]
    left, top, right, bottom = crop
    return picture[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]

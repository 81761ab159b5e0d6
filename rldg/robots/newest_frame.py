"""`NewestFrame`: a thread that reads a camera, holds its newest frame only, and opens it again when it falls silent."""

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from rldg.robots.camera_sources import CameraError, CameraSource

RETRY_SECONDS = 0.5  # between two tries to open a camera
CLOSE_SECONDS = 3.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Frame:
    """What a camera saw."""

    number: int  # counts from 1, over all times that the camera was opened
    time: float  # when it arrived, by the monotonic clock [s]
    picture: np.ndarray  # (H, W, 3) uint8 RGB


class NewestFrame:
    """Reads `source` until it is closed; a source that fails is closed and opened again until it works."""

    def __init__(self, name: str, source: CameraSource) -> None:
        self.name, self._source = name, source
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self.problem = "nothing has come yet"  # why there is no newer frame
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    def get(self, oldest: float, seconds: float) -> Frame | None:
        """The newest frame if it is at most `oldest` seconds old, waited for up to `seconds`; else None."""

        def fresh() -> bool:
            return self._frame is not None and time.monotonic() - self._frame.time <= oldest

        with self._changed:
            return self._frame if self._changed.wait_for(fresh, seconds) else None

    def close(self) -> None:
        """Ends the thread and closes the camera."""
        self._closed = True
        self._thread.join(timeout=CLOSE_SECONDS)

    def _run(self) -> None:
        number = 0
        while not self._closed:
            try:
                self._source.open()
                while not self._closed:
                    picture = self._source.read()
                    number += 1
                    with self._changed:
                        self._frame, self.problem = Frame(number, time.monotonic(), picture), ""
                        self._changed.notify_all()
            except CameraError as error:
                if str(error) != self.problem:
                    logger.warning("Camera '%s': %s", self.name, error)
                self.problem = str(error)
            with suppress(CameraError):
                self._source.close()
            if not self._closed:
                time.sleep(RETRY_SECONDS)

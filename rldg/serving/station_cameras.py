"""Cameras of the simulated station: a thread that renders whole frames at the cameras' rate while somebody looks."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from rldg.robots.cameras import SimulatedCameras, raw_size
from rldg.serving.station_arm import LOCK_STEP, SimulatedArm
from rldg.tasks.task import CameraView

FRAME_SECONDS = 5.0  # that a request waits for a frame


@dataclass(frozen=True, eq=False)
class StationFrame:
    """What a camera saw."""

    number: int  # counts the camera's frames from 1
    time: float  # seconds since 1970
    picture: np.ndarray  # (H, W, 3) uint8 RGB, the whole frame: crops are the client's


class StationCameras:
    """Renders the cameras `views` of an arm's scene.

    OpenGL's contexts belong to the thread that made them, so one thread renders everything. In lock-step every request
    gets a fresh frame; else frames come at `fps`, whoever asks.
    """

    def __init__(self, arm: SimulatedArm, views: Mapping[str, CameraView], fps: float = 30.0) -> None:
        whole = {name: view.model_copy(update=_whole(view)) for name, view in views.items()}
        self.names = tuple(whole)
        self._arm, self._views, self._period = arm, whole, 1 / fps
        self._frames: dict[str, StationFrame] = {}
        self._frozen_until: dict[str, float] = {}
        self._changed = threading.Condition()
        self._asked, self._error = 0, ""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cameras", daemon=True)
        self._thread.start()

    def frame(self, name: str, after: int = 0) -> StationFrame | None:
        """The newest frame of a camera, newer than number `after`; None if none comes in time.

        Raises `RuntimeError` where nothing can be rendered.
        """
        with self._changed:
            self._asked += 1
            ticket = self._asked
            self._changed.notify_all()

            def ready() -> bool:
                if self._error:
                    raise RuntimeError(self._error)
                fresh = self._arm.speed != LOCK_STEP or self._served >= ticket
                return fresh and name in self._frames and self._frames[name].number > after

            return self._frames[name] if self._changed.wait_for(ready, FRAME_SECONDS) else None

    def freeze(self, name: str, seconds: float) -> None:
        """The camera repeats nothing and sends nothing for so long, as one with a loose plug."""
        with self._changed:
            self._frozen_until[name] = time.monotonic() + seconds

    def close(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    _served = 0  # requests that the newest frames answer

    def _run(self) -> None:
        cameras = SimulatedCameras(self._arm.robot.model, self._views)
        data = mujoco.MjData(self._arm.robot.model)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._asked > self._served)
                asked = self._asked
                if self._closed:
                    break
            started = time.monotonic()
            try:
                self._arm.copy_to(data)
                pictures, error = cameras.render(data), ""
            except Exception as problem:  # whatever the driver raises is the answer to every request
                pictures, error = {}, str(problem)
            with self._changed:
                self._error, self._served = error, asked
                for name, picture in pictures.items():
                    if started >= self._frozen_until.get(name, 0.0):
                        number = self._frames[name].number + 1 if name in self._frames else 1
                        self._frames[name] = StationFrame(number, time.time(), picture)
                self._changed.notify_all()
            if self._arm.speed != LOCK_STEP:
                time.sleep(max(0.0, self._period - (time.monotonic() - started)))
        cameras.close()


def _whole(view: CameraView) -> dict[str, object]:
    return {"crop": (0.0, 0.0, 1.0, 1.0), "resolution": raw_size(view)}

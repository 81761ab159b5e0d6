"""`StationServer`: a simulated station behind the wire protocol of a real one."""

import threading
from typing import Self

import uvicorn

from rldg.errors import RldgError
from rldg.listening import address, listener
from rldg.serving.station_arm import SimulatedArm
from rldg.serving.station_cameras import StationCameras
from rldg.serving.station_routes import create_app
from rldg.tasks.station import Station
from rldg.tasks.task import Task


class StationServer:
    """Serves one task's simulated arm and its cameras: `serve` until interrupted, or as a context from a thread.

    Args:
        task: whose scene is simulated.
        station: a simulated station; its target is where the fixture stands.
        host: where to listen.
        port: 0 for a free one.
        token: first part of every route's path, "" for none; an address beyond this machine needs one.
        speed: seconds of physics per second; 0 for lock-step: one control period passes per commanded pose.
        fps: frames per second of the cameras.
        seed: of the scene and of faults.

    Raises:
        UsageError: nothing can listen there.
    """

    def __init__(
        self,
        task: Task,
        station: Station,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
        speed: float = 1.0,
        fps: float = 30.0,
        seed: int = 0,
    ) -> None:
        if station.backend != "mujoco":
            raise RldgError(f"Station '{station.name}' is not simulated; only simulated stations can be served.")
        self._socket = listener(host, port)
        self.url = f"http://{address(host, self._socket.getsockname()[1])}/" + (f"{token}/" if token else "")
        self.arm = SimulatedArm(task, station, speed, seed)
        self.cameras = StationCameras(self.arm, task.cameras, fps)
        app = create_app(self.arm, self.cameras, token, seed)
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.serve, name="station", daemon=True)

    def serve(self) -> None:
        """Answers until it is interrupted."""
        self._server.run(sockets=[self._socket])

    def close(self) -> None:
        """Stops answering and ends the physics."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.cameras.close()
        self.arm.close()
        self._socket.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""`Page`: a browser as the operator's device, with what the cameras see."""

import importlib.util
import sys
import threading
import time
from collections import deque

import numpy as np
from tqdm import tqdm

from rldg import geometry
from rldg.data.images import encode_jpeg
from rldg.env.types import Observation
from rldg.errors import DeviceError
from rldg.listening import address, listener, token_for
from rldg.policies.hand import DOWN, Hand, Word
from rldg.tasks.task import Task

DEAD_MAN = 0.3  # s without word from the page until the hand counts as resting


class Page:
    """Serves the page from a thread. Whoever opens it last with a moving hand, moves the arm.

    Args:
        host: where to listen; any address but this machine's loopback needs a token, which is part of what is printed.
        port: 0 for a free one.
    """

    name = "browser"
    waits = True

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
            raise DeviceError("The page needs fastapi and uvicorn: pip install 'rldg[teleop]'.")
        self._host, self._port = host, port
        self._lock = threading.Lock()
        self._twist, self._gripper, self._told = np.zeros(6), 0.0, 0.0
        self._words: deque[Word] = deque(maxlen=8)
        self._pictures: dict[str, bytes] = {}
        self._status: dict[str, object] = {"phase": "idle"}
        self._episodes = 0
        self.url = ""

    def open(self) -> None:
        """Starts to serve, and says where on standard error. Raises `UsageError` if nothing can listen there."""
        import uvicorn

        from rldg.serving.teleop_routes import create_app

        token = token_for(self._host)
        place = listener(self._host, self._port)
        self.url = f"http://{address(self._host, place.getsockname()[1])}/" + (f"?token={token}" if token else "")
        config = uvicorn.Config(
            create_app(self, token), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [place]}, daemon=True)
        self._thread.start()
        tqdm.write(f"Teleoperation: {self.url}", file=sys.stderr)  # above a bar of progress

    def close(self) -> None:
        """Ends the page."""
        self._server.should_exit = True
        self._thread.join(10)

    def begin(self, task: Task) -> None:
        """An episode begins: what was pressed before is forgotten."""
        with self._lock:
            self._words.clear()
            self._step = 0
            self._episodes += 1
            self._status = {
                "phase": "idle",
                "episode": self._episodes,
                "instruction": task.instruction,
                "horizon": task.horizon,
                "rate": task.rate,
                "force_limit": task.force_limit,
                "gripper": task.gripper,
            }

    def show(self, observation: Observation, recording: bool) -> None:
        """Pictures, force and the pose since the reset (metres, rotation vector; axes of the hand), for who looks."""
        state = observation["state"]
        pose = state["tcp_pose"].astype(np.float64)
        pictures = self._pictures
        if recording or not pictures or self._status.get("phase") != "ready":
            pictures = {camera: encode_jpeg(image) for camera, image in observation["images"].items()}
        with self._lock:
            self._step += recording
            self._pictures = pictures
            self._status |= {
                "phase": "recording" if recording else "ready",
                "step": self._step,
                "force": np.linalg.norm(state["tcp_force"]).item(),
                "pose": (DOWN * np.concatenate([pose[:3], geometry.rotation_vector(pose)])).tolist(),
            }

    def read(self) -> Hand:
        """The hand of whoever looks; it rests where nothing was heard for a while."""
        with self._lock:
            word: Word = self._words.popleft() if self._words else ""
            if time.monotonic() - self._told > DEAD_MAN:
                return Hand(word=word)
            return Hand(self._twist, self._gripper, word)

    def tell(self, twist: np.ndarray, gripper: float, word: Word) -> dict[str, object]:
        """What the page says, and what it is answered: the state of the episode."""
        with self._lock:
            self._twist, self._gripper, self._told = twist, gripper, time.monotonic()
            if word == "stop":  # comes before anything that waits
                self._words.clear()
            if word:
                self._words.append(word)
            return {**self._status, "cameras": sorted(self._pictures)}

    def picture(self, camera: str) -> bytes | None:
        """The newest picture of a camera, JPEG."""
        return self._pictures.get(camera)

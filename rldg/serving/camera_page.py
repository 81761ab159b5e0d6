"""A page that shows what a station's cameras see, to this machine only."""

import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import simplejpeg
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from rldg.listening import address, listener
from rldg.robots.newest_frame import NewestFrame
from rldg.serving.station_routes import RobotClientsOnly

HOST = "127.0.0.1"
FRAME_SECONDS = 1.0  # that a page waits for a frame before it shows that there is none
BOUNDARY = "frame"


def create_page(readers: Mapping[str, NewestFrame], closed: threading.Event) -> FastAPI:
    """One moving picture for each camera; `closed` ends their streams."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    def index() -> HTMLResponse:
        pictures = "".join(
            f'<figure><img src="/stream/{number}" alt="{name}"><figcaption>{name}</figcaption></figure>'
            for number, name in enumerate(readers)
        )
        style = "body{background:#181a1f;color:#e4e6eb;font:16px sans-serif;display:flex;flex-wrap:wrap}img{width:40vw}"
        return HTMLResponse(f"<!doctype html><title>cameras</title><style>{style}</style>{pictures}")

    @app.get("/stream/{number}")
    def stream(number: int) -> Response:
        if not 0 <= number < len(readers):
            return Response(status_code=404)
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return StreamingResponse(_parts(list(readers.values())[number], closed), media_type=kind)

    app.add_middleware(RobotClientsOnly, everywhere=False)
    return app


def _parts(reader: NewestFrame, closed: threading.Event) -> Iterator[bytes]:
    """JPEG after JPEG, each when there is a newer frame; black while there is none."""
    shown = 0
    while not closed.wait(0.03):
        frame = reader.get(FRAME_SECONDS, FRAME_SECONDS)
        if frame is not None and frame.number == shown:
            continue
        shown = frame.number if frame else 0
        picture = np.ascontiguousarray(frame.picture) if frame else np.zeros((120, 160, 3), np.uint8)
        content = simplejpeg.encode_jpeg(picture, quality=85, colorspace="RGB")
        yield f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        yield content + b"\r\n"


def serve_page(readers: Mapping[str, NewestFrame], port: int, started: Callable[[str], None]) -> None:
    """Shows the cameras until it is interrupted. Raises `UsageError` if nothing can listen on `port`."""
    closed = threading.Event()
    with listener(HOST, port) as socket:
        started(f"http://{address(HOST, socket.getsockname()[1])}/")
        app = create_page(readers, closed)
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        try:
            uvicorn.Server(config).run(sockets=[socket])
        finally:
            closed.set()

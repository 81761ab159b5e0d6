"""Serves the page over HTTP: to this machine only, or to those who know a token."""

import json
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from rldg.data.view import STATIC
from rldg.data.view.catalogue import Catalogue
from rldg.data.view.guard import guarded_app
from rldg.errors import DatasetError
from rldg.listening import address, listener, token_for

COOKIE = "rldg_view"


def serve(catalogue: Catalogue, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serves `catalogue` until it is interrupted; calls `started` with the page's address when it can be asked for.

    Args:
        catalogue: what to show.
        host: where to listen. Anything but this machine's loopback address gets a token, part of the address.
        port: 0 for a free one.
        started: told the address of the page.

    Raises:
        UsageError: nothing can listen there.
    """
    token = token_for(host)
    with listener(host, port) as place:
        started(f"http://{address(host, place.getsockname()[1])}/" + (f"?token={token}" if token else ""))
        config = uvicorn.Config(
            create_app(catalogue, token), log_level="warning", lifespan="off", timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[place])


def create_app(catalogue: Catalogue, token: str = "") -> FastAPI:
    """The page, and below `/data` what it asks for. Without a token only requests to a loopback address are heard."""
    app = guarded_app(token, COOKIE)

    @app.exception_handler(DatasetError)
    def broken(_: Request, error: DatasetError) -> Response:
        return JSONResponse({"error": str(error)}, status_code=404)

    @app.get("/data/index.json")
    def index() -> Response:
        return _json(catalogue.index())

    @app.get("/data/{source}/{number}/episode.json")
    def episode(source: int, number: int) -> Response:
        return _json(catalogue.episode(source, number))

    @app.get("/data/{source}/{number}/frames.bin")
    def frames(source: int, number: int) -> Response:
        return Response(catalogue.frames(source, number), media_type="application/octet-stream")

    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, allow_nan=False), media_type="application/json")

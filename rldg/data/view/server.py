"""Serves the page over HTTP: to this machine only, or to those who know a token."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from rldg.data.view import STATIC
from rldg.data.view.catalogue import Catalogue
from rldg.errors import DatasetError
from rldg.listening import address, is_loopback, listener, same, token_for

# The page works by what its own server gives it and may ask nobody else.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
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
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = _refusal(request, token)
        response = refused or await answer(request)
        response.headers.update(HEADERS)
        return response

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


def _refusal(request: Request, token: str) -> Response | None:
    """The answer to a request that is not to be served; None for one that is.

    Without a token the request's `Host` must be this machine: a foreign page whose name was made to resolve to it
    (DNS rebinding) sends its own name. A token in the address moves into a cookie, so that it stays out of links.
    """
    if not token:
        known = is_loopback(request.url.hostname)
        return None if known else PlainTextResponse("This page is served to its own machine only.", status_code=403)
    if same(request.query_params.get("token", ""), token):
        redirect = RedirectResponse(request.url.path, status_code=303)
        redirect.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return redirect
    if same(request.cookies.get(COOKIE, ""), token):
        return None
    return PlainTextResponse("Open the address that `rldg data view` printed, with its token.", status_code=403)


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, allow_nan=False), media_type="application/json")

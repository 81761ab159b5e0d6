"""Pages that are shown to this machine only, or to those who know a token."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from rldg.listening import is_loopback, same

# A page works by what its own server gives it and may ask nobody else.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def guarded_app(token: str, cookie: str) -> FastAPI:
    """An application that answers only who may ask: without a token, requests to a loopback address.

    `cookie` is the name of the cookie that the token moves into, so that it stays out of links.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = _refusal(request, token, cookie)
        response = refused or await answer(request)
        response.headers.update(HEADERS)
        return response

    return app


def _refusal(request: Request, token: str, cookie: str) -> Response | None:
    """The answer to a request that is not to be served; None for one that is.

    Without a token the request's `Host` must be this machine: a foreign page whose name was made to resolve to it
    (DNS rebinding) sends its own name.
    """
    if not token:
        known = is_loopback(request.url.hostname)
        return None if known else PlainTextResponse("This page is served to its own machine only.", status_code=403)
    if same(request.query_params.get("token", ""), token):
        redirect = RedirectResponse(request.url.path, status_code=303)
        redirect.set_cookie(cookie, token, httponly=True, samesite="strict")
        return redirect
    if same(request.cookies.get(cookie, ""), token):
        return None
    return PlainTextResponse("Open the address that the command printed, with its token.", status_code=403)

"""Faults on demand: what goes wrong between a robot and whoever drives it."""

import asyncio
import random
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOST_SECONDS = 5.0  # a lost message's connection ends after this


class Fault(BaseModel):
    """One kind of fault for some seconds.

    `latency`: requests wait `amount` seconds. `lost_request`: they are neither carried out nor answered. `lost_reply`:
    they are carried out and not answered. `late_reply`: they are carried out and answered `amount` seconds later.
    `error`: status 500. These hit each request with `probability`. `reflex`: the arm's own protection stops it.
    `push`: the arm feels `amount` newtons on its hand along the base's x axis. `frozen_camera`: `camera` (every
    one if "") sends nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["latency", "lost_request", "lost_reply", "late_reply", "error", "reflex", "push", "frozen_camera"]
    seconds: float = Field(gt=0, le=3600)
    amount: float = Field(default=0.2, ge=0, le=200)
    probability: float = Field(default=1.0, gt=0, le=1)
    camera: str = ""


class Faults:
    """The faults that are active."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._active: dict[str, tuple[Fault, float]] = {}

    def add(self, fault: Fault) -> None:
        """Begins a fault, in place of an earlier one of its kind."""
        self._active[fault.kind] = (fault, time.monotonic() + fault.seconds)

    def clear(self) -> None:
        """Ends all."""
        self._active.clear()

    def hits(self, kind: str) -> Fault | None:
        """The active fault of a kind, if it befalls this request."""
        fault, until = self._active.get(kind, (None, 0.0))
        return fault if fault and time.monotonic() < until and self._random.random() < fault.probability else None


class FaultyNetwork:
    """ASGI middleware that lets faults befall the requests to every route but those below `/sim`."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app, self._faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or fails to."""
        hits = self._faults.hits
        if scope["type"] != "http" or "/sim/" in scope["path"]:
            return await self._app(scope, receive, send)
        if fault := hits("latency"):
            await asyncio.sleep(fault.amount)
        if hits("error"):
            return await PlainTextResponse("Internal Server Error", status_code=500)(scope, receive, send)
        if hits("lost_request"):
            await asyncio.sleep(LOST_SECONDS)
            return await PlainTextResponse("Gateway Timeout", status_code=504)(scope, receive, send)
        late = hits("late_reply")
        delay = LOST_SECONDS if hits("lost_reply") else late.amount if late else 0.0

        async def send_later(message: Any) -> None:
            if delay and message["type"] == "http.response.start":
                await asyncio.sleep(delay)
            await send(message)

        return await self._app(scope, receive, send_later)

"""What the teleoperation page asks its server for."""

from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from pydantic import Field

from rldg.data.view.guard import guarded_app
from rldg.policies.hand import Word
from rldg.serving.teleop_page import Page
from rldg.tasks.model import FrozenModel

STATIC = Path(__file__).parent / "static" / "teleop"
COOKIE = "rldg_teleop"

Share = Annotated[float, Field(ge=-1, le=1)]


class Told(FrozenModel):
    """What the page says, some twenty times a second: the hand, and a button that was pressed."""

    twist: tuple[Share, Share, Share, Share, Share, Share] = (0, 0, 0, 0, 0, 0)
    gripper: Share = 0.0
    word: Word = ""


def create_app(page: Page, token: str = "") -> FastAPI:
    """The page; `POST /hand`, which moves the arm and is answered with the state of the episode; cameras' pictures."""
    app = guarded_app(token, COOKIE)

    @app.post("/hand")
    def hand(told: Told, request: Request) -> Response:
        # Any page may send to any address: only this one may move the arm.
        if request.headers.get("origin") not in (None, f"http://{request.headers.get('host')}"):
            return PlainTextResponse("Only the page itself may move the arm.", status_code=403)
        return JSONResponse(page.tell(np.array(told.twist), told.gripper, told.word))

    @app.get("/cameras/{camera}.jpg")
    def picture(camera: str) -> Response:
        found = page.picture(camera)
        if found is None:
            return PlainTextResponse("There is no such camera.", status_code=404)
        return Response(found, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app

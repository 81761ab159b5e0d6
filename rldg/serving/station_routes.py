"""The wire protocol of SERL's and HIL-SERL's Franka server, spoken by a simulated arm.

Routes, payloads and replies are those of `serl_robot_infra/robot_servers/franka_server.py`; every one is a POST. What
that server does not have stands below `/sim` and `/cameras`: pictures, faults, the scene.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError
from scipy.spatial.transform import Rotation
from starlette.types import ASGIApp, Receive, Scope, Send

from rldg.listening import is_loopback
from rldg.serving.station_arm import SimulatedArm
from rldg.serving.station_cameras import StationCameras
from rldg.serving.station_faults import Fault, Faults, FaultyNetwork

OPEN_ABOVE = 127  # of /move_gripper's 0 open .. 255 closed


class BadRequestError(Exception):
    """A payload that means nothing; the answer's text, with status 400."""


def create_app(arm: SimulatedArm, cameras: StationCameras, token: str = "", seed: int = 0) -> FastAPI:
    """The server's routes, below `/TOKEN` where there is one: its clients then have it in the server's address."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    prefix, faults = (f"/{token}" if token else ""), Faults(seed)

    @app.exception_handler(BadRequestError)
    async def refused(_: Request, error: BadRequestError) -> Response:
        return PlainTextResponse(str(error), status_code=400)

    app.include_router(motion_routes(arm), prefix=prefix)
    app.include_router(reading_routes(arm), prefix=prefix)
    app.include_router(simulation_routes(arm, cameras, faults), prefix=prefix)
    app.add_middleware(FaultyNetwork, faults=faults)
    app.add_middleware(RobotClientsOnly, everywhere=bool(token))
    return app


class RobotClientsOnly:
    """ASGI middleware that refuses browsers, whose pages anybody may have written, and names that are not this machine.

    A page says where it came from, and one whose name was made to resolve to this machine sends its own name.
    """

    def __init__(self, app: ASGIApp, everywhere: bool) -> None:
        self._app, self._everywhere = app, everywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 403."""
        if scope["type"] == "http":
            request = Request(scope)
            if "origin" in request.headers or not (self._everywhere or is_loopback(request.url.hostname)):
                sentence = "This station answers robots' clients on its own machine only."
                return await PlainTextResponse(sentence, status_code=403)(scope, receive, send)
        return await self._app(scope, receive, send)


def motion_routes(arm: SimulatedArm) -> APIRouter:
    """What moves the arm or changes how it moves."""
    router = APIRouter()

    @router.post("/pose")
    async def pose(request: Request) -> Response:
        values = _numbers(await _payload(request), "arr", 7)
        length = float(np.linalg.norm(values[3:]))
        if length < 1e-6:
            raise BadRequestError("'arr' must end in a quaternion (xyzw).")
        arm.set_pose(np.concatenate([values[:3], values[3:] / length]))
        return PlainTextResponse("Moved")

    @router.post("/update_param")
    async def update_param(request: Request) -> Response:
        try:
            arm.set_gains(await _payload(request))
        except ValidationError as error:
            raise BadRequestError(str(error)) from None
        return PlainTextResponse("Updated compliance parameters")

    @router.post("/clearerr")
    async def clear_errors() -> Response:
        arm.clear_errors()
        return PlainTextResponse("Clear")

    @router.post("/jointreset")
    def joint_reset() -> Response:
        arm.joint_reset()
        return PlainTextResponse("Reset Joint")

    @router.post("/startimp")
    async def start_impedance() -> Response:
        arm.start_impedance(True)
        return PlainTextResponse("Started impedance")

    @router.post("/stopimp")
    async def stop_impedance() -> Response:
        arm.start_impedance(False)
        return PlainTextResponse("Stopped impedance")

    @router.post("/set_load")
    async def set_load(request: Request) -> Response:
        load = await _payload(request)
        for name, size in (("F_x_center_load", 3), ("load_inertia", 9)):
            _numbers(load, name, size)
        return PlainTextResponse("Set Load")

    @router.post("/move_gripper")
    async def move_gripper(request: Request) -> Response:
        target = (await _payload(request)).get("gripper_pos")
        if not isinstance(target, int | float) or not 0 <= target <= 255:
            raise BadRequestError("'gripper_pos' must be a number from 0 (open) to 255 (closed).")
        arm.set_gripper(float(target <= OPEN_ABOVE))
        return PlainTextResponse("Moved Gripper")

    for route, opening in (("open_gripper", 1.0), ("close_gripper", 0.0), ("close_gripper_slow", 0.0)):
        router.post(f"/{route}")(_gripper_route(arm, opening))
    for route in ("activate_gripper", "reset_gripper"):
        router.post(f"/{route}")(_gripper_route(arm, None))
    return router


def _gripper_route(arm: SimulatedArm, opening: float | None) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        if opening is not None:
            arm.set_gripper(opening)
        return PlainTextResponse("Done")

    return answer


def reading_routes(arm: SimulatedArm) -> APIRouter:
    """What is measured: each quantity under a route of its own, and all of them under `/getstate`."""
    router = APIRouter()

    @router.post("/getstate")
    async def get_state() -> Response:
        return JSONResponse(_measured(arm))

    @router.post("/getpos_euler")
    async def get_position_euler() -> Response:
        pose = _measured(arm)["pose"]
        return JSONResponse({"pose": [*pose[:3], *Rotation.from_quat(pose[3:]).as_euler("xyz").tolist()]})

    routes = {"getpos": "pose", "get_gripper": "gripper"}
    routes |= {f"get{part}": part for part in ("vel", "force", "torque", "q", "dq", "jacobian")}
    for route, part in routes.items():
        router.post(f"/{route}")(_reading_route(arm, part))
    return router


def _reading_route(arm: SimulatedArm, part: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return JSONResponse({part: _measured(arm)["gripper_pos" if part == "gripper" else part]})

    return answer


def simulation_routes(arm: SimulatedArm, cameras: StationCameras, faults: Faults) -> APIRouter:
    """Pictures, as no Franka server has them, and what only a simulation can do."""
    router = APIRouter()

    @router.get("/cameras")
    async def names() -> Response:
        return JSONResponse(list(cameras.names))

    @router.get("/cameras/{name}")
    def frame(name: str, after: int = 0) -> Response:
        """Raw uint8 RGB; headers say height and width, which frame it is and when it was taken."""
        if name not in cameras.names:
            return PlainTextResponse(f"No camera '{name}'; there are {', '.join(cameras.names)}.", status_code=404)
        seen = cameras.frame(name, after)
        if seen is None:
            return PlainTextResponse("The camera sends no frame.", status_code=503)
        about = {"X-Number": str(seen.number), "X-Time": repr(seen.time)}
        about["X-Shape"] = ",".join(map(str, seen.picture.shape))
        return Response(seen.picture.tobytes(), media_type="application/octet-stream", headers=about)

    @router.post("/sim/fault")
    async def fault(request: Request) -> Response:
        try:
            asked = Fault.model_validate(await _payload(request))
        except ValidationError as error:
            raise BadRequestError(str(error)) from None
        if asked.kind == "reflex":
            arm.reflex(asked.seconds)
        elif asked.kind == "push":
            arm.push(asked.amount, asked.seconds)
        elif asked.kind == "frozen_camera":
            for name in [asked.camera] if asked.camera else cameras.names:
                cameras.freeze(name, asked.seconds)
        else:
            faults.add(asked)
        return JSONResponse(asked.model_dump())

    @router.post("/sim/clear_faults")
    async def clear_faults() -> Response:
        faults.clear()
        return PlainTextResponse("Cleared")

    @router.post("/sim/new_scene")
    async def new_scene(request: Request) -> Response:
        seed = (await _payload(request)).get("seed") if await request.body() else None
        if not (seed is None or (isinstance(seed, int) and seed >= 0)):
            raise BadRequestError("'seed' must be a whole number from 0 on.")
        arm.new_scene(seed)
        return PlainTextResponse("New scene")

    return router


def _measured(arm: SimulatedArm) -> dict[str, Any]:
    state, q, dq, jacobian = arm.state()
    return {
        "pose": state.pose.tolist(),
        "vel": state.velocity.tolist(),
        "force": state.force.tolist(),
        "torque": state.torque.tolist(),
        "q": q.tolist(),
        "dq": dq.tolist(),
        "jacobian": jacobian.tolist(),
        "gripper_pos": state.gripper,
    }


async def _payload(request: Request) -> dict[str, Any]:
    try:
        payload = json.loads(await request.body())
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise BadRequestError("The body must be a JSON object.")
    return payload


def _numbers(payload: dict[str, Any], name: str, count: int) -> np.ndarray:
    """`payload[name]` as float64 (count); the real server, too, dies of anything else."""
    try:
        values = np.asarray(payload.get(name), np.float64).reshape(-1)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise BadRequestError(f"'{name}' must be {count} finite numbers.")
    return values

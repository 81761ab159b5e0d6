"""A task's MuJoCo model: table, socket in its board, arm with the plug in its hand, cameras, light."""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from rldg.errors import TaskFileError
from rldg.sim.connector import MILLIMETRE, board_boxes, plug_vertices, socket_boxes
from rldg.sim.impedance import add_impedance
from rldg.sim.panda import FLANGE_TO_FINGERTIPS, add_panda
from rldg.tasks.station import CameraMount, Station
from rldg.tasks.task import Task

GRIP = 0.012  # metres of plug body between the fingertips and the part that goes into the socket
PLUG_BIT, SOCKET_BIT = 1, 2
SOCKET_COLORS = {
    "wall": (0.55, 0.55, 0.55),
    "chamfer": (0.85, 0.85, 0.85),
    "rim": (0.7, 0.7, 0.7),
    "floor": (0.05, 0.05, 0.05),
    "board": (0.16, 0.27, 0.4),
}


def plug_length(task: Task) -> float:
    """Metres from the fingertips (the tool centre point) to the plug's tip."""
    assert task.sim is not None
    return task.sim.connector.depth * MILLIMETRE + GRIP


def build_model(task: Task, station: Station) -> mujoco.MjModel:
    """Compiles the model; raises `TaskFileError` if the task has no `sim:` block."""
    if task.sim is None:
        raise TaskFileError(f"Task '{task.name}' has no 'sim:' block, so it cannot be simulated; add its geometry.")
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    _set_options(spec, task.sim.timestep)
    _add_surroundings(spec)
    hand = add_panda(spec)
    tool = hand.add_body(name="tool", pos=[0, 0, FLANGE_TO_FINGERTIPS], gravcomp=1)
    tool.add_site(name="tcp", group=5)
    _add_plug(spec, tool, task)
    _add_socket(spec, task)
    for name in task.cameras:
        if name not in station.cameras:
            raise TaskFileError(
                f"Task '{task.name}' uses camera '{name}', but station '{station.name}' has {sorted(station.cameras)}."
            )
        mount = station.cameras[name]
        _add_camera(tool if mount.parent == "tool" else spec.worldbody, name, mount)
    add_impedance(spec, "tcp")
    return spec.compile()


def _set_options(spec: mujoco.MjSpec, timestep: float) -> None:
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    spec.visual.map.znear = 0.005
    spec.visual.map.zfar = 10
    spec.stat.extent = 1
    spec.visual.headlight.ambient = [0.35] * 3
    spec.visual.headlight.diffuse = [0.4] * 3
    spec.visual.headlight.specular = [0.0] * 3


def _add_surroundings(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.82, 0.87, 0.92],
        rgb2=[0.5, 0.53, 0.56],
        width=32,
        height=192,
    )
    spec.worldbody.add_light(
        name="lamp",
        pos=[0.3, -0.6, 1.5],
        dir=[0.1, 0.35, -1],
        castshadow=False,
        diffuse=[0.5] * 3,
        specular=[0.0] * 3,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
    )
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0.5, 0, -0.02],
        size=[0.6, 0.6, 0.02],
        rgba=[0.45, 0.36, 0.28, 1],
        contype=0,
        conaffinity=0,
    )


def _contact(geom: mujoco.MjsGeom, task: Task, own: int, other: int) -> None:
    assert task.sim is not None
    geom.contype, geom.conaffinity = own, other
    geom.condim = 4
    geom.friction = [task.sim.friction, 0.005, 0.0001]
    geom.solref = [2 * task.sim.timestep, 1.0]
    geom.solimp = [0.95, 0.99, 0.0005, 0.5, 2]


def _add_plug(spec: mujoco.MjSpec, tool: mujoco.MjsBody, task: Task) -> None:
    assert task.sim is not None
    length = plug_length(task)
    mesh = spec.add_mesh(name="plug")
    # The plug frame looks up out of the socket; the tool looks down, so the plug is turned by pi about x.
    mesh.uservert = plug_vertices(task.sim.connector, length).ravel()
    geom = tool.add_geom(
        name="plug",
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="plug",
        pos=[0, 0, length],
        quat=[0, 1, 0, 0],
        rgba=[*task.sim.connector.color, 1],
        mass=0.02,
    )
    _contact(geom, task, PLUG_BIT, SOCKET_BIT)


def _add_socket(spec: mujoco.MjSpec, task: Task) -> None:
    assert task.sim is not None
    connector = task.sim.connector
    socket = spec.worldbody.add_body(name="socket", mocap=True)
    boxes = socket_boxes(connector, connector.clearance * MILLIMETRE) + board_boxes(connector)
    for box in boxes:
        geom = socket.add_geom(
            name=box.name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=box.position,
            quat=box.quaternion,
            size=box.size,
            rgba=[*SOCKET_COLORS[box.name.split("_")[0]], 1],
        )
        _contact(geom, task, SOCKET_BIT, PLUG_BIT)


def _add_camera(body: mujoco.MjsBody, name: str, mount: CameraMount) -> None:
    position, backward = np.array(mount.position), np.array(mount.position) - np.array(mount.look_at)
    backward /= np.linalg.norm(backward)
    right = np.cross(mount.up, backward)
    right /= np.linalg.norm(right)
    axes = Rotation.from_matrix(np.column_stack([right, np.cross(backward, right), backward]))
    body.add_camera(name=name, pos=position, quat=axes.as_quat(scalar_first=True), fovy=mount.fovy)

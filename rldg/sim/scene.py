"""A task's MuJoCo model: table, arm, gripper, workpiece in the hand or lying free, fixture, cameras, light."""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from rldg.errors import TaskFileError
from rldg.sim.gripper import add_drive, add_driven_fingers, add_fixed_fingers
from rldg.sim.impedance import add_impedance
from rldg.sim.panda import FLANGE_TO_FINGERTIPS, add_panda
from rldg.tasks.geometry.base import Solid
from rldg.tasks.scene import SimulatedScene
from rldg.tasks.station import CameraMount, Station
from rldg.tasks.task import Task

WORKPIECE_BIT, FIXTURE_BIT = 1, 2
WORKPIECE, FIXTURE, STAND = "workpiece", "fixture", "stand"  # names of bodies
SHAPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "hull": mujoco.mjtGeom.mjGEOM_MESH,
}


def build_model(task: Task, station: Station) -> mujoco.MjModel:
    """Compiles the model; raises `TaskFileError` if the task has no `sim:` block."""
    if task.sim is None:
        raise TaskFileError(f"Task '{task.name}' has no 'sim:' block, so it cannot be simulated; add its geometry.")
    scene, geometry = task.sim, task.sim.geometry
    grasped = task.gripper == "binary"
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    _set_options(spec, scene.timestep)
    _add_surroundings(spec, scene)
    hand = add_panda(spec)
    if grasped:
        add_driven_fingers(hand, touches=WORKPIECE_BIT | FIXTURE_BIT, timestep=scene.timestep)
    else:
        add_fixed_fingers(hand)
    tool = hand.add_body(name="tool", pos=[0, 0, FLANGE_TO_FINGERTIPS], gravcomp=1)
    tool.add_site(name="tcp", group=5)
    workpiece = _add_free_body(spec) if grasped else tool
    _add_solids(spec, workpiece, geometry.workpiece(), scene, WORKPIECE_BIT, FIXTURE_BIT)
    fixture = spec.worldbody.add_body(name=FIXTURE, mocap=True)
    _add_solids(spec, fixture, geometry.fixture(geometry.fit), scene, FIXTURE_BIT, WORKPIECE_BIT)
    if grasped and geometry.stand():
        stand = spec.worldbody.add_body(name=STAND, mocap=True)
        _add_solids(spec, stand, geometry.stand(), scene, FIXTURE_BIT, WORKPIECE_BIT)
    for name in task.cameras:
        if name not in station.cameras:
            raise TaskFileError(
                f"Task '{task.name}' uses camera '{name}', but station '{station.name}' has {sorted(station.cameras)}."
            )
        mount = station.cameras[name]
        _add_camera(tool if mount.parent == "tool" else spec.worldbody, name, mount)
    add_impedance(spec, "tcp")
    if grasped:
        add_drive(spec)
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


def _add_surroundings(spec: mujoco.MjSpec, scene: SimulatedScene) -> None:
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
        rgba=[*scene.table_color, 1],
        contype=0,
        conaffinity=0,
    )


def _add_free_body(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    body = spec.worldbody.add_body(name=WORKPIECE)
    body.add_freejoint(name=WORKPIECE)
    return body


def _add_solids(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, solids: list[Solid], scene: SimulatedScene, own: int, other: int
) -> None:
    """Solids of contact type `own` that touch those of type `other`."""
    for solid in solids:
        geom = body.add_geom(
            name=solid.name,
            type=SHAPES[solid.shape],
            pos=solid.position,
            quat=solid.quaternion,
            size=solid.size,
            rgba=[*solid.color, 0 if solid.only_felt else 1],
            mass=solid.mass,
        )
        if solid.vertices is not None:
            spec.add_mesh(name=solid.name).uservert = solid.vertices.ravel()
            geom.meshname = solid.name
        if solid.only_seen:
            geom.contype = geom.conaffinity = 0
        else:
            _make_contact(geom, scene, own, other)


def _make_contact(geom: mujoco.MjsGeom, scene: SimulatedScene, own: int, other: int) -> None:
    geom.contype, geom.conaffinity = own, other
    geom.condim = 4
    geom.friction = [scene.friction, 0.005, 0.0001]
    geom.solref = [2 * scene.timestep, 1.0]
    geom.solimp = [0.95, 0.99, 0.0005, 0.5, 2]


def _add_camera(body: mujoco.MjsBody, name: str, mount: CameraMount) -> None:
    position, backward = np.array(mount.position), np.array(mount.position) - np.array(mount.look_at)
    backward /= np.linalg.norm(backward)
    right = np.cross(mount.up, backward)
    right /= np.linalg.norm(right)
    axes = Rotation.from_matrix(np.column_stack([right, np.cross(backward, right), backward]))
    body.add_camera(name=name, pos=position, quat=axes.as_quat(scalar_first=True), fovy=mount.fovy)

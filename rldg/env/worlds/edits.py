"""Changed models: the new variants of a benchmark's tasks, as their YAML describes them."""

from collections.abc import Sequence

import mujoco

from rldg.errors import TaskFileError
from rldg.tasks.world import Edit


def edited_model(path: str, edits: Sequence[Edit]) -> mujoco.MjModel:
    """The model in an MJCF file with `edits` made; raises `TaskFileError` for one of something that is not there."""
    spec = mujoco.MjSpec.from_file(path)
    for edit in edits:
        _make(spec, edit)
    return spec.compile()


def _make(spec: mujoco.MjSpec, edit: Edit) -> None:
    found = _named(spec, edit)
    if found is None:
        raise TaskFileError(f"The model has no {edit.kind} '{edit.name}' to edit.")
    if edit.rgba is not None:
        found.rgba = edit.rgba
    if edit.size is not None:
        found.size = edit.size
    if edit.scale is not None:
        found.scale = [part * edit.scale for part in found.scale]


def _named(spec: mujoco.MjSpec, edit: Edit) -> mujoco.MjsMaterial | mujoco.MjsMesh | mujoco.MjsGeom | None:
    match edit.kind:
        case "material":
            return spec.material(edit.name)
        case "mesh":
            return spec.mesh(edit.name)
        case "geom":
            body, _, index = edit.name.partition("/")
            owner = spec.body(body)
            return owner.geoms[int(index)] if owner and int(index) < len(owner.geoms) else None

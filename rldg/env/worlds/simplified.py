"""Models that are cheap to draw: what a software renderer pays for is faces, and what shadows and samples multiply."""

import copy

import mujoco
import numpy as np

SMALL_MESH = 800  # faces up to which a mesh is drawn as it is
CELL = 1 / 32  # edge of the cells in which vertices become one, as a share of the mesh's longest side


def simplified(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy of `model` for pictures only: as many geoms and vertices, but fewer faces, and no multisampling.

    Vertices of a mesh that lie in one cell of a grid become one (Rossignac and Borrel's clustering), and faces that
    thereby lose their area are left out. Corners keep their normals and texture coordinates. What moves is simulated
    with the model itself, which stays as it is.
    """
    drawn = copy.copy(model)
    drawn.vis.quality.offsamples = 0
    for mesh in range(model.nmesh):
        if model.mesh_facenum[mesh] > SMALL_MESH:
            _simplify(drawn, mesh)
    return drawn


def _simplify(model: mujoco.MjModel, mesh: int) -> None:
    first = model.mesh_vertadr[mesh]
    vertices = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
    faces = slice(model.mesh_faceadr[mesh], model.mesh_faceadr[mesh] + model.mesh_facenum[mesh])
    cells = np.round((vertices - vertices.min(axis=0)) / (CELL * np.ptp(vertices, axis=0).max())).astype(int)
    _, chosen, cluster = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    corners = chosen[cluster.reshape(-1)][model.mesh_face[faces]]
    a, b, c = corners.T
    _, once = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
    kept = np.intersect1d(np.flatnonzero((a != b) & (b != c) & (c != a)), once)
    model.mesh_facenum[mesh] = len(kept)
    for rows, new in (
        (model.mesh_face, corners),
        (model.mesh_facenormal, model.mesh_facenormal[faces]),
        (model.mesh_facetexcoord, model.mesh_facetexcoord[faces]),
    ):
        rows[faces.start : faces.start + len(kept)] = new[kept]

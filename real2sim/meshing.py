"""Stage 6, watertight meshes: each completed solid as a closed, outward-facing mesh in its body's frame.

The body's frame sits at the centre of the bounding box, X along its long side, Z up at rest. Primitives become exact
primitives; everything else goes through marching cubes (Lorensen and Cline 1987) and Manifold's simplifier, whose
output is manifold by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from manifold3d import Manifold, Mesh
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from ..errors import CaptureError
from .capture import Float
from .completion import Solid
from .fusion import import_open3d

FACE_BUDGET = 1500
"""Faces of a carved or revolved object: enough for a mug's handle, light enough for software rendering."""


@dataclass(frozen=True)
class ObjectMesh:
    """A closed mesh.

    Attributes:
        vertices: float64 [V, 3] in the body frame [m]; faces: int64 [F, 3], outward.
        size: float64 [3], full extents in the body frame [m].
        world_from_body: float64 [4, 4].
    """

    vertices: Float
    faces: NDArray[np.int64]
    size: Float
    world_from_body: Float

    def trimesh(self) -> trimesh.Trimesh:
        """As a trimesh, vertices kept in order."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)


def body_frame(center: Float, yaw: float) -> Float:
    """world_from_body [4, 4] of a body standing upright at `center`, turned by `yaw` about +Z."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0, center[0]], [s, c, 0, center[1]], [0, 0, 1, center[2]], [0, 0, 0, 1.0]])


def build_mesh(solid: Solid) -> ObjectMesh:
    """The watertight mesh of a solid.

    Raises:
        CaptureError: if no closed surface with positive volume can be made of it.
    """
    size = solid.size
    frame = body_frame(solid.center, solid.yaw)
    if solid.method == "box":
        mesh = trimesh.creation.box(extents=size)
    elif solid.method == "cylinder":
        mesh = trimesh.creation.cylinder(radius=size[0] / 2, height=size[2], sections=48)
    elif solid.method == "sphere":
        mesh = trimesh.creation.icosphere(subdivisions=3, radius=size[2] / 2)
    elif solid.method == "lying cylinder":
        turn = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1.0]])
        mesh = trimesh.creation.cylinder(radius=size[2] / 2, height=size[0], sections=48, transform=turn)
    else:
        return _from_field(solid, frame)
    return ObjectMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64), size, frame)


def _within_budget(manifold: Manifold) -> Manifold:
    """The same solid with at most `FACE_BUDGET` faces, if quadric decimation (Garland and Heckbert 1997) keeps it
    closed."""
    if manifold.num_tri() <= FACE_BUDGET:
        return manifold
    o3d = import_open3d()
    full = manifold.to_mesh()
    legacy = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(np.array(full.vert_properties[:, :3], np.float64)),
        o3d.utility.Vector3iVector(np.array(full.tri_verts, np.int32)),
    )
    light = legacy.simplify_quadric_decimation(FACE_BUDGET)
    light.remove_degenerate_triangles()
    light.remove_unreferenced_vertices()
    reduced = Manifold(Mesh(np.asarray(light.vertices, np.float32), np.asarray(light.triangles, np.uint32)))
    if not reduced.is_empty() and 0.9 < reduced.volume() / manifold.volume() < 1.1:
        return reduced
    # Decimation pinched the surface: Manifold's own simplifier keeps it closed, but with more faces.
    for tolerance in (0.0005, 0.001, 0.002, 0.004):
        reduced = manifold.simplify(tolerance)
        if reduced.num_tri() <= FACE_BUDGET:
            break
    return manifold if reduced.is_empty() or reduced.volume() < 0.5 * manifold.volume() else reduced


def _from_field(solid: Solid, frame: Float) -> ObjectMesh:
    voxel = solid.volume.voxel
    field = ndimage.gaussian_filter(solid.field, 0.6)
    # A closed surface needs free space all round; the bottom layer is padded with the mirrored field, so that the cut
    # between solid and padding falls on the base itself.
    padded = np.pad(field, 1, constant_values=voxel)
    padded[1:-1, 1:-1, 0] = -np.minimum(field[:, :, 0], 0) + 0.02 * voxel
    padded[1:-1, 1:-1, 0] = np.maximum(padded[1:-1, 1:-1, 0], np.where(field[:, :, 0] < 0, -field[:, :, 0], voxel))
    if padded.min() >= 0:
        raise CaptureError("the completed surface of an object encloses no volume")
    # Where the surface passes through a voxel's centre, triangles shrink to points; merged, they tear the surface open.
    padded[np.abs(padded) < 1e-3 * voxel] = 1e-3 * voxel
    vertices, faces, _, _ = marching_cubes(padded, 0.0)  # type: ignore[no-untyped-call]
    world = solid.volume.origin + (vertices - 1) * voxel
    mesh = trimesh.Trimesh(world, faces[:, ::-1], process=False)
    if mesh.volume < 0:
        mesh.invert()
    pieces = mesh.split(only_watertight=False)
    if len(pieces) > 1:
        mesh = max(pieces, key=lambda piece: abs(piece.volume))
    manifold = Manifold(Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32)))
    if manifold.is_empty() or manifold.volume() <= 0:
        raise CaptureError("the completed surface of an object encloses no volume")
    reduced = _within_budget(manifold)
    output = reduced.to_mesh()
    inverse = np.linalg.inv(frame)
    points = np.asarray(output.vert_properties[:, :3], np.float64)
    points[:, 2] = np.maximum(points[:, 2], solid.base)
    local = points @ inverse[:3, :3].T + inverse[:3, 3]
    low, high = local.min(axis=0), local.max(axis=0)
    middle = (low + high) / 2
    frame = frame.copy()
    frame[:3, 3] += frame[:3, :3] @ middle
    return ObjectMesh(local - middle, np.asarray(output.tri_verts, np.int64), high - low, frame)

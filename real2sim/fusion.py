"""Stage 1, fusion: posed depth becomes one coloured surface (truncated signed distance, Curless and Levoy 1996)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CaptureError, MissingDependencyError
from .capture import Float, Image
from .views import FAR, DepthView, Progress, project

VOXEL_MIN, VOXEL_MAX = 0.003, 0.012
"""Bounds on the voxel [m]: finer than 3 mm LiDAR only adds noise; coarser than 12 mm loses chair legs."""
TRUNCATION_VOXELS = 4.0
BLOCK = 16


@dataclass(frozen=True)
class Surface:
    """The fused surface of a capture, in its own Z-up world.

    Attributes:
        vertices: float64 [V, 3] metres. normals: float64 [V, 3], outwards. colors: uint8 [V, 3].
        faces: int64 [F, 3].
        voxel: edge of a voxel [m].
    """

    vertices: Float
    normals: Float
    colors: Image
    faces: NDArray[np.int64]
    voxel: float


def choose_voxel(views: Sequence[DepthView]) -> float:
    """The voxel edge [m]: 1.2 depth pixels at the capture's median range, rounded to 0.5 mm, within bounds."""
    footprints = [float(np.median(v.depth[v.depth > 0])) / v.intrinsics.fx for v in views]
    voxel = 1.2 * float(np.median(footprints))
    return float(np.clip(round(voxel * 2000) / 2000, VOXEL_MIN, VOXEL_MAX))


def import_open3d() -> Any:
    """Imports Open3D; the error names the Debian packages it needs."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"Open3D cannot be loaded ({error}); on Debian or Ubuntu: apt-get install libusb-1.0-0 libgl1 libgomp1"
        ) from error
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    return open3d


def fuse(views: Sequence[DepthView], *, voxel: float | None = None, progress: Progress | None = None) -> Surface:
    """Fuses depth views into one surface.

    Args:
        views: filtered views.
        voxel: edge [m]; chosen from the capture when None.

    Raises:
        CaptureError: if no surface comes out (depth and poses contradict each other).
    """
    o3d = import_open3d()
    core = o3d.core
    voxel = choose_voxel(views) if voxel is None else voxel
    grid = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight"), (core.float32, core.float32), ((1), (1)), voxel, BLOCK, 20000
    )
    for number, view in enumerate(views):
        intrinsic = core.Tensor(view.intrinsics.matrix)
        extrinsic = core.Tensor(np.linalg.inv(view.world_from_camera))
        depth = o3d.t.geometry.Image(core.Tensor(np.ascontiguousarray(view.depth)))
        blocks = grid.compute_unique_block_coordinates(depth, intrinsic, extrinsic, 1.0, FAR, TRUNCATION_VOXELS)
        grid.integrate(blocks, depth, intrinsic, extrinsic, 1.0, FAR, TRUNCATION_VOXELS)
        if progress is not None:
            progress((number + 1) / len(views))
    try:
        mesh = grid.extract_triangle_mesh(weight_threshold=min(3.0, max(0.5, len(views) / 10)))
        empty = mesh.vertex.positions.shape[0] < 100
    except RuntimeError:
        # Open3D 0.20 raises instead of giving an empty mesh.
        empty = True
    if empty:
        raise CaptureError(
            "fusion found no surface: poses and depth contradict each other, or the phone moved too fast"
        )
    mesh.compute_vertex_normals()
    vertices = mesh.vertex.positions.numpy().astype(np.float64)
    normals = mesh.vertex.normals.numpy().astype(np.float64)
    # Open3D's threads finish in any order: sorted, the same capture gives the same surface bit for bit.
    order = np.lexsort(vertices.T)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    faces = rank[mesh.triangle.indices.numpy()]
    faces = faces[np.lexsort(faces.T)]
    vertices, normals = vertices[order], normals[order]
    return Surface(
        vertices=vertices,
        normals=normals,
        colors=color_vertices(vertices, normals, views, tolerance=4 * voxel),
        faces=faces,
        voxel=voxel,
    )


def color_vertices(vertices: Float, normals: Float, views: Sequence[DepthView], *, tolerance: float) -> Image:
    """Mean colour uint8 [V, 3] of each vertex over the pictures that see it, weighted by how squarely they do.

    Pictures are fewer than depth frames in some formats, so colour is gathered here and not during integration.
    Vertices that no picture sees are grey.
    """
    total = np.zeros((len(vertices), 3))
    weight = np.full(len(vertices), 1e-9)
    total += 150 * weight[:, None]
    for view in views:
        if view.color is None:
            continue
        pixels, depth, seen = project(vertices, view)
        seen &= np.abs(view.depth[pixels[:, 1], pixels[:, 0]] - depth) < tolerance
        rays = view.world_from_camera[:3, 3] - vertices[seen]
        squareness = (rays * normals[seen]).sum(1) / np.linalg.norm(rays, axis=1)
        share = np.clip(squareness, 0.05, 1) ** 2
        total[seen] += share[:, None] * view.color[pixels[seen, 1], pixels[seen, 0]]
        weight[seen] += share
    return np.asarray(np.clip(total / weight[:, None], 0, 255), dtype=np.uint8)

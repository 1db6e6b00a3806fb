"""What the virtual phone sees: depth and pictures of a mesh, by casting rays into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .capture import CaptureMesh, Depth, Float, Image, Intrinsics
from .fusion import import_open3d

DEPTH_CAMERA = Intrinsics(193.5, 193.5, 128.0, 96.0, 256, 192)
"""The wide camera of LiDAR iPhones at the resolution of ARKit's depth map."""
COLOR_CAMERA = DEPTH_CAMERA.scaled(960, 720)
FLOOR_COLOR = 170


class VirtualWorld:
    """A mesh, and perhaps a level floor under it, that rays can be cast into."""

    def __init__(self, mesh: CaptureMesh, floor_height: float | None = None) -> None:
        o3d: Any = import_open3d()  # type: ignore[no-untyped-call]
        self.mesh = mesh
        self.floor_height = floor_height
        self._tensor = o3d.core.Tensor
        self._scene = o3d.t.geometry.RaycastingScene()
        self.mesh_id = self._add(mesh.vertices, mesh.faces)
        self.has_color = mesh.colors is not None or (mesh.texture is not None and mesh.uv is not None)
        if floor_height is not None:
            used = mesh.vertices[np.unique(mesh.faces), :2]
            low, high = used.min(axis=0), used.max(axis=0)
            half = np.maximum(0.75 * (high - low), (high - low) / 2 + 0.2)
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + (low + high) / 2
            square = np.column_stack([corners, np.full(4, floor_height)])
            self._add(square, np.array([[0, 1, 2], [0, 2, 3]]))

    def _add(self, vertices: Float, faces: NDArray[np.int64]) -> int:
        number = self._scene.add_triangles(
            self._tensor(np.ascontiguousarray(vertices, np.float32)),
            self._tensor(np.ascontiguousarray(faces, np.uint32)),
        )
        return int(number)

    def cast(self, rays: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Open3D's answer to rays float [..., 6] (origin, direction)."""
        answer = self._scene.cast_rays(self._tensor(np.ascontiguousarray(rays, np.float32)))
        return {key: value.numpy() for key, value in answer.items()}

    def clearance(self, points: Float) -> Float:
        """Distance [N] of points [N, 3] to the nearest surface [m]."""
        return np.asarray(self._scene.compute_distance(self._tensor(points.astype(np.float32))).numpy(), np.float64)

    def depth(self, pose: Float) -> Depth:
        """Depth float32 [192, 256] seen from `pose` [4, 4]; 0 for nothing and for back faces."""
        rays = _rays(DEPTH_CAMERA, pose)
        hit = self.cast(rays)
        front = (hit["primitive_normals"] * rays[..., 3:]).sum(-1) < 0
        return np.where(np.isfinite(hit["t_hit"]) & front, hit["t_hit"], 0).astype(np.float32)

    def color(self, pose: Float) -> Image:
        """Picture uint8 [720, 960, 3] seen from `pose` [4, 4]; black for nothing."""
        hit = self.cast(_rays(COLOR_CAMERA, pose))
        found = np.isfinite(hit["t_hit"])
        picture = np.zeros((*found.shape, 3), np.uint8)
        picture[found] = FLOOR_COLOR
        on_mesh = found & (hit["geometry_ids"] == self.mesh_id)
        picture[on_mesh] = self._shade(hit["primitive_ids"][on_mesh], hit["primitive_uvs"][on_mesh])
        return picture

    def back_share(self, poses: Sequence[Float]) -> float:
        """Share of the mesh's pixels that show back faces."""
        back = total = 0
        for pose in poses:
            rays = _rays(DEPTH_CAMERA, pose)[::4, ::4]
            hit = self.cast(rays)
            on_mesh = np.isfinite(hit["t_hit"]) & (hit["geometry_ids"] == self.mesh_id)
            back += int((on_mesh & ((hit["primitive_normals"] * rays[..., 3:]).sum(-1) > 0)).sum())
            total += int(on_mesh.sum())
        return back / max(total, 1)

    def _shade(self, faces: NDArray[Any], barycentric: NDArray[Any]) -> Image:
        """Colours uint8 [N, 3] at barycentric (second, third corner) [N, 2] of faces [N]."""
        faces = faces.astype(np.int64)
        weights = np.column_stack([1 - barycentric.sum(axis=1), barycentric]).astype(np.float32)
        mesh = self.mesh
        if mesh.texture is not None and mesh.uv is not None:
            uv = (mesh.uv[faces].astype(np.float32) * weights[:, :, None]).sum(axis=1)
            return _lookup(mesh.texture, uv)
        assert mesh.colors is not None
        colors = mesh.colors[mesh.faces[faces]].astype(np.float32)
        return np.asarray((colors * weights[:, :, None]).sum(axis=1) + 0.5, np.uint8)


def _lookup(texture: Image, uv: NDArray[np.float32]) -> Image:
    """Bilinear colours uint8 [N, 3] at uv [N, 2], V upwards; outside [0, 1] the texture repeats."""
    height, width = texture.shape[:2]
    x = uv[:, 0] * width - 0.5
    y = (1 - uv[:, 1]) * height - 0.5
    left, top = np.floor(x), np.floor(y)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    x0, y0 = left.astype(np.int64) % width, top.astype(np.int64) % height
    x1, y1 = (x0 + 1) % width, (y0 + 1) % height
    upper = texture[y0, x0] * (1 - fx) + texture[y0, x1] * fx
    lower = texture[y1, x0] * (1 - fx) + texture[y1, x1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy + 0.5, np.uint8)


def _rays(camera: Intrinsics, pose: Float) -> NDArray[np.float32]:
    """Rays float32 [h, w, 6] through the pixel centres, with directions of unit depth: hit distance is depth."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    local = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)
    direction = local @ pose[:3, :3].T
    origin = np.broadcast_to(pose[:3, 3], direction.shape)
    return np.concatenate([origin, direction], axis=-1).astype(np.float32)

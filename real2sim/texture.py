"""Stage 9, texture: colours from the capture's own pictures, baked per object and for the support they stand on.

Open3D's UVAtlas unwraps each mesh and gives every texel its place in space; each texel then takes the colours of the
pictures that see it best: squarely, from near, unblurred and not behind something. What no picture saw takes the
colour of the nearest part that was seen. MuJoCo has no vertex colours, hence textures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ..errors import CaptureError
from .capture import Capture, Depth, Float, Image, Intrinsics
from .fusion import import_open3d
from .meshing import ObjectMesh
from .views import DepthView, Progress

MAX_PICTURES = 40
BLEND = 3
"""Pictures blended per texel: fewer keep print sharp, more hide exposure steps."""
TEXEL = 0.0006
"""Edge of a texel [m]: an iPhone picture from half a metre resolves 0.35 mm."""
MIN_TEXTURE, MAX_TEXTURE = 64, 512
OCCLUSION = 0.012
"""How far [m] the depth map may lie in front of a texel that still counts as seen; the smear of LiDAR."""


@dataclass(frozen=True)
class Picture:
    """A full-size colour frame with its camera and the depth map that says what hides what."""

    color: Image
    intrinsics: Intrinsics
    world_from_camera: Float
    depth: Depth
    sharpness: float


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh with a texture.

    Attributes:
        uv: float64 [F, 3, 2] per face corner, V upwards as in OBJ.
        image: uint8 [S, S, 3].
        seen: share of the texels that a picture saw.
    """

    mesh: ObjectMesh
    uv: Float
    image: Image
    seen: float


def load_pictures(
    capture: Capture, views: Sequence[DepthView], *, maximum: int = MAX_PICTURES, progress: Progress | None = None
) -> list[Picture]:
    """Decodes up to `maximum` pictures: of each stretch of the capture the sharpest of the candidates read."""
    frames = {frame.index: frame for frame in capture.frames}
    usable = [view for view in views if view.color is not None and view.index in frames]
    if not usable:
        return []
    groups = np.array_split(np.arange(len(usable)), min(maximum, len(usable)))
    pictures = []
    for number, group in enumerate(groups):
        # The small copies tell blur well enough to choose by, without decoding everything at full size.
        best = max((usable[i] for i in group), key=lambda v: _sharpness(v.color))
        frame = frames[best.index]
        assert frame.load_color is not None
        try:
            color = frame.load_color()
        except CaptureError:
            continue
        height, width = color.shape[:2]
        pictures.append(
            Picture(
                color,
                frame.intrinsics.scaled(width, height),
                best.world_from_camera,
                best.edges,
                _sharpness(best.color),
            )
        )
        if progress is not None:
            progress((number + 1) / len(groups))
    return pictures


def texture_mesh(mesh: ObjectMesh, pictures: Sequence[Picture]) -> TexturedMesh:
    """Unwraps a mesh and bakes its texture."""
    o3d = import_open3d()
    tensor = o3d.t.geometry.TriangleMesh(
        o3d.core.Tensor(np.ascontiguousarray(mesh.vertices, np.float32)),
        o3d.core.Tensor(np.ascontiguousarray(mesh.faces, np.int64)),
    )
    area = float(mesh.trimesh().area)
    size = int(np.clip(2 ** np.ceil(np.log2(np.sqrt(area / 0.6) / TEXEL)), MIN_TEXTURE, MAX_TEXTURE))
    tensor.compute_uvatlas(size=size, gutter=2.0, max_stretch=0.3)
    corners = tensor.triangle.texture_uvs.numpy().astype(np.float64)
    tensor.vertex["place"] = tensor.vertex.positions.clone()
    baked = tensor.bake_vertex_attr_textures(size, {"place"}, margin=2.0, fill=float("nan"), update_material=False)
    place = baked["place"].numpy().reshape(size * size, 3).astype(np.float64)
    used = np.flatnonzero(np.isfinite(place).all(axis=1))
    frame = mesh.world_from_body
    points = place[used] @ frame[:3, :3].T + frame[:3, 3]
    normals = mesh.trimesh().face_normals[_nearest_face(mesh, place[used])] @ frame[:3, :3].T
    colors, seen = bake(points, normals, pictures)
    image = np.full((size * size, 3), 128, np.uint8)
    image[used] = fill_unseen(points, colors, seen)
    picture = image.reshape(size, size, 3)
    # Charts bleed into the gutter so that filtering finds no grey seams.
    empty = np.ones(size * size, bool)
    empty[used] = False
    index = ndimage.distance_transform_edt(empty.reshape(size, size), return_distances=False, return_indices=True)
    return TexturedMesh(mesh, corners, np.ascontiguousarray(picture[index[0], index[1]]), float(seen.mean()))


def bake(points: Float, normals: Float, pictures: Sequence[Picture]) -> tuple[Float, NDArray[np.bool_]]:
    """Colours [N, 3] (0-255) of world points [N, 3] with normals, and which of them any picture saw."""
    best_score = np.zeros((BLEND, len(points)), np.float32)
    best_color = np.zeros((BLEND, len(points), 3), np.float32)
    for picture in pictures:
        inverse = np.linalg.inv(picture.world_from_camera)
        camera = points @ inverse[:3, :3].T + inverse[:3, 3]
        z = np.maximum(camera[:, 2], 1e-6)
        k = picture.intrinsics
        u, v = camera[:, 0] / z * k.fx + k.cx, camera[:, 1] / z * k.fy + k.cy
        rays = picture.world_from_camera[:3, 3] - points
        squareness = (rays * normals).sum(1) / np.maximum(np.linalg.norm(rays, axis=1), 1e-9)
        ok = (camera[:, 2] > 0.1) & (u >= 1) & (u < k.width - 1) & (v >= 1) & (v < k.height - 1) & (squareness > 0.15)
        index = np.flatnonzero(ok)
        height, width = picture.depth.shape
        du = (u[index] / k.width * width).astype(int)
        dv = (v[index] / k.height * height).astype(int)
        depth = picture.depth[dv, du]
        index = index[(depth == 0) | (depth > z[index] - OCCLUSION - 0.01 * z[index])]
        if len(index) == 0:
            continue
        color = _bilinear(picture.color, u[index] - 0.5, v[index] - 0.5)
        score = (squareness[index] ** 2 / z[index] * picture.sharpness).astype(np.float32)
        for rank in range(BLEND):
            better = score > best_score[rank, index]
            held_score, held_color = best_score[rank, index].copy(), best_color[rank, index].copy()
            best_score[rank, index] = np.where(better, score, held_score)
            best_color[rank, index] = np.where(better[:, None], color, held_color)
            score = np.where(better, held_score, score)
            color = np.where(better[:, None], held_color, color)
    weight = best_score**2
    total = weight.sum(axis=0)
    mean = (best_color * weight[:, :, None]).sum(axis=0) / np.maximum(total, 1e-12)[:, None]
    return mean.astype(np.float64), total > 0


def fill_unseen(points: Float, colors: Float, seen: NDArray[np.bool_]) -> Image:
    """Gives unseen points the mean colour of the eight nearest seen ones; grey if none was seen."""
    if not seen.any():
        return np.full((len(points), 3), 160, np.uint8)
    filled = colors.copy()
    if not seen.all():
        count = min(8, int(seen.sum()))
        _, nearest = cKDTree(points[seen]).query(points[~seen], k=count)
        filled[~seen] = colors[seen][nearest.reshape(-1, count)].mean(axis=1)
    return np.clip(filled, 0, 255).astype(np.uint8)


def orthophoto(
    center: Float, size: Float, yaw: float, height: float, pictures: Sequence[Picture], *, texel: float = 0.002
) -> tuple[Image, float]:
    """The picture uint8 [H, W, 3] of a level rectangle seen from above (first row at +Y), and the share that was
    seen."""
    width, depth = (int(np.clip(np.ceil(v / texel), 16, 1024)) for v in size)
    x = (np.arange(width) + 0.5) / width * size[0] - size[0] / 2
    y = size[1] / 2 - (np.arange(depth) + 0.5) / depth * size[1]
    gx, gy = np.meshgrid(x, y)
    c, s = np.cos(yaw), np.sin(yaw)
    points = np.stack(
        [center[0] + c * gx - s * gy, center[1] + s * gx + c * gy, np.full_like(gx, height)], axis=-1
    ).reshape(-1, 3)
    colors, seen = bake(points, np.broadcast_to([0.0, 0.0, 1.0], points.shape), pictures)
    return fill_unseen(points, colors, seen).reshape(depth, width, 3), float(seen.mean())


def _nearest_face(mesh: ObjectMesh, points: Float) -> NDArray[np.int64]:
    """Face [N] whose plane each on-surface point lies on, by Open3D's ray-casting tree."""
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(np.ascontiguousarray(mesh.vertices, np.float32)),
        o3d.core.Tensor(np.ascontiguousarray(mesh.faces, np.uint32)),
    )
    answer = scene.compute_closest_points(o3d.core.Tensor(np.ascontiguousarray(points, np.float32)))
    return np.asarray(answer["primitive_ids"].numpy(), np.int64)


def _bilinear(image: Image, u: Float, v: Float) -> NDArray[np.float32]:
    x, y = np.floor(u).astype(int), np.floor(v).astype(int)
    x = np.clip(x, 0, image.shape[1] - 2)
    y = np.clip(y, 0, image.shape[0] - 2)
    a, b = (u - x).astype(np.float32)[:, None], (v - y).astype(np.float32)[:, None]
    top = image[y, x] * (1 - a) + image[y, x + 1] * a
    bottom = image[y + 1, x] * (1 - a) + image[y + 1, x + 1] * a
    return np.asarray(top * (1 - b) + bottom * b, np.float32)


def _sharpness(image: Image | None) -> float:
    """Mean absolute Laplacian of the grey picture: falls with motion blur."""
    if image is None:
        return 0.0
    grey = image.astype(np.float32).mean(axis=2)
    return float(np.abs(ndimage.laplace(grey)).mean()) + 1e-3

"""Random points on the surface of an object, with their colours, and the share of its box that it fills."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SceneError
from ..scenes.scene import Body, CollisionGeom, Material, Pose, SceneObject
from .scaling import rotation

Array = NDArray[np.float64]

HIDDEN = 1e-6
"""A point so deep [m] in another shape of its object is not on the object's surface."""


def bodies(item: SceneObject) -> list[tuple[Body, Pose]]:
    """The rigid bodies of an object with their poses in its frame, parts as they were scanned."""
    return [(item.body, Pose()), *((part.body, part.body.pose) for part in item.parts)]


def surface(item: SceneObject, folder: Path | None, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """About `count` points on the surface, uniform by area, in the object's frame.

    Drawn meshes are sampled as they are; collision shapes without the surface that is inside another shape.

    Args:
        item: the object. folder: of its scene, for meshes and textures. count: of points. rng: where they come from.

    Returns:
        Points (n, 3) [m] and their colours (n, 3), sRGB in [0, 1].

    Raises:
        SceneError: it has neither shapes nor a mesh, or a file cannot be read.
    """
    pieces: list[tuple[float, Body, Pose, CollisionGeom | None]] = []
    for body, pose in bodies(item):
        if body.visual.mesh is not None:
            pieces.append((float(_areas(*_skin(body, folder, item.name)[:2]).sum()), body, pose, None))
        else:
            pieces += [(_area(geom, folder, item.name), body, pose, geom) for geom in body.collision]
    total = sum(area for area, *_ in pieces)
    if total <= 0:
        raise SceneError(f"object {item.name!r} has neither collision shapes nor a mesh; give it a shape")
    points, colours = [], []
    for area, body, pose, geom in pieces:
        number = max(1, round(count * area / total))
        if geom is None:
            found, colour = _drawn(body, folder, item.name, number, rng)
        else:
            found = _on_shape(geom, folder, item.name, number, rng)
            for other in body.collision:
                if other is not geom:
                    found = found[depth(other, found, folder, item.name) < HIDDEN]
            colour = np.tile(_colour(body.visual.material, None, folder, item.name), (len(found), 1))
        points.append(_placed(found, pose))
        colours.append(colour)
    return np.concatenate(points), np.concatenate(colours)


def fill_ratio(item: SceneObject, folder: Path | None, count: int, rng: np.random.Generator) -> float:
    """Share of the box around the collision shapes that they fill, from `count` random points in it."""
    shapes = [(geom, pose) for body, pose in bodies(item) for geom in body.collision]
    if not shapes:
        return 1.0
    corners = np.concatenate([_placed(_extremes(geom, folder, item.name), pose) for geom, pose in shapes])
    low, high = corners.min(axis=0), corners.max(axis=0)
    points = rng.uniform(low, high, size=(count, 3))
    full = np.zeros(count, dtype=bool)
    for geom, pose in shapes:
        empty = np.flatnonzero(~full)
        full[empty] = depth(geom, _unplaced(points[empty], pose), folder, item.name) > 0
    return float(full.mean())


def depth(geom: CollisionGeom, points: Array, folder: Path | None, name: str) -> Array:
    """How deep [m] points (n, 3) of the body's frame lie in a shape; negative outside (no exact distance there)."""
    local, half = _unplaced(points, geom.pose), np.array(geom.size) / 2
    if geom.shape == "box":
        return np.asarray((half - np.abs(local)).min(axis=1))
    if geom.shape == "sphere":
        return np.asarray(half[0] - np.linalg.norm(local, axis=1))
    if geom.shape == "cylinder":
        return np.asarray(np.minimum(half[0] - np.hypot(local[:, 0], local[:, 1]), half[2] - np.abs(local[:, 2])))
    if geom.shape == "capsule":
        beyond = np.maximum(np.abs(local[:, 2]) - max(half[2] - half[0], 0.0), 0.0)
        return np.asarray(half[0] - np.sqrt(local[:, 0] ** 2 + local[:, 1] ** 2 + beyond**2))
    vertices, faces = _hull(geom, folder, name)
    found = np.minimum(local - vertices.min(axis=0), vertices.max(axis=0) - local).min(axis=1)
    near = found > 0  # the planes are asked only about points in the box
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    normals, a = normals[lengths > 0] / lengths[lengths > 0, None], a[lengths > 0]
    offsets = (normals * a).sum(axis=1)
    inwards = np.sign(offsets - normals @ vertices.mean(axis=0))  # whichever way its faces are wound
    found[near] = ((offsets - local[near] @ normals.T) * inwards).min(axis=1)
    return np.asarray(found)


# Shapes ---------------------------------------------------------------------------------------------------------------


def _area(geom: CollisionGeom, folder: Path | None, name: str) -> float:
    x, y, z = geom.size
    if geom.shape == "box":
        return 2 * (x * y + y * z + z * x)
    if geom.shape == "cylinder":
        return math.pi * x * (x / 2 + z)
    if geom.shape in ("sphere", "capsule"):  # a capsule's cylinder is as long as it is longer than wide
        return math.pi * x * (x if geom.shape == "sphere" else max(z, x))
    return float(_areas(*_hull(geom, folder, name)).sum())


def _on_shape(geom: CollisionGeom, folder: Path | None, name: str, count: int, rng: np.random.Generator) -> Array:
    x, y, z = geom.size
    if geom.shape == "box":
        points = rng.uniform(-0.5, 0.5, size=(count, 3))
        across = rng.choice(3, size=count, p=np.array([y * z, z * x, x * y]) / (x * y + y * z + z * x))
        points[np.arange(count), across] = rng.choice([-0.5, 0.5], size=count)
        points *= geom.size
    elif geom.shape == "mesh":
        points = _on_triangles(*_hull(geom, folder, name), count, rng)[0]
    elif geom.shape == "cylinder":
        radius, angle, height = np.full(count, x / 2), *rng.uniform([[0.0], [-0.5]], [[2 * math.pi], [0.5]], (2, count))
        lid = rng.random(count) < x / 2 / (x / 2 + z)
        radius[lid] *= np.sqrt(rng.random(lid.sum()))
        height[lid] = np.sign(height[lid]) / 2
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle), z * height], axis=1)
    else:
        # On a sphere heights are uniform (Archimedes), as on the cylinder around it: a capsule's are on both together.
        straight = 0.0 if geom.shape == "sphere" else max(z - x, 0.0)
        height, angle = rng.uniform([[-0.5], [0.0]], [[0.5], [2 * math.pi]], (2, count))
        height = height * (x + straight)
        cap = np.maximum(np.abs(height) - straight / 2, 0.0)
        radius = np.sqrt(np.maximum(x * x / 4 - cap * cap, 0.0))
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    return _placed(points, geom.pose)


def _extremes(geom: CollisionGeom, folder: Path | None, name: str) -> Array:
    """Points whose bounding box, in whichever frame they are seen, is (for round shapes: nearly) that of the shape."""
    if geom.shape == "mesh":
        return _placed(_hull(geom, folder, name)[0], geom.pose)
    half = np.array(geom.size) / 2
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    if geom.shape == "box":
        return _placed(signs * half, geom.pose)
    if geom.shape == "cylinder":
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        ring = np.stack([half[0] * np.cos(angles), half[0] * np.sin(angles), np.full(48, half[2])], axis=1)
        return _placed(np.concatenate([ring, ring * [1, 1, -1]]), geom.pose)
    straight = 0.0 if geom.shape == "sphere" else max(half[2] - half[0], 0.0)
    ends = _placed(np.array([[0, 0, straight], [0, 0, -straight]]), geom.pose)
    return np.concatenate([end + signs * half[0] for end in ends])


def _hull(geom: CollisionGeom, folder: Path | None, name: str) -> tuple[Array, NDArray[np.int64]]:
    vertices, faces, _ = _mesh(_path(folder, geom.mesh or "", name))
    return vertices * np.array(geom.scale), faces


# Meshes and colours ---------------------------------------------------------------------------------------------------


def _drawn(body: Body, folder: Path | None, name: str, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    vertices, faces, uv = _skin(body, folder, name)
    points, at, weights = _on_triangles(vertices, faces, count, rng)
    where = None if uv is None else (uv[faces[at]] * weights[:, :, None]).sum(axis=1)
    colour = _colour(body.visual.material, where, folder, name)
    return points, np.broadcast_to(colour, (count, 3))


def _skin(body: Body, folder: Path | None, name: str) -> tuple[Array, NDArray[np.int64], Array | None]:
    """Vertices, faces and texture coordinates of a body's drawn mesh, as it is stretched."""
    vertices, faces, uv = _mesh(_path(folder, body.visual.mesh or "", name))
    return vertices * np.array(body.visual.scale), faces, uv


def _on_triangles(
    vertices: Array, faces: NDArray[np.int64], count: int, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64], Array]:
    """Points (n, 3) uniform by area, the faces (n,) they are on, and their barycentric coordinates (n, 3)."""
    areas = _areas(vertices, faces)
    at = np.searchsorted(np.cumsum(areas), rng.random(count) * areas.sum()).clip(0, len(faces) - 1)
    u, v = rng.random((2, count))
    u = np.sqrt(u)
    weights = np.stack([1 - u, u * (1 - v), u * v], axis=1)  # Osada et al. 2002, eq. 1
    return np.einsum("nk,nkd->nd", weights, vertices[faces[at]]), at, weights


def _areas(vertices: Array, faces: NDArray[np.int64]) -> Array:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def _colour(material: Material, uv: Array | None, folder: Path | None, name: str) -> Array:
    """sRGB (3,) of a material, or (n, 3) at texture coordinates (n, 2)."""
    base = np.array(material.rgba[:3])
    if material.texture is None:
        return base
    image = _image(_path(folder, material.texture, name))
    if uv is None:
        return np.asarray(base * image.reshape(-1, 3).mean(axis=0))
    height, width = image.shape[:2]
    uv = np.where((uv < 0) | (uv > 1), uv % 1.0, uv)  # textures repeat, but 1 is the last pixel, not the first
    column = (uv[:, 0] * width).astype(int).clip(0, width - 1)
    row = ((1.0 - uv[:, 1]) * height).astype(int).clip(0, height - 1)
    return np.asarray(base * image[row, column])


def _path(folder: Path | None, file: str, name: str) -> Path:
    if folder is None:
        raise SceneError(f"object {name!r} has the file {file!r}, but its scene is in no folder; load or save it first")
    return Path(folder) / file


def _mesh(path: Path) -> tuple[Array, NDArray[np.int64], Array | None]:
    return _load_mesh(path, _changed(path))


def _image(path: Path) -> Array:
    return _load_image(path, _changed(path))


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}; save the scene again") from error


@lru_cache(maxsize=512)
def _load_mesh(path: Path, _changed: int) -> tuple[Array, NDArray[np.int64], Array | None]:
    import trimesh

    try:
        mesh: Any = trimesh.load(path, force="mesh", process=False)
    except Exception as error:  # whatever a broken file makes its parser stumble over
        raise SceneError(f"{path} is no readable mesh: {error}; save the scene again") from error
    if len(mesh.faces) == 0:
        raise SceneError(f"{path} holds no triangles; save the scene again")
    uv = getattr(mesh.visual, "uv", None)
    coordinates = None if uv is None else np.array(uv, dtype=np.float64)
    return np.array(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64), coordinates


@lru_cache(maxsize=64)
def _load_image(path: Path, _changed: int) -> Array:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (128, 128))  # JPEG decodes straight to an eighth
            return np.asarray(image.convert("RGB").resize((128, 128), Image.Resampling.BOX), dtype=float) / 255
    except OSError as error:
        raise SceneError(f"{path} is no readable picture: {error}; save the scene again") from error


# Frames ---------------------------------------------------------------------------------------------------------------


def _placed(points: Array, pose: Pose) -> Array:
    return np.asarray(points @ rotation(pose).T + np.array(pose.position))


def _unplaced(points: Array, pose: Pose) -> Array:
    return np.asarray((points - np.array(pose.position)) @ rotation(pose))

"""Signed distances to the geoms of a MuJoCo model, exact for its primitives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Distance = Callable[[Array], Array]

_GEOM = mujoco.mjtGeom


def geom_distance(model: mujoco.MjModel, geom: int, position: Array, rotation: Array) -> Distance:
    """Distance to one geom with a pose: (n, 3) points to (n,) [m], negative inside.

    Ellipsoids are approximated to first order; meshes stand for their convex hulls, as in MuJoCo's collisions, and
    outside of these the distance is that to the nearest of their planes: at edges it is too small.
    """
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    shape = _planes(model, geom) if kind == _GEOM.mjGEOM_MESH else _SHAPES[kind](size)
    return lambda points: shape((points - position) @ rotation)


def union(distances: Sequence[Distance]) -> Distance:
    """Distance to the nearest of several things."""

    def nearest(points: Array) -> Array:
        found = distances[0](points)
        for distance in distances[1:]:
            np.minimum(found, distance(points), out=found)
        return found

    return nearest


def _box(size: Array) -> Distance:
    def distance(points: Array) -> Array:
        apart = np.abs(points) - size
        outside = np.maximum(apart, 0)
        return np.asarray(np.sqrt((outside * outside).sum(1)) + np.minimum(apart.max(1), 0))

    return distance


def _sphere(size: Array) -> Distance:
    return lambda points: np.sqrt((points * points).sum(1)) - size[0]


def _capsule(size: Array) -> Distance:
    def distance(points: Array) -> Array:
        along = points[:, 2] - np.clip(points[:, 2], -size[1], size[1])
        return np.asarray(np.sqrt((points[:, :2] ** 2).sum(1) + along**2) - size[0])

    return distance


def _cylinder(size: Array) -> Distance:
    def distance(points: Array) -> Array:
        apart = np.stack([np.hypot(points[:, 0], points[:, 1]) - size[0], np.abs(points[:, 2]) - size[1]], 1)
        outside = np.maximum(apart, 0)
        return np.asarray(np.sqrt((outside * outside).sum(1)) + np.minimum(apart.max(1), 0))

    return distance


def _ellipsoid(size: Array) -> Distance:
    def distance(points: Array) -> Array:
        scaled = np.sqrt(((points / size) ** 2).sum(1))
        slope = np.sqrt(((points / size**2) ** 2).sum(1))
        return np.asarray(scaled * (scaled - 1) / np.maximum(slope, 1e-9))

    return distance


def _plane(_: Array) -> Distance:
    return lambda points: points[:, 2].copy()


def _planes(model: mujoco.MjModel, geom: int) -> Distance:
    from scipy.spatial import ConvexHull

    mesh = int(model.geom_dataid[geom])
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    sides = ConvexHull(model.mesh_vert[first : first + count].astype(np.float64)).equations
    sides = np.unique(np.round(sides, 6), axis=0)

    def distance(points: Array) -> Array:
        found = np.full(len(points), -np.inf)
        for x, y, z, d in sides:
            np.maximum(found, points @ np.array([x, y, z]) + d, out=found)
        return found

    return distance


_SHAPES: dict[int, Callable[[Array], Distance]] = {
    int(_GEOM.mjGEOM_BOX): _box,
    int(_GEOM.mjGEOM_SPHERE): _sphere,
    int(_GEOM.mjGEOM_CAPSULE): _capsule,
    int(_GEOM.mjGEOM_CYLINDER): _cylinder,
    int(_GEOM.mjGEOM_ELLIPSOID): _ellipsoid,
    int(_GEOM.mjGEOM_PLANE): _plane,
}

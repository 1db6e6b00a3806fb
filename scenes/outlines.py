"""Outlines of bodies seen from above: what relations, mounting, goals and jitter need to keep things apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 24, False)), np.sin(np.linspace(0, 2 * np.pi, 24, False))], axis=1)
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)


@dataclass(frozen=True)
class Outline:
    """An upright box around points: an oriented rectangle seen from above, and a range of heights.

    Attributes:
        center: (2,) its middle [m]. half: (2,) half extents [m], the longer first. yaw: of the longer side [rad].
        low, high: lowest and highest point [m].
    """

    center: Array
    half: Array
    yaw: float
    low: float
    high: float

    @property
    def axes(self) -> Array:
        """(2, 2) unit vectors along the two sides, as rows."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[c, s], [-s, c]])

    @property
    def radius(self) -> float:
        """Half the diagonal seen from above [m]."""
        return float(np.hypot(*self.half))

    def distance(self, points: Array) -> Array:
        """Distance [m] of each point (n, 2) to the rectangle, 0 inside."""
        local = np.abs((points - self.center) @ self.axes.T) - self.half
        return np.asarray(np.hypot(*np.maximum(local, 0).T))

    def inside(self, points: Array) -> Array:
        """How deep [m] each point (n, 2) lies inside the rectangle; negative outside."""
        return np.asarray((self.half - np.abs((points - self.center) @ self.axes.T)).min(axis=1))

    def gap(self, other: Outline) -> float:
        """A lower bound of the distance [m] between two rectangles seen from above; negative if they overlap."""
        best = -math.inf
        for axis in np.concatenate([self.axes, other.axes]):
            reach = np.abs(self.axes @ axis) @ self.half + np.abs(other.axes @ axis) @ other.half
            best = max(best, abs(float(axis @ (self.center - other.center))) - float(reach))
        return best


def outline(points: Array) -> Outline:
    """The outline of world points (n, 3): the smallest rectangle, its direction found to a quarter of a degree."""
    coarse = _smallest(points, np.radians(np.arange(0, 90, 3.0)))
    return _smallest(points, coarse.yaw + np.radians(np.arange(-3, 3.1, 0.25)))


def _smallest(points: Array, angles: Array) -> Outline:
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = points[:, :2] @ directions.T
    across = points[:, :2] @ np.stack([-directions[:, 1], directions[:, 0]])
    size = np.stack([np.ptp(along, axis=0), np.ptp(across, axis=0)], axis=1)
    best = int(np.argmin(size.prod(axis=1) + 1e-9 * np.arange(len(angles))))
    middle = np.array([along[:, best].max() + along[:, best].min(), across[:, best].max() + across[:, best].min()]) / 2
    c, s = directions[best]
    center = np.array([c * middle[0] - s * middle[1], s * middle[0] + c * middle[1]])
    half, yaw = size[best] / 2, float(angles[best])
    if half[1] > half[0]:
        half, yaw = half[::-1].copy(), yaw + math.pi / 2
    return Outline(center, half, yaw, float(points[:, 2].min()), float(points[:, 2].max()))


def geom_points(model: mujoco.MjModel, geom: int) -> Array:
    """Points (n, 3) in the geom's frame whose convex hull is (for round shapes: holds closely) the geom."""
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        start = int(model.mesh_vertadr[mesh])
        return np.asarray(model.mesh_vert[start : start + int(model.mesh_vertnum[mesh])], dtype=float)
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return np.concatenate([np.c_[size[0] * _CIRCLE, np.full(len(_CIRCLE), z)] for z in (-size[1], size[1])])
    center, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    return np.asarray(center + _SIGNS * half)


def collision_geoms(model: mujoco.MjModel, body: int) -> list[int]:
    """Ids of the geoms of a body and of its descendants that collide."""
    bodies = [other for other in range(model.nbody) if _is_below(model, other, body)]
    return [g for g in range(model.ngeom) if model.geom_bodyid[g] in bodies and model.geom_contype[g]]


def body_points(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> Array:
    """World points (n, 3) of a body's collision geoms, and of those of the bodies it carries."""
    clouds = [
        geom_points(model, geom) @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
        for geom in collision_geoms(model, body)
    ]
    if not clouds:
        return np.asarray(data.xpos[body]).reshape(1, 3).copy()
    return np.concatenate(clouds)


def _is_below(model: mujoco.MjModel, body: int, ancestor: int) -> bool:
    while body not in (ancestor, 0):
        body = int(model.body_parentid[body])
    return body == ancestor

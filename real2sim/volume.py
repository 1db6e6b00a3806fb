"""A dense distance field round one object, from all depth views: what was seen, what was seen through, what is unknown.

Fusion of the whole scene keeps only what lies near surfaces. To complete an object we must also know which space the
phone
looked *through*: unknown space behind the visible surface may be solid, space that was seen through may not (space
carving, Kutulakos and Seitz 2000). The field is that of Curless and Levoy (1996), with a short reach behind surfaces so
that both sides of a thin wall survive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .capture import Float
from .views import NEAR, DepthView

MAX_VOXELS = 1_000_000
REACH = 0.006
"""Reach of a measurement before and behind the surface [m]. It is the same both ways: a longer reach in front would
let the
few rays that slip past an edge outvote those that hit it, and a longer one behind would let one side of a wall eat
the other."""

THROUGH = 0.015
"""A ray that ends this far [m] behind a voxel went through it."""
MIN_HIT_RATIO = 0.6
"""Hits per pass from which a voxel holds something: half the rays miss what is one depth pixel wide."""

Grid = NDArray[np.float32]


@dataclass(frozen=True)
class Volume:
    """A regular grid in the aligned world.

    Attributes:
        origin: float64 [3], centre of voxel (0, 0, 0) [m].
        voxel: edge [m].
        distance: float32 [X, Y, Z], mean signed distance [m], positive in free space; 0 where unknown.
        thin: bool [X, Y, Z], hit about as often as looked through: surface, or something too thin to measure.
        seen: float32 [X, Y, Z], sum of the measurements' weights (1 for a square look, 0.05 for a grazing one); 0
        where unknown.
    """

    origin: Float
    voxel: float
    distance: Grid
    seen: Grid
    thin: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        x, y, z = self.distance.shape
        return x, y, z

    def axis(self, number: int) -> Float:
        """World coordinates [N] of the voxel centres along x (0), y (1) or z (2)."""
        return np.asarray(self.origin[number] + self.voxel * np.arange(self.shape[number]))

    def centers(self) -> Float:
        """World coordinates [X * Y * Z, 3] of all voxel centres."""
        x, y, z = np.meshgrid(self.axis(0), self.axis(1), self.axis(2), indexing="ij")
        return np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)


def observe(low: Float, high: Float, views: Sequence[DepthView], *, voxel: float, maximum_views: int = 120) -> Volume:
    """Gathers the field in the box from `low` to `high` [3] from up to `maximum_views` evenly chosen views."""
    size = high - low
    voxel = max(voxel, float((np.prod(size) / MAX_VOXELS) ** (1 / 3)))
    shape = np.maximum(np.ceil(size / voxel).astype(int) + 1, 4)
    origin = low
    empty = np.zeros(tuple(shape), np.float32)
    points = Volume(origin, voxel, empty, empty, empty > 0).centers().astype(np.float32)
    reach = np.float32(max(REACH, 1.5 * voxel))
    total = np.zeros(len(points), np.float32)
    weight = np.zeros(len(points), np.float32)
    hit = np.zeros(len(points), np.int16)
    through = np.zeros(len(points), np.int16)
    if len(views) > maximum_views:
        chosen = np.unique(np.linspace(0, len(views) - 1, maximum_views).round().astype(int))
        views = [views[i] for i in chosen]
    for view in views:
        inverse = np.linalg.inv(view.world_from_camera).astype(np.float32)
        k = view.intrinsics
        z = points @ inverse[2, :3] + inverse[2, 3]
        if (z < NEAR).all():
            continue
        reciprocal = 1 / np.maximum(z, np.float32(NEAR))
        u = ((points @ inverse[0, :3] + inverse[0, 3]) * reciprocal * np.float32(k.fx) + np.float32(k.cx)).astype(
            np.int32
        )
        v = ((points @ inverse[1, :3] + inverse[1, 3]) * reciprocal * np.float32(k.fy) + np.float32(k.cy)).astype(
            np.int32
        )
        inside = np.flatnonzero((z > NEAR) & (u >= 0) & (u < k.width) & (v >= 0) & (v < k.height))
        depth = view.depth[v[inside], u[inside]]
        difference = depth - z[inside]
        edge = view.edges[v[inside], u[inside]]
        beyond = edge - z[inside]
        hit[inside] += (edge > 0) & (np.abs(beyond) < voxel)
        through[inside] += (edge > 0) & (beyond > THROUGH)
        used = (depth > 0) & (difference > -reach)
        index = inside[used]
        share = squareness(view)[v[index], u[index]]
        total[index] += share * np.minimum(difference[used], reach)
        weight[index] += share
    distance = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    thin = (hit >= 3) & (hit > through * MIN_HIT_RATIO)
    return Volume(origin, voxel, distance.reshape(shape), weight.reshape(shape), thin.reshape(shape))


def squareness(view: DepthView) -> Grid:
    """Weight [h, w] of each depth pixel: the squared cosine of its angle of incidence, at least 0.05.

    Along a ray that grazes a surface, distance to the measured point says little about distance to the surface.
    """
    k, depth = view.intrinsics, view.depth
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]].astype(np.float32)
    ray = np.stack([(u + 0.5 - k.cx) / k.fx, (v + 0.5 - k.cy) / k.fy, np.ones_like(depth)], axis=-1)
    points = ray * depth[..., None]
    du = np.zeros_like(points)
    dv = np.zeros_like(points)
    du[:, 1:-1] = points[:, 2:] - points[:, :-2]
    dv[1:-1] = points[2:] - points[:-2]
    normal = np.cross(du, dv)
    length = np.linalg.norm(normal, axis=-1) * np.linalg.norm(ray, axis=-1)
    cosine = np.abs((normal * ray).sum(axis=-1)) / np.maximum(length, 1e-12)
    complete = np.zeros(depth.shape, bool)
    complete[1:-1, 1:-1] = (
        (depth[1:-1, 2:] > 0) & (depth[1:-1, :-2] > 0) & (depth[2:, 1:-1] > 0) & (depth[:-2, 1:-1] > 0)
    )
    return np.where(complete, np.clip(cosine**2, 0.05, 1.0), 0.05).astype(np.float32)

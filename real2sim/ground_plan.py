"""Ground plans of pieces of surface: what they cover of the floor, seen from above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from .capture import Float

CELL = 0.005
"""Edge [m] of the cells in which ground plans are compared."""


def area(xy: Float, voxel: float) -> float:
    """Ground [m^2] that surface with vertices xy [N, 2], a voxel [m] apart, covers."""
    cell = max(CELL, voxel)
    return len(np.unique((xy / cell).astype(int), axis=0)) * cell**2


def inside_hull(xy: Float, outline: Float) -> NDArray[np.bool_]:
    """Which of points xy [N, 2] lie in the convex hull of `outline` [M, 2], or within a cell of it."""
    try:
        equations = ConvexHull(outline).equations
    except QhullError:
        return np.zeros(len(xy), bool)
    return np.asarray((xy @ equations[:, :2].T + equations[:, 2] <= CELL).all(axis=1))


def hull_share(xy: Float, outline: Float) -> float:
    """Share of points xy [N, 2] within the convex hull of `outline` [M, 2]."""
    return float(inside_hull(xy, outline).mean())


def long_axis(xy: Float) -> tuple[Float, Float, float, float]:
    """Middle [2] and unit direction [2] of points xy [N, 2], and their extents [m] along and across it."""
    middle = xy.mean(axis=0)
    direction = np.linalg.eigh(np.cov((xy - middle).T))[1][:, 1]
    along, across = (xy - middle) @ direction, (xy - middle) @ np.array([-direction[1], direction[0]])
    return middle, direction, float(np.ptp(along)), float(np.ptp(across))


def plan_gap(one: Float, two: Float) -> tuple[float, float]:
    """Of the convex hull round points [N, 2] and [M, 2], the share in the hull of neither; of the smaller hull, the
    share in the other."""
    try:
        hulls = [ConvexHull(points).equations for points in (one, two, np.concatenate([one, two]))]
    except QhullError:
        return 0.0, 1.0
    corner, end = np.minimum(one.min(axis=0), two.min(axis=0)), np.maximum(one.max(axis=0), two.max(axis=0))
    grid = np.stack(np.meshgrid(*(np.arange(a, b, CELL) for a, b in zip(corner, end, strict=True))), axis=-1)
    first, second, both = ((grid @ hull[:, :2].T + hull[:, 2] <= 1e-9).all(axis=-1) for hull in hulls)
    smaller = min(first.sum(), second.sum())
    return float((both & ~first & ~second).sum() / max(both.sum(), 1)), float((first & second).sum() / max(smaller, 1))


def width(xy: Float) -> float:
    """Least extent [m] of points xy [N, 2], over 12 directions; 0 for fewer than two points."""
    angle = np.arange(12) * np.pi / 12
    return float(np.ptp(xy @ np.stack([np.cos(angle), np.sin(angle)]), axis=0).min()) if len(xy) > 1 else 0.0

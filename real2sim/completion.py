"""Stage 5, completion: from the part of an object that was seen to a closed solid.

An object is solid where the scan saw its inside, or saw nothing at all below its visible top (the carved solid,
see `carving`): closed at the bottom by its support, open where the phone looked in or through. The simplest shape that
explains the carved solid wins (see `shapes`): a box, cylinder or sphere, then a surface of revolution (bottles and
bowls: unseen sides follow from those seen), then the carved solid itself, with the legs that were not seen (`legs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .capture import Float
from .carving import SEEN, THIN_FROM, Mask, carve
from .fusion import Surface
from .instances import Instance
from .legs import add_legs
from .shapes import Method, agreement, candidates, choose
from .views import DepthView
from .volume import Grid, Volume, observe

MARGIN = 0.02
VOXEL_MIN = 0.0025


@dataclass(frozen=True)
class Solid:
    """A completed object in the aligned world.

    Attributes:
        method: how it was completed.
        center, size, yaw: its gravity-aligned bounding box [m, rad]: centre [3], full extents [3], turn about +Z.
        base: height [m] of what it stands on.
        volume: the field it was made from; `occupied`: bool grid of the final solid.
        field: float32 grid, positive outside: its zero level is the surface.
        overlap: agreement of final and carved solid, in [0, 1].
        fit_error: root mean square distance [m] of observed vertices to the final surface.
        observed_fraction: share of the final surface, without its base, that was seen.
        notes: sentences about what was added.
    """

    method: Method
    center: Float
    size: Float
    yaw: float
    base: float
    volume: Volume
    occupied: Mask
    field: Grid
    overlap: float
    fit_error: float
    observed_fraction: float
    notes: tuple[str, ...] = ()


def complete(
    instance: Instance,
    surface: Surface,
    views: Sequence[DepthView],
    labels: NDArray[np.int64],
    label: int,
    warp: float,
    ceiling: float | None = None,
) -> Solid:
    """Completes one instance.

    Args:
        instance: its vertices and base height.
        surface: the aligned fused surface.
        views: aligned depth views.
        labels: int64 [V], instance number per vertex, -1 for none: neighbours bound the object.
        label: this instance's number.
        ceiling: height [m] at which something stands on it, or None: it ends there.
        warp: height [m] of the seen support above its plane at this object (pose drift); taken off.
    """
    points = surface.vertices[instance.vertices]
    normals = surface.normals[instance.vertices]
    base = instance.base + warp
    low, high = points.min(axis=0) - MARGIN, points.max(axis=0) + MARGIN
    low[2] = base
    if ceiling is not None:
        below = points[:, 2] < ceiling + warp + 0.002
        if below.sum() >= 12:
            points, normals = points[below], normals[below]
        high[2] = max(ceiling + warp, low[2] + 0.008)
    voxel = max(VOXEL_MIN, 0.7 * surface.voxel)
    low[2] += voxel / 2
    volume = observe(low, high, views, voxel=voxel)
    carved = carve(volume, points, normals, surface, labels, label, base)
    shapes, round_plan = candidates(volume, carved, points, base)
    best = choose(shapes, carved, round_plan, low=points[:, 2].max() - base < THIN_FROM)
    notes: tuple[str, ...] = ()
    if best.method == "carved":
        field, notes = add_legs(volume, best.field, base, points, normals)
        best = replace(best, field=field)
    occupied = best.field < 0
    overlap = agreement(occupied, carved < 0)
    fit_error, observed = _quality(volume, best.field, points, base)
    center = best.center - np.array([0, 0, warp])
    moved = replace(volume, origin=volume.origin - np.array([0, 0, warp]))
    return Solid(
        best.method,
        center,
        best.size,
        best.yaw,
        instance.base,
        moved,
        occupied,
        best.field,
        overlap,
        fit_error,
        observed,
        notes,
    )


def _quality(volume: Volume, field: Grid, points: Float, base: float) -> tuple[float, float]:
    """Root mean square distance [m] of observed vertices to the surface, and the share of the surface that was seen."""
    solid = field < 0
    if not solid.any():
        return float("nan"), 0.0
    signed = ndimage.distance_transform_edt(~solid) - ndimage.distance_transform_edt(solid)
    signed = (signed - 0.5 * np.sign(signed)) * volume.voxel
    index = ((points - volume.origin) / volume.voxel).T
    distance = ndimage.map_coordinates(signed, index, order=1, mode="nearest")
    error = float(np.sqrt(np.mean(np.clip(distance, -0.03, 0.03) ** 2)))
    shell = solid & ~ndimage.binary_erosion(solid, border_value=1)
    shell[:, :, 0] &= ~ndimage.binary_erosion(solid[:, :, 0])
    seen = ndimage.binary_dilation(volume.seen >= SEEN, iterations=1)
    shown = np.abs(volume.distance) < 3 * volume.voxel
    return error, float(np.mean((seen & shown)[shell]))

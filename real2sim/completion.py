"""Stage 5, completion: from the part of an object that was seen to a closed solid.

An object is solid where the scan saw its inside, or saw nothing at all below its visible top (the carved solid):
closed at the
bottom by its support, open where the phone looked in or through. The simplest shape that explains the carved solid
wins: a
box, cylinder or sphere, then a surface of revolution (bottles and bowls: unseen sides follow from those seen), then the
carved solid itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from .capture import Float
from .fusion import Surface
from .instances import Instance
from .legs import add_legs
from .structure import minimum_rectangle
from .views import DepthView
from .volume import Grid, Volume, observe

Method = Literal["box", "cylinder", "lying cylinder", "sphere", "revolution", "carved"]

MARGIN = 0.02
VOXEL_MIN = 0.0025
THIN_FROM = 0.03
"""Objects lower than this [m] have no rims or handles, but wear a smeared skin as thick as they are high."""
MIN_PART = 12
"""Voxels a rim or handle must have, to be told from stray depth pixels."""
SEEN = 0.5
"""Sum of weights from which a voxel counts as measured: one square look, or ten grazing ones."""
SIMPLER = 0.05
"""How much agreement a simpler shape may give away against the best one."""
PRIMITIVE_AGREEMENT = 0.90
"""Least agreement with the carved solid for a primitive: LiDAR rounds the edges of a sharp box away."""
LOW_AGREEMENT = 0.8
"""The same for objects lower than `THIN_FROM`: their edges are smeared over a third of their size."""
ROUND = 0.085
"""Plans rounder than this (see `_roundness`) may be discs; scanned cans have 0.02 to 0.07, scanned square blocks
0.09 up."""
NOT_A_BOX = 0.8
"""Agreement of the best box below which a plan that is not round (a mug's handle) does not speak against revolution."""
REVOLUTION_AGREEMENT = 0.90

Mask = NDArray[np.bool_]


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


@dataclass(frozen=True)
class _Candidate:
    method: Method
    field: Grid
    center: Float
    size: Float
    yaw: float


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
    carved = _carve(volume, points, normals, surface, labels, label, base)
    candidates, round_plan = _candidates(volume, carved, points, base)
    best = _choose(candidates, carved, round_plan, low=points[:, 2].max() - base < THIN_FROM)
    notes: tuple[str, ...] = ()
    if best.method == "carved":
        field, notes = add_legs(volume, best.field, base, points, normals)
        best = replace(best, field=field)
    occupied = best.field < 0
    overlap = _agreement(occupied, carved < 0)
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


# ----------------------------------------------------------------------------------------------------------------
# carving


def _carve(
    volume: Volume, points: Float, normals: Float, surface: Surface, labels: NDArray[np.int64], label: int, base: float
) -> Grid:
    """Signed field of the carved solid: negative inside, in metres near its surface."""
    voxel = volume.voxel
    z = volume.axis(2)
    column, top = _columns(volume, points)
    below_top = column[:, :, None] & (z[None, None, :] <= top[:, :, None] + voxel)
    known = volume.seen >= SEEN
    field = np.where(known, volume.distance, np.where(below_top, -voxel, voxel)).astype(np.float32)
    # Depth noise at the rim of the reach behind a surface must not dig tunnels: smooth before deciding.
    field = ndimage.gaussian_filter(field, 0.8)
    # The base of a blurred contact is a fillet, and the support itself is "inside": take the section a little higher.
    height = float(top[column].max() - base) if column.any() else voxel
    first = int(np.searchsorted(z, base + min(0.008, 0.4 * height)))
    field[:, :, :first] = field[:, :, first : first + 1]
    near_column = ndimage.binary_dilation(column, iterations=2)
    outside = ~near_column[:, :, None] | (z[None, None, :] > top[:, :, None] + 3 * voxel)
    field[outside] = np.maximum(field[outside], voxel)
    field = _keep_thin(volume, field, *_between(surface, labels == label))
    if height > THIN_FROM:
        field[_thin_parts(volume, field < 0, base)] = -0.5 * voxel
    mine = _nearest_is_mine(volume, field, surface, labels, label)
    field[~mine] = np.maximum(field[~mine], voxel)
    solid = field < 0
    keep = _main_component(solid)
    field[solid & ~keep] = voxel
    field[keep & ~solid] = -0.5 * voxel
    return np.asarray(field, dtype=np.float32)


def _thin_parts(volume: Volume, solid: Mask, base: float) -> Mask:
    """Rims, handles and spouts: hit by rays, too thin to be measured, reaching out of the solid and joined to it.

    Every surface wears a skin of such voxels; only what stands out further than the skin is taken, with its root.
    """
    candidates = volume.thin & ~solid & (volume.axis(2) > base + 0.012)[None, None, :]
    standing_out = candidates & ~ndimage.binary_dilation(solid, np.ones((3, 3, 3)), iterations=1)
    parts, count = ndimage.label(standing_out, np.ones((3, 3, 3)))
    if count == 0:
        return np.asarray(standing_out)
    size = np.bincount(parts.ravel())
    large = size >= MIN_PART
    large[0] = False
    core = large[parts]
    # The root joins the part to the solid through the skin.
    grown = ndimage.binary_dilation(core, np.ones((3, 3, 3)), iterations=2) & candidates
    joined, count = ndimage.label(grown, np.ones((3, 3, 3)))
    touching = np.unique(joined[ndimage.binary_dilation(solid, np.ones((3, 3, 3))) & grown])
    return np.asarray(np.isin(joined, touching[touching > 0]))


def _between(surface: Surface, members: Mask) -> tuple[Float, Float]:
    """Points and normals, both [N, 3], at the vertices and in the middle of the faces of part of the surface."""
    faces = surface.faces[members[surface.faces].all(axis=1)]
    points = np.concatenate([surface.vertices[members], surface.vertices[faces].mean(axis=1)])
    normals = np.concatenate([surface.normals[members], surface.normals[faces].mean(axis=1)])
    return points, normals


def _keep_thin(volume: Volume, field: Grid, points: Float, normals: Float) -> Grid:
    """Restores sheets and bars that views from both sides have eaten: what was fused as surface has something behind
    it."""
    shape = np.array(volume.shape)
    field = field.copy()
    for depth in (0.5, 1.2):
        index = ((points - depth * volume.voxel * normals - volume.origin) / volume.voxel).round().astype(int)
        index = index[((index >= 0) & (index < shape)).all(axis=1)]
        x, y, z = index.T
        lost = field[x, y, z] > 0.3 * volume.voxel
        field[x[lost], y[lost], z[lost]] = -0.5 * volume.voxel
    return field


def _columns(volume: Volume, points: Float) -> tuple[Mask, Grid]:
    """The object's ground plan [X, Y] (holes filled) and the height of its visible top in each column."""
    shape = volume.shape[:2]
    cells = ((points[:, :2] - volume.origin[:2]) / volume.voxel).round().astype(int)
    cells = np.clip(cells, 0, np.array(shape) - 1)
    top = np.full(shape, -np.inf, np.float32)
    np.maximum.at(top, (cells[:, 0], cells[:, 1]), points[:, 2].astype(np.float32))
    plan = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(np.isfinite(top), 4), iterations=3))[4:-4, 4:-4]
    nearest = ndimage.distance_transform_edt(~np.isfinite(top), return_distances=False, return_indices=True)
    filled = top[nearest[0], nearest[1]]
    # A column between samples is as high as the highest beside it.
    filled = ndimage.maximum_filter(filled, 3)
    return plan, filled


def _nearest_is_mine(volume: Volume, field: Grid, surface: Surface, labels: NDArray[np.int64], label: int) -> Mask:
    """Which voxels lie nearer to this object's surface than to another object's."""
    mine = np.ones(volume.shape, bool)
    low = volume.origin - 0.05
    high = volume.origin + volume.voxel * np.array(volume.shape) + 0.05
    near = (labels >= 0) & ((surface.vertices > low) & (surface.vertices < high)).all(axis=1)
    if not (labels[near] != label).any():
        return mine
    solid = np.flatnonzero(field.ravel() < volume.voxel)
    tree = cKDTree(surface.vertices[near])
    owner = labels[near][tree.query(volume.centers()[solid])[1]]
    mine.ravel()[solid] = owner == label
    return mine


def _main_component(solid: Mask) -> Mask:
    """The largest piece and every piece within two voxels of it, joined: an object does not hang in the air in
    parts."""
    parts, count = ndimage.label(solid, np.ones((3, 3, 3)))
    if count <= 1:
        return solid
    joined = ndimage.binary_closing(np.pad(solid, 3), np.ones((3, 3, 3)), iterations=2)[3:-3, 3:-3, 3:-3] | solid
    bridged, _ = ndimage.label(joined)
    largest = bridged == 1 + int(np.argmax(np.bincount(bridged[solid], minlength=2)[1:]))
    pieces = np.unique(parts[largest & solid])
    if len(pieces) == 1:
        return np.asarray(parts == pieces[0])
    return np.asarray(largest)


# -------------------------------------------------------------------------------------------------------------
# candidates


def _candidates(volume: Volume, carved: Grid, points: Float, base: float) -> tuple[list[_Candidate], bool]:
    """All shapes that could explain the carved solid, and whether its plan is round."""
    solid = carved < 0
    if not solid.any():
        solid = carved <= carved.min()
    z = volume.axis(2)
    x, y = np.meshgrid(volume.axis(0), volume.axis(1), indexing="ij")
    top = _top(points, solid, z)
    height = max(top - base, volume.voxel)
    middle = (z > base + 0.25 * height) & (z < base + 0.75 * height)
    if not middle.any():
        middle = np.abs(z - base - height / 2) <= volume.voxel
    section = solid[:, :, middle].mean(axis=2)
    plan = section > 0.5 * section.max()
    xy = np.stack([x[plan], y[plan]], axis=1)
    found = [_Candidate("carved", carved, *_bounds(volume, solid, base))]
    if len(xy) < 12 or np.ptp(xy, axis=0).min() < 2 * volume.voxel:
        return found, False
    round_plan = _roundness(xy, volume.voxel) < ROUND
    dz = np.abs(z - base - height / 2) - height / 2
    box_center, box_size, yaw = _rectangle(xy, volume.voxel)
    u, v = _turn(x - box_center[0], y - box_center[1], -yaw)
    box = _extrude(_box2(u, v, box_size), dz)
    found.append(_Candidate("box", box, np.array([*box_center, base + height / 2]), np.array([*box_size, height]), yaw))
    center, radius = xy.mean(axis=0), float(np.sqrt(len(xy) / np.pi)) * volume.voxel
    r = np.hypot(x - center[0], y - center[1])
    whole = np.array([*center, base + height / 2])
    found.append(
        _Candidate("cylinder", _extrude(r - radius, dz), whole, np.array([2 * radius, 2 * radius, height]), 0.0)
    )
    ball = height / 2
    sphere = np.sqrt(r[:, :, None] ** 2 + (z - base - ball) ** 2) - ball
    found.append(_Candidate("sphere", sphere.astype(np.float32), whole, np.full(3, height), 0.0))
    axial = np.abs(u) - box_size[0] / 2
    lying = np.sqrt(v[:, :, None] ** 2 + (z - base - height / 2) ** 2) - height / 2
    lying = np.maximum(lying, axial[:, :, None]).astype(np.float32)
    found.append(
        _Candidate(
            "lying cylinder",
            lying,
            np.array([*box_center, base + height / 2]),
            np.array([box_size[0], height, height]),
            yaw,
        )
    )
    revolved = _revolve(volume, carved, center)
    spread = revolved < 0
    if spread.any() and not spread.all():
        bounds = _bounds(volume, spread, base)
        diameter = float(bounds[1][:2].mean())
        found.append(
            _Candidate(
                "revolution",
                revolved,
                np.array([*center, bounds[0][2]]),
                np.array([diameter, diameter, bounds[1][2]]),
                0.0,
            )
        )
    return found, round_plan


def _choose(candidates: Sequence[_Candidate], carved: Grid, round_plan: bool, low: bool) -> _Candidate:
    """The simplest candidate whose overlap with the carved solid is close to the best of its kind."""
    solid = carved < 0
    overlap = {c.method: _agreement(c.field < 0, solid) for c in candidates}
    by_method = {c.method: c for c in candidates}
    primitives = [m for m in ("box", "cylinder", "sphere", "lying cylinder") if m in overlap]
    boxy = overlap.get("box", 0.0)
    if not round_plan:
        # Rounded corners make a small square block look turned; a disc it is not.
        primitives = [m for m in primitives if m in ("box", "lying cylinder")]
    best = max(primitives, key=lambda m: overlap[m], default=None)
    turned = overlap.get("revolution", 0.0) if round_plan or boxy < NOT_A_BOX else 0.0
    if (
        best is not None
        and overlap[best] > (LOW_AGREEMENT if low else PRIMITIVE_AGREEMENT)
        and overlap[best] > turned - SIMPLER
    ):
        return by_method[best]
    if turned > REVOLUTION_AGREEMENT:
        return by_method["revolution"]
    return by_method["carved"]


def _roundness(xy: Float, cell: float) -> float:
    """How far a filled plan [N, 2] is from a disc: size of harmonics 2 to 4 of its outline's radius, relative to the
    mean.

    A disc has 0, a square 0.11, a square whose corners LiDAR has rounded about 0.06.
    """
    sectors = 32
    around = xy - xy.mean(axis=0)
    # Each cell is spread over its neighbours' sectors through a small jitter pattern, to smooth the count.
    offsets = cell * np.array([[i, j] for i in (-0.375, -0.125, 0.125, 0.375) for j in (-0.375, -0.125, 0.125, 0.375)])
    fine = (around[:, None] + offsets).reshape(-1, 2)
    angle = np.arctan2(fine[:, 1], fine[:, 0])
    area = (
        np.bincount(((angle + np.pi) / (2 * np.pi) * sectors).astype(int) % sectors, minlength=sectors) * cell**2 / 16
    )
    radius = np.sqrt(2 * area / (2 * np.pi / sectors))
    spectrum = np.abs(np.fft.rfft(radius)) * 2 / sectors
    return float(np.sqrt((spectrum[2:5] ** 2).sum()) / max(radius.mean(), 1e-9))


def _rectangle(xy: Float, cell: float) -> tuple[Float, Float, float]:
    """Rectangle that overlaps filled cells [N, 2] best; edges from quantiles, because LiDAR rounds the corners away."""
    best: tuple[float, Float, Float, float] | None = None
    for turn in np.deg2rad(np.arange(0, 90, 1.0)):
        u, v = _turn(xy[:, 0], xy[:, 1], -turn)
        local = np.stack([u, v], axis=1)
        low, high = np.percentile(local, 4, axis=0), np.percentile(local, 96, axis=0)
        middle, size = (low + high) / 2, (high - low) / 0.92
        inside = (np.abs(local - middle) <= size / 2).all(axis=1).sum() * cell**2
        union = len(xy) * cell**2 + np.prod(size) - inside
        score = float(inside / union)
        if best is None or score > best[0] + 1e-9:
            back = _turn(middle[0], middle[1], turn)
            best = (score, np.array([float(back[0]), float(back[1])]), size, float(turn))
    assert best is not None
    _, center, size, yaw = best
    if size[1] > size[0]:
        size, yaw = size[::-1], yaw + np.pi / 2
    return center, size, float((yaw + np.pi / 2) % np.pi - np.pi / 2)


def _revolve(volume: Volume, carved: Grid, center: Float) -> Grid:
    """The carved field averaged round the vertical axis through `center`, measured voxels before guessed ones."""
    x, y = np.meshgrid(volume.axis(0) - center[0], volume.axis(1) - center[1], indexing="ij")
    radius = np.hypot(x, y) / volume.voxel
    rings = np.floor(radius).astype(int)
    share = (radius - rings).astype(np.float32)
    count = int(rings.max()) + 2
    weight = np.where(volume.seen >= SEEN, 1.0, 0.15).astype(np.float32)
    profile = np.zeros((count, volume.shape[2]))
    total = np.zeros_like(profile)
    for level in range(volume.shape[2]):
        w = weight[:, :, level]
        f = carved[:, :, level]
        for offset, part in ((0, 1 - share), (1, share)):
            index = (rings + offset).ravel()
            profile[:, level] += np.bincount(index, (part * w * f).ravel(), count)
            total[:, level] += np.bincount(index, (part * w).ravel(), count)
    profile = np.divide(profile, total, out=np.full_like(profile, volume.voxel), where=total > 0)
    return np.asarray(
        (1 - share)[:, :, None] * profile[rings] + share[:, :, None] * profile[rings + 1], dtype=np.float32
    )


def _box2(u: Float, v: Float, size: Float) -> Float:
    """Signed distance of a rectangle."""
    qx, qy = np.abs(u) - size[0] / 2, np.abs(v) - size[1] / 2
    return np.asarray(np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0))


def _extrude(plan: Float, dz: Float) -> Grid:
    """Signed distance (a bound on it outside the edges) of a plan extruded between heights with |z| excess dz."""
    return np.maximum(plan[:, :, None], dz[None, None, :]).astype(np.float32)


def _turn(x: Float, y: Float, angle: float) -> tuple[Float, Float]:
    c, s = np.cos(angle), np.sin(angle)
    return c * x - s * y, s * x + c * y


def _top(points: Float, solid: Mask, z: Float) -> float:
    """Height of the top: what the upper tenth of the observed surface agrees on, no higher than the solid."""
    return float(min(np.percentile(points[:, 2], 97), z[np.flatnonzero(solid.any(axis=(0, 1)))[-1]] + (z[1] - z[0])))


def _bounds(volume: Volume, solid: Mask, base: float) -> tuple[Float, Float, float]:
    """Gravity-aligned bounding box of a solid standing at `base`: centre, size, yaw."""
    plan = solid.any(axis=2)
    x, y = np.meshgrid(volume.axis(0), volume.axis(1), indexing="ij")
    center, size, yaw = minimum_rectangle(_corners(np.stack([x[plan], y[plan]], axis=1), volume.voxel))
    levels = np.flatnonzero(solid.any(axis=(0, 1)))
    top = volume.axis(2)[levels[-1]] + volume.voxel / 2
    return np.array([*center, (base + top) / 2]), np.array([*size, top - base]), yaw


def _corners(xy: Float, voxel: float) -> Float:
    """Cell centres [N, 2] to cell corners [4 N, 2], a little inside: the surface lies between the last cell and the
    next."""
    offsets = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * voxel * 0.25
    return np.asarray((xy[:, None] + offsets).reshape(-1, 2))


def _agreement(shape: Mask, solid: Mask) -> float:
    """One minus the share of voxels in which two solids differ by more than their surfaces' uncertainty of one
    voxel."""
    union = np.count_nonzero(shape | solid)
    if union == 0 or not shape.any():
        return 0.0
    depth = np.where(shape, ndimage.distance_transform_edt(shape), ndimage.distance_transform_edt(~shape))
    return 1.0 - float(np.count_nonzero((shape ^ solid) & (depth > 1.5)) / union)


# ----------------------------------------------------------------------------------------------------------------
# quality


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

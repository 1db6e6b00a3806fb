"""Shapes that may explain a carved solid, and the choice among them: the simplest that agrees wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from .capture import Float
from .carving import SEEN, Mask
from .structure import minimum_rectangle
from .volume import Grid, Volume

Method = Literal["box", "cylinder", "lying cylinder", "sphere", "revolution", "carved"]

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


@dataclass(frozen=True)
class Candidate:
    """A shape: how it was made, its field as in `completion.Solid`, and its gravity-aligned box [m, rad]."""

    method: Method
    field: Grid
    center: Float
    size: Float
    yaw: float


def candidates(volume: Volume, carved: Grid, points: Float, base: float) -> tuple[list[Candidate], bool]:
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
    found = [Candidate("carved", carved, *_bounds(volume, solid, base))]
    if len(xy) < 12 or np.ptp(xy, axis=0).min() < 2 * volume.voxel:
        return found, False
    round_plan = _roundness(xy, volume.voxel) < ROUND
    dz = np.abs(z - base - height / 2) - height / 2
    box_center, box_size, yaw = _rectangle(xy, volume.voxel)
    u, v = _turn(x - box_center[0], y - box_center[1], -yaw)
    box = _extrude(_box2(u, v, box_size), dz)
    found.append(Candidate("box", box, np.array([*box_center, base + height / 2]), np.array([*box_size, height]), yaw))
    center, radius = xy.mean(axis=0), float(np.sqrt(len(xy) / np.pi)) * volume.voxel
    r = np.hypot(x - center[0], y - center[1])
    whole = np.array([*center, base + height / 2])
    found.append(
        Candidate("cylinder", _extrude(r - radius, dz), whole, np.array([2 * radius, 2 * radius, height]), 0.0)
    )
    ball = height / 2
    sphere = np.sqrt(r[:, :, None] ** 2 + (z - base - ball) ** 2) - ball
    found.append(Candidate("sphere", sphere.astype(np.float32), whole, np.full(3, height), 0.0))
    axial = np.abs(u) - box_size[0] / 2
    lying = np.sqrt(v[:, :, None] ** 2 + (z - base - height / 2) ** 2) - height / 2
    lying = np.maximum(lying, axial[:, :, None]).astype(np.float32)
    found.append(
        Candidate(
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
            Candidate(
                "revolution",
                revolved,
                np.array([*center, bounds[0][2]]),
                np.array([diameter, diameter, bounds[1][2]]),
                0.0,
            )
        )
    return found, round_plan


def choose(candidates: Sequence[Candidate], carved: Grid, round_plan: bool, low: bool) -> Candidate:
    """The simplest candidate whose overlap with the carved solid is close to the best of its kind."""
    solid = carved < 0
    overlap = {c.method: agreement(c.field < 0, solid) for c in candidates}
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


def agreement(shape: Mask, solid: Mask) -> float:
    """One minus the share of voxels in which two solids differ by more than their surfaces' uncertainty of one
    voxel."""
    union = np.count_nonzero(shape | solid)
    if union == 0 or not shape.any():
        return 0.0
    depth = np.where(shape, ndimage.distance_transform_edt(shape), ndimage.distance_transform_edt(~shape))
    return 1.0 - float(np.count_nonzero((shape ^ solid) & (depth > 1.5)) / union)

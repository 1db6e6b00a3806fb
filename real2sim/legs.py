"""Legs: what furniture stands on where the scan saw little or nothing of it.

LiDAR loses thin dark legs first, and from above the space under a seat hides behind the seat: carving leaves a cone of
unknown space that hangs there. Here furniture is told by its seat or top, the legs that were seen are fitted with
straight ones, and those that were not are mirrored from their neighbours. Each is named, so that nobody takes a guess
for a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .capture import Float
from .stacking import FURNITURE_HEIGHT
from .structure import minimum_rectangle
from .volume import Grid, Volume

CLEARANCE = 0.12
"""Least height [m] of the open space under a seat."""
BIN = 0.02
SPARSE = 0.15
"""A level [m] of `BIN` height with less than this share of the seat's observed surface is under the seat."""
NARROWING = 0.7
"""Unknown space under a seat narrows to less than this share of the seat's area; a block's hidden foot does not."""
LEG_RADIUS = 0.0125
"""Half the width [m] of a leg: office and kitchen chairs have tubes and bars of 20 to 35 mm."""
SEEN, SEEN_SHARE = 8, 0.4
"""Least observed vertices, and share of its length, of a leg that was seen."""
FOOT = 0.05
"""A leg seen down to this height [m] was seen whole."""
STEEPEST = 0.4
"""Most that a leg leans, as horizontal by vertical."""
BACKREST = 0.15
"""Surface higher than this [m] over the seat is the back's (or the arms')."""


@dataclass(frozen=True)
class _Leg:
    """A straight leg in the seat's frame, from under the seat to the floor.

    Attributes:
        signs: which quarter of the seat it stands in, (+-1, +-1).
        top, foot: its ends [2] in the seat's frame [m].
        unseen: height [m] below which nothing of it was seen; infinite for a leg that was added, 0 for one of which
            only the foot was seen.
    """

    signs: tuple[int, int]
    top: Float
    foot: Float
    unseen: float


def add_legs(volume: Volume, field: Grid, base: float, points: Float, normals: Float) -> tuple[Grid, tuple[str, ...]]:
    """Replaces unknown space under a seat by legs.

    Args:
        volume: the grid of `field`.
        field: float32 [X, Y, Z], positive outside the carved object.
        base: height [m] of what it stands on.
        points, normals: the object's observed surface, both [N, 3].

    Returns:
        The field and sentences about what was not seen; unchanged and empty for what is no furniture on legs.
    """
    if points[:, 2].max() - base < FURNITURE_HEIGHT:
        return field, ()
    level = points[(normals[:, 2] > 0.8) & (points[:, 2] > base + CLEARANCE)]
    if len(level) < 50:
        return field, ()
    count, edges = np.histogram(level[:, 2], np.arange(base, points[:, 2].max() + BIN, BIN))
    seat = float(edges[int(count.argmax())]) + BIN / 2
    underside = _underside(points[:, 2], base, seat)
    if underside is None:
        return field, ()
    z = volume.axis(2)
    area = (field < 0).sum(axis=(0, 1))
    hollow = (z > base + 0.02) & (z < underside - 0.02)
    if not hollow.any() or area[hollow].mean() > NARROWING * area[np.abs(z - seat) < 2 * BIN].max():
        return field, ()
    center, size, yaw = minimum_rectangle(level[np.abs(level[:, 2] - seat) < 2 * BIN, :2])
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    legs = _find_legs((points[:, :2] - center) @ turn.T, points[:, 2] - base, size, underside - base)
    if not any(np.isfinite(leg.unseen) for leg in legs):
        return field, ()  # a pedestal, or nothing to go by
    field = field.copy()
    open_levels = int(np.count_nonzero(z < underside))
    np.maximum(field[:, :, :open_levels], volume.voxel, out=field[:, :, :open_levels])
    x, y, height = np.meshgrid(volume.axis(0), volume.axis(1), z, indexing="ij")
    for leg in legs:
        share = np.clip((height - base) / (seat - base), 0, 1)[..., None]
        axis = ((1 - share) * leg.foot + share * leg.top) @ turn + center
        away = np.hypot(x - axis[..., 0], y - axis[..., 1]) - max(LEG_RADIUS, volume.voxel)
        field = np.where(height < seat, np.minimum(field, away), field).astype(np.float32)
    back = points[points[:, 2] > seat + BACKREST]
    ahead = np.zeros(2) if len(back) < 50 else -(np.median(back[:, :2], axis=0) - center) @ turn.T
    return field, tuple(_sentence(leg, ahead, size) for leg in legs if leg.unseen > FOOT or leg.unseen <= 0)


def _underside(height: Float, base: float, seat: float) -> float | None:
    """Height [m] down to which the seat's side was seen; None if surface goes on down: a cabinet, a block."""
    edges = np.arange(seat + BIN, base, -BIN)[::-1]
    count = np.histogram(height, edges)[0]
    sparse = np.flatnonzero(count < SPARSE * count.max())
    if len(sparse) == 0 or np.mean(count[: sparse[-1] + 1]) > SPARSE * count.max():
        return None
    underside = float(edges[sparse[-1] + 1])
    return underside if underside - base > CLEARANCE else None


def _find_legs(plan: Float, height: Float, size: Float, underside: float) -> list[_Leg]:
    """The legs in the four quarters of a seat of `size` [2] round the origin: those seen, and mirrored ones."""
    seen: dict[tuple[int, int], _Leg] = {}
    feet: dict[tuple[int, int], Float] = {}
    quarters = [(i, j) for i in (-1, 1) for j in (-1, 1)]
    for signs in quarters:
        mine = (plan * signs > 0.1 * size).all(axis=1) & (height < underside) & (height > 0.01)
        if mine.sum() < SEEN or np.percentile(height[mine], 2) > (1 - SEEN_SHARE) * underside:
            continue
        xy, z = plan[mine], height[mine]
        middle, level = np.median(xy, axis=0), float(np.median(z))
        if z.max() < (1 - SEEN_SHARE) * underside:
            feet[signs] = middle
            continue
        slope = np.clip(np.polyfit(z, xy, 1)[0], -STEEPEST, STEEPEST) if np.ptp(z) > 0.1 else np.zeros(2)
        top, foot = middle + slope * (underside - level), middle - slope * level
        seen[signs] = _Leg(signs, top, foot, float(np.percentile(z, 2)))
    if not seen:
        return []
    legs = []
    for signs in quarters:
        if signs in seen:
            legs.append(seen[signs])
            continue
        # The neighbour on the same side of the longer direction is the likeliest twin; across the seat comes last.
        order = [(-signs[0], signs[1]), (signs[0], -signs[1]), (-signs[0], -signs[1])]
        twin = next(seen[other] for other in order if other in seen)
        mirror = np.array(signs) * np.array(twin.signs)
        foot = feet.get(signs, twin.foot * mirror)
        legs.append(_Leg(signs, twin.top * mirror, foot, 0.0 if signs in feet else np.inf))
    return legs


def _sentence(leg: _Leg, ahead: Float, size: Float) -> str:
    """What to say of a leg that was not seen whole; `ahead` [2] points away from the back, zero if there is none."""
    corner = f"{'+' if leg.signs[0] > 0 else '-'}x, {'+' if leg.signs[1] > 0 else '-'}y"
    if np.linalg.norm(ahead) > 0.1 * size.max():
        along = int(np.argmax(np.abs(ahead)))
        forward = np.zeros(2)
        forward[along] = np.sign(ahead[along])
        left = np.array([-forward[1], forward[0]])
        side = np.array(leg.signs)
        corner = f"{'front' if forward @ side > 0 else 'back'} {'left' if left @ side > 0 else 'right'}"
    if leg.unseen <= 0:
        return f"Of the {corner} leg only the foot was seen; the rest joins it to the seat."
    if np.isfinite(leg.unseen):
        return f"Of the {corner} leg the lowest {leg.unseen * 100:.0f} cm were not seen; it goes on straight."
    return f"The {corner} leg was not seen; the mirror image of a seen one was added."

"""Relations between whole pieces: what stands on what, lies at whose foot, continues which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from .capture import Float
from .fusion import Surface
from .ground_plan import CELL, area, hull_share, inside_hull, long_axis

Members = NDArray[np.int64]
FURNITURE_HEIGHT, LEG_FOOT, SPLAY = 0.35, (0.06, 0.01), 0.08
"""Least height [m] of furniture; greatest height [m] and ground [m^2] of a scrap under it that is a leg's foot; how far
[m] feet stand out."""
MIN_FOOT = 0.010
"""What starts lower than this [m] over the support stands on it: the lowest thing to stand on is a thin book."""
FOOT_SHARE, FOOT_SLACK = 8.0, 0.006
"""Percentage of a thing's surface that may belong to what it stands on, and how far below its top [m] surface
may still be its own: the crease between them is cut to within two vertices."""
FOOT_HEIGHT, FOOT_AREA, FOOT_REACH = 0.018, 2e-3, 0.006
"""Lower and smaller things [m, m^2] within the reach [m] of a higher one are its blurred foot."""
SHAFT, SHAFT_HEIGHT, IN_LINE = (0.035, 2.2), 0.035, (0.025, 0.012, 0.26)
"""Widest [m] and least slender (length by width) piece of a tool's shaft and greatest height [m] of the tool; greatest
gap [m], offset [m] and angle [rad] between two pieces in line."""


def stands_on(surface: Surface, height: Float, members: Members, others: Sequence[Members]) -> tuple[int | None, float]:
    """The instance that `members` stand on (index, or None for the support) and the height of its top above the
    support."""
    low = float(np.percentile(height[members], FOOT_SHARE))
    if low < MIN_FOOT:
        return None, 0.0
    mine = (surface.vertices[members, :2] / CELL).round().astype(int)
    corner = mine.min(axis=0) - 5
    plan = np.zeros(mine.max(axis=0) - corner + 6, bool)
    plan[tuple((mine - corner).T)] = True
    plan = ndimage.binary_dilation(plan, iterations=3)
    best: tuple[int | None, float, int] = (None, 0.0, 0)
    for index, other in enumerate(others):
        if other is members:
            continue
        cells = (surface.vertices[other, :2] / CELL).round().astype(int) - corner
        near = ((cells >= 0) & (cells < plan.shape)).all(axis=1)
        near[near] = plan[tuple(cells[near].T)]
        below = near & (height[other] < low + 0.01) & (surface.normals[other, 2] > 0.7)
        if below.sum() <= max(best[2], 8):
            continue
        # Beside a low book is not on it: most of the ground plan must be over it, all but stray surface above its top.
        top = float(np.median(height[other][below]))
        over = float(np.mean(height[members] > top - FOOT_SLACK))
        if over > 1 - FOOT_SHARE / 100 and hull_share(surface.vertices[members, :2], surface.vertices[other, :2]) > 0.5:
            best = (index, top, int(below.sum()))
    return best[0], best[1]


def share_out(surface: Surface, height: Float, upper: Members, lower: Members, top: float) -> tuple[Members, Members]:
    """Parts two stacked things at the top [m] of the lower: what is above it within the outline of the upper one is the
    upper one's, what the upper one has below it is the lower one's."""
    above = height[lower] > top + FOOT_SLACK
    above[above] = inside_hull(surface.vertices[lower[above], :2], surface.vertices[upper, :2])
    below = height[upper] < top - FOOT_SLACK
    return (
        np.sort(np.concatenate([upper[~below], lower[above]])),
        np.sort(np.concatenate([lower[~above], upper[below]])),
    )


def join_feet(surface: Surface, height: Float, pieces: Sequence[Members], support: NDArray[np.int64]) -> list[Members]:
    """Gives scraps on the floor under furniture to it: they are feet of legs that the scan lost half way up.

    Args:
        support: int64 [V], the support below each vertex.
    """
    plan = surface.vertices[:, :2]
    top = [float(np.percentile(height[members], 95)) for members in pieces]
    tall = [index for index in range(len(pieces)) if top[index] > FURNITURE_HEIGHT]
    # What stands on legs has little surface near the floor.
    tall = [index for index in tall if np.mean(height[pieces[index]] < 0.3 * top[index]) < 0.3]
    corners = SPLAY * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    joined: list[list[Members]] = [[members] for members in pieces]
    for index, members in enumerate(pieces):
        if top[index] > LEG_FOOT[0] or area(plan[members], surface.voxel) > LEG_FOOT[1]:
            continue
        for other in tall:
            around = (plan[pieces[other]] + corners[:, None]).reshape(-1, 2)
            same = support[members[0]] == support[pieces[other][0]]
            if same and hull_share(plan[members], around) > 0.9:
                joined[other].append(members)
                joined[index] = []
                break
    return [np.sort(np.concatenate(parts)) for parts in joined if parts]


def is_foot(surface: Surface, height: Float, members: Members, others: Sequence[Members]) -> bool:
    """Whether a piece is too low and small beside a higher neighbour to be told from its smeared foot."""
    ground = area(surface.vertices[members, :2], surface.voxel)
    if np.percentile(height[members], 95) > FOOT_HEIGHT or ground > FOOT_AREA:
        return False
    tree = cKDTree(surface.vertices[members])
    return any(
        np.percentile(height[other], 95) > FOOT_HEIGHT
        and tree.query(surface.vertices[other], distance_upper_bound=FOOT_REACH)[0].min() < FOOT_REACH
        for other in others
        if other is not members
    )


def join_in_line(surface: Surface, labels: NDArray[np.int64], height: Float) -> NDArray[np.int64]:
    """Joins a slender low piece to what continues it: the thin shaft of a tool to its handle."""
    labels = labels.copy()
    pieces = []
    for label in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == label)
        if len(members) >= 12 and np.percentile(height[members], 95) < SHAFT_HEIGHT:
            pieces.append((members, *long_axis(surface.vertices[members, :2])))
    for members, middle, direction, length, across in pieces:
        if across > SHAFT[0] or length < SHAFT[1] * across:
            continue
        for others, their_middle, their_direction, their_length, their_across in pieces:
            away = their_middle - middle
            if (
                others is members
                or their_length < 1.5 * their_across
                or abs(float(away[0] * direction[1] - away[1] * direction[0])) > IN_LINE[1]
                or abs(float(direction @ their_direction)) < np.cos(IN_LINE[2])
            ):
                continue
            tree = cKDTree(surface.vertices[others, :2])
            if tree.query(surface.vertices[members, :2])[0].min() < IN_LINE[0]:
                labels[members] = labels[others[0]]
                break
    return labels

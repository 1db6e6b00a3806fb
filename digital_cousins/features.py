"""What an object looks like in numbers: a descriptor, from which distances between objects are made.

    mug = describe(scene.object("mug"), scene.folder)
    mug.size, mug.fill, mug.opening, mug.lab

The shape is described by D2, the distribution of distances between random pairs of surface points (Osada, Funkhouser,
Chazelle and Dobkin, "Shape Distributions", ACM Transactions on Graphics 21(4), 2002), which neither turning nor scaling
changes, and by a few words that a person would use: how full, how hollow, how round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..scenes.outlines import outline
from ..scenes.scene import SceneObject
from .sampling import fill_ratio, surface

Array = NDArray[np.float64]

POINTS, PAIRS, BINS, REACH = 4096, 32768, 60, 3.0
"""Points on the surface, pairs of them, bins of the histogram and its end, in mean distances (a thin rod's longest
distance is three times its mean one, and nothing convex has more)."""
_GRID = 16
"""Columns of the look from above, along each side."""
_SMALLEST = 6
"""Least number of hollow columns: a fortieth of the plan."""
_POCKET = 0.2, 0.004
"""A place is hollow if it lies so much lower than its surroundings: as a share of the height, and at least [m]."""


@dataclass(frozen=True)
class Descriptor:
    """An object in numbers. Two descriptions of one object with one seed are equal to the last digit.

    Attributes:
        name, category: of the object.
        beliefs: categories it may belong to with their shares, which add up to 1; from its category, or guessed.
        size: extents [m] of its box: longer horizontal side, shorter horizontal side, height.
        d2: float64 (60,), share of pairs by distance, in twentieths of the mean distance.
        fill: share of its box that its collision shapes fill, in [0, 1].
        opening: share of its plan that is hollow from above. hollow: depth of that hollow as a share of the height.
        opening_square, plan_square: area of the hollow's and of the whole plan as a share of the rectangle around it:
            1 for a rectangle, pi / 4 for anything round.
        taper: width of the top fifth as a share of the whole width.
        shape: kind of its collision shapes: "box", "cylinder", "capsule", "sphere", "mesh" (one convex hull), "hulls"
            (several) or "compound" (several primitives); "none".
        lab: mean colour, CIELAB (D65). mass: [kg], parts included.
        parts: "<kind>:<joint>" of every part, sorted.
    """

    name: str
    category: str
    beliefs: tuple[tuple[str, float], ...]
    size: tuple[float, float, float]
    d2: Array
    fill: float
    opening: float
    hollow: float
    opening_square: float
    plan_square: float
    taper: float
    shape: str
    lab: tuple[float, float, float]
    mass: float
    parts: tuple[str, ...]


def describe(item: SceneObject, folder: Path | None = None, *, seed: int = 0) -> Descriptor:
    """Describes an object.

    Args:
        item: the object. folder: of its scene, for its meshes and textures. seed: of the random points.

    Raises:
        SceneError: it has no shape, or a file of it cannot be read.
    """
    # A stream for each: how many points the surface takes must not change what the others see.
    of_surface, of_pairs, of_fill = np.random.default_rng(seed).spawn(3)
    points, colours = surface(item, folder, POINTS, of_surface)
    opening, hollow, opening_square = _look_from_above(points)
    x, y, z = item.size
    top = points[points[:, 2] > points[:, 2].max() - 0.2 * np.ptp(points[:, 2])]
    whole, upper = np.ptp(points[:, :2], axis=0).mean(), np.ptp(top[:, :2], axis=0).mean()
    lab = srgb_to_lab(colours).mean(axis=0)
    return Descriptor(
        name=item.name,
        category=item.category,
        beliefs=((item.category, 1.0),),
        size=(max(x, y), min(x, y), z),
        d2=d2_histogram(points, PAIRS, of_pairs),
        fill=fill_ratio(item, folder, POINTS, of_fill),
        opening=opening,
        hollow=hollow,
        opening_square=opening_square,
        plan_square=_squareness(points),
        taper=float(min(upper / max(whole, 1e-9), 1.0)),
        shape=_shape(item),
        lab=(float(lab[0]), float(lab[1]), float(lab[2])),
        mass=item.body.inertial.mass.value + sum(part.body.inertial.mass.value for part in item.parts),
        parts=tuple(sorted(f"{part.kind}:{part.joint.kind}" for part in item.parts)),
    )


def d2_histogram(points: Array, pairs: int, rng: np.random.Generator) -> Array:
    """D2 of points (n, 3): shares (60,) of random pairs by their distance over the mean distance, 0 to 3.

    The few pairs beyond 3 are in the last bin.
    """
    first, second = rng.integers(len(points), size=(2, pairs))
    first, second = first[first != second], second[first != second]
    distances = np.linalg.norm(points[first] - points[second], axis=1)
    places = (distances / max(float(distances.mean()), 1e-12) * (BINS / REACH)).astype(int).clip(0, BINS - 1)
    return np.bincount(places, minlength=BINS) / len(places)


def srgb_to_lab(rgb: Array) -> Array:
    """CIELAB (n, 3) of sRGB colours (n, 3) in [0, 1]: IEC 61966-2-1 and CIE 15, white D65."""
    rgb = np.asarray(rgb, dtype=float).clip(0, 1)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _look_from_above(points: Array) -> tuple[float, float, float]:
    """Share of the plan that is hollow, how deep as a share of the height, and how square the hollow is.

    A column is hollow if its highest point is lower than something on all four sides of it.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    height = float(high[2] - low[2])
    cells = ((points[:, :2] - low[:2]) / np.maximum(high[:2] - low[:2], 1e-9) * _GRID).astype(int).clip(0, _GRID - 1)
    column = cells[:, 0] * _GRID + cells[:, 1]
    tops = np.full(_GRID * _GRID, low[2])
    np.maximum.at(tops, column, points[:, 2])
    seen = (np.bincount(column, minlength=_GRID * _GRID) > 0).reshape(_GRID, _GRID)
    # Closing fills columns in which no point happens to be on top, and leaves hollows of three columns and more.
    grid = ndimage.grey_closing(tops.reshape(_GRID, _GRID), size=3, mode="nearest")
    sides = [np.maximum.accumulate(grid, axis=0), np.maximum.accumulate(grid[::-1], axis=0)[::-1]]
    sides += [np.maximum.accumulate(grid, axis=1), np.maximum.accumulate(grid[:, ::-1], axis=1)[:, ::-1]]
    drop = np.min(sides, axis=0) - grid
    pocket = seen & (drop > max(_POCKET[0] * height, _POCKET[1]))
    if pocket.sum() < _SMALLEST:
        return 0.0, 0.0, 0.0
    share, depth = float(pocket.sum() / seen.sum()), float(np.median(drop[pocket]) / height)
    return share, depth, _squareness(points[pocket.ravel()[column]])


def _squareness(points: Array) -> float:
    """Area of the convex hull of a plan over that of the smallest rectangle around it."""
    try:
        hull = ConvexHull(points[:, :2])
    except (QhullError, ValueError):  # all on one line
        return 1.0
    shape = outline(points[hull.vertices])
    return float(min(hull.volume / max(4 * float(shape.half.prod()), 1e-12), 1.0))


def _shape(item: SceneObject) -> str:
    shapes = [geom.shape for geom in item.body.collision]
    if len(shapes) <= 1:
        return shapes[0] if shapes else "none"
    return "hulls" if set(shapes) == {"mesh"} else "compound"

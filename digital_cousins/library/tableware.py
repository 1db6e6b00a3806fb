"""Tray, spoon and knife."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .category import Category, Palette, Parameter, Size
from .pieces import Design, Finish, Piece, convex, shifted, solid_hull
from .shapes import Float, hull, prism
from .vessels import Wall, bow


def tray(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A serving tray: a flat bottom, four flared sides, and a grip at either end."""
    x, y, z = size
    finish = palette.finish("wood", "pp", "bamboo")
    wall, flare, thin = shape["wall"], shape["flare"] * z, 0.011
    long = x - 2 * shape["reach"]
    pieces = [open_box(long, y, z - thin, wall, flare, finish)]
    grip = palette.finish(finish.substance.name) if finish.substance.name != "bamboo" else finish
    span = min(0.14, 0.55 * y)
    for side in (-1, 1):
        inner, low, high = side * (long / 2 - wall / 2), z - 1.6 * thin, z - thin / 2
        out = side * (x / 2 - thin / 2)
        corner = inner + 0.8 * (out - inner)
        path = [(inner, -span / 2, low), (corner, -0.44 * span, high), (out, -0.3 * span, high), (out, 0, high)]
        path += [(a, -b, c) for a, b, c in reversed(path[:-1])]
        pieces.append(bow(path, thin, thin, grip, across=(0, 0, 1)))
    return Design(tuple(pieces))


def open_box(x: float, y: float, z: float, wall: float, flare: float, finish: Finish) -> Piece:
    """An open box on z = 0, wider by `flare` [m] at each side of its rim than at its foot."""

    def corners(grow: float, height: float) -> Float:
        half = np.array([x / 2 - flare + grow, y / 2 - flare + grow])
        return np.array([(*half * s, height) for s in ((-1, -1), (1, -1), (1, 1), (-1, 1))])

    slope = flare / z
    outside = np.concatenate([corners(0, 0), corners(flare, z)])
    inside = np.concatenate([corners(slope * wall - wall, wall), corners(flare - wall, z)])
    over = np.concatenate([inside[:4], inside[4:] + np.array([0.0, 0.0, z])])
    over[4:, :2] += np.sign(over[4:, :2]) * slope * z
    felt: list[Float] = [np.concatenate([outside[:4], corners(slope * wall, wall)])]
    for k in range(4):
        pair = [k, (k + 1) % 4]
        foot = corners(slope * wall, wall)[pair]
        felt.append(np.concatenate([foot, outside[4:][pair], inside[:4][pair], inside[4:][pair]]))
    return Piece(hull(outside) - hull(over), finish, tuple(felt))


def spoon(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A spoon on its back: an oval bowl at -X, and a handle that rises and comes down to the table at its end."""
    x, y, z = size
    metal = palette.finish("steel", "steel", "wood", "pp")
    thick, length = shape["thickness"], shape["bowl"] * x
    middle, depth = (length - x) / 2, 0.62 * z
    bowl = Wall(length, y, depth, thick, foot=0.5, bulge=0.08).piece(metal)
    neck, end = shape["neck"] * y, shape["handle"] * y
    start = middle + length / 2 - 1.5 * thick
    peak = start + 0.35 * (x / 2 - start)
    handle = [
        solid_hull(_bar(start, depth - thick, 0.8 * neck, peak, z - thick, neck, thick), metal),
        solid_hull(_bar(peak, z - thick, neck, x / 2, 0.0, end, thick), metal),
    ]
    return Design((shifted(bowl, middle, 0.0, 0.0), *handle))


def _at(outline: Float, height: float) -> Float:
    return np.column_stack([outline, np.full(len(outline), height)])


def _bar(x0: float, z0: float, w0: float, x1: float, z1: float, w1: float, thick: float) -> Float:
    """Corners [8, 3] of a flat bar from (x0, z0) to (x1, z1), undersides given."""
    return np.array(
        [(x, s * w / 2, z + t) for x, z, w in ((x0, z0, w0), (x1, z1, w1)) for s in (-1, 1) for t in (0, thick)]
    )


def knife(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A table knife of one piece of steel, lying on its side: a heavy handle at +X and a round-tipped blade at -X."""
    x, y, z = size
    steel = palette.finish("steel")
    handle = shape["handle"] * x
    split = x / 2 - handle
    belly = np.array([(split, -0.32 * y), (split, 0.3 * y), (x / 2 - 0.1 * handle, 0.44 * y), (x / 2, 0.3 * y),
                      (x / 2, -0.3 * y), (x / 2 - 0.1 * handle, -0.44 * y)])  # fmt: skip
    inner = (belly - belly.mean(axis=0)) * [0.97, 0.6] + belly.mean(axis=0)
    grip = hull(np.concatenate([_at(inner, 0), _at(belly, 0.3 * z), _at(belly, 0.7 * z), _at(inner, z)]))
    thick = shape["blade"]
    tip = -x / 2
    edge = [(split + 0.004, 0.28 * y), (split + 0.004, -0.3 * y), (split - 0.12 * (split - tip), -0.5 * y),
            (tip + 0.12 * (split - tip), -0.45 * y), (tip, -0.1 * y), (tip + 0.03 * (split - tip), 0.3 * y),
            (tip + 0.16 * (split - tip), 0.5 * y), (split - 0.3 * (split - tip), 0.42 * y)]  # fmt: skip
    blade = prism(edge, thick).moved(z=z / 2 - thick / 2)
    return Design((convex(grip, steel), Piece(blade, steel, (blade.points,))))


TABLEWARE = (
    Category(
        "tray",
        tray,
        ("container", "flat", "graspable", "handle", "stackable"),
        ((0.28, 0.62), (0.18, 0.45), (0.03, 0.08)),
        {
            "wall": Parameter(0.004, 0.009, "thickness of bottom and sides", "m"),
            "flare": Parameter(0.1, 0.5, "how far a side leans out, over the height"),
            "reach": Parameter(0.024, 0.034, "how far a grip stands off", "m"),
        },
        ("wood", "pp", "bamboo"),
        x_over_y=(1.1, 2.2),
        z_over_x=(0.08, 0.2),
    ),
    Category(
        "spoon",
        spoon,
        ("flat", "graspable", "cutlery"),
        ((0.12, 0.34), (0.025, 0.07), (0.012, 0.035)),
        {
            "bowl": Parameter(0.25, 0.34, "length of the bowl over that of the spoon"),
            "thickness": Parameter(0.002, 0.003, "thickness of bowl and handle", "m"),
            "neck": Parameter(0.2, 0.3, "narrowest width of the handle over that of the bowl"),
            "handle": Parameter(0.35, 0.55, "width of the handle's end over that of the bowl"),
        },
        ("steel", "wood", "pp"),
        x_over_y=(4.2, 5.6),
        z_over_x=(0.08, 0.13),
    ),
    Category(
        "knife",
        knife,
        ("flat", "graspable", "cutlery"),
        ((0.17, 0.26), (0.015, 0.03), (0.006, 0.012)),
        {
            "handle": Parameter(0.44, 0.52, "length of the handle over that of the knife"),
            "blade": Parameter(0.0016, 0.0026, "thickness of the blade", "m"),
        },
        ("steel",),
        x_over_y=(8.0, 13.0),
        z_over_x=(0.03, 0.06),
    ),
)

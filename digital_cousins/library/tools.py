"""Tools: the screwdriver."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...errors import AssetError
from ...scenes.scene import CollisionGeom, Pose
from .category import Category, Palette, Parameter, Size
from .materials import MATERIALS
from .pieces import Design, Finish, Piece, convex, mass_of
from .shapes import Float, hull, lathe

_LYING = Pose(quaternion=(math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0))


def screwdriver(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A screwdriver lying on a flat of its six-sided handle, its blade along -X."""
    x, y, z = size
    grip, steel = palette.finish("abs", "pp"), palette.finish("steel")
    end = x / 2 - shape["handle"] * x
    bevel = 0.12 * shape["handle"] * x

    def six(at: float, grow: float) -> Float:
        # Flats below and above: y reaches corner to corner, z from flat to flat.
        angles = np.arange(6) * math.pi / 3
        return np.column_stack(
            [np.full(6, at), np.cos(angles) * y / 2 * grow, np.sin(angles) / math.sin(math.pi / 3) * z / 2 * grow]
        )

    handle = hull(np.concatenate([six(end, 0.62), six(end + bevel, 1.0), six(x / 2 - bevel, 1.0), six(x / 2, 0.75)]))
    shaft, tip = shape["shaft"], 0.012
    length = end + x / 2 - tip
    bar = lathe([(0, 0), (shaft / 2, 0), (shaft / 2, length + 0.03), (0, length + 0.03)]).turned(y=math.pi / 2)
    bar = bar.moved(x=-x / 2 + tip)
    blade = hull(
        [(-x / 2 + tip, s * shaft / 2, t * shaft / 2) for s in (-1, 1) for t in (-1, 1)]
        + [(-x / 2, s * 0.6 * shaft, t * 0.0005) for s in (-1, 1) for t in (-1, 1)]
    )
    felt = CollisionGeom(
        shape="cylinder",
        size=(shaft, shaft, length),
        pose=_LYING.model_copy(update={"position": (-x / 2 + tip + length / 2, 0.0, 0.0)}),
    )
    pieces = (convex(handle, grip), Piece(bar, steel, (felt,)), convex(blade, steel))
    lightest = replace(pieces[0], finish=Finish(MATERIALS["pp"], grip.rgba))
    if mass_of((lightest, *pieces[1:])).com[0] < end + bevel + 0.005:
        raise AssetError("screwdriver: it would tip over onto its blade; choose a thinner shaft or a longer handle")
    return Design(pieces)


TOOLS = (
    Category(
        "screwdriver",
        screwdriver,
        ("graspable", "tool"),
        ((0.14, 0.3), (0.022, 0.042), (0.02, 0.038)),
        {
            "handle": Parameter(0.45, 0.54, "length of the handle over that of the screwdriver"),
            "shaft": Parameter(0.004, 0.006, "diameter of the shaft", "m"),
        },
        ("abs", "pp"),
        x_over_y=(5.0, 9.0),
        z_over_x=(0.09, 0.18),
    ),
)

"""Ball and block; and fruit, which is played with too."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ...scenes.primitives import box
from ...scenes.scene import CollisionGeom
from .category import Category, Palette, Parameter, Size
from .pieces import Design, Piece, board, convex, disc
from .shapes import ball as sphere
from .shapes import block as cube
from .shapes import hull, lathe


def ball(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A ball: a rubber skin around air, or foam rubber all through where the wall is half as thick as the ball."""
    diameter = size[0]
    finish = palette.finish("rubber")
    wall = shape["wall"] * diameter
    look = sphere(diameter)
    skin = look - sphere(diameter - 2 * wall) if wall < 0.495 * diameter else look
    felt = CollisionGeom(shape="sphere", size=(diameter, diameter, diameter))
    return Design((Piece(look, finish, (felt,), ((skin, finish.substance),), plain=True),))


def block(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A building block: a cuboid, a cylinder, a wedge or a bridge."""
    x, y, z = size
    finish = palette.finish("painted_wood", "wood", "abs")
    form = int(shape["form"])
    if form == 0:
        return Design((board(x, y, z, (0, 0, 0), finish),))
    if form == 1:
        return Design((disc(x, y, z, (0, 0, 0), finish),))
    if form == 2:
        corners = [(s * x / 2, t * y / 2, -z / 2) for s in (-1, 1) for t in (-1, 1)]
        return Design((convex(hull(corners + [(0, t * y / 2, z / 2) for t in (-1, 1)]), finish),))
    span, rise = 0.5 * x, 0.5 * z
    look = cube(x, y, z) - cube(span, 2 * y, rise, (0, 0, (rise - z) / 2))
    legs = [box((x - span) / 2, y, rise, at=(s * (x + span) / 4, 0, (rise - z) / 2)) for s in (-1, 1)]
    return Design((Piece(look, finish, (box(x, y, z - rise, at=(0, 0, rise / 2)), *legs)),))


def fruit(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """An apple, orange or pear: a turned body with a dimple at either end, which it stands on, and a stalk."""
    x, y, z = size
    pear = shape["neck"]
    flesh = palette.finish("pear_flesh") if pear > 0.25 else palette.finish("apple_flesh", "citrus_flesh")
    stalk = palette.finish("wood")
    stem = 0.0 if flesh.substance.name == "citrus_flesh" else 0.1 * z
    top = z - stem
    angles = np.linspace(-math.pi / 2, math.pi / 2, 15)
    # A sphere, drawn in towards the top by `neck`, with its widest place exactly as wide as asked.
    radius = np.cos(angles) * (1 - pear * np.clip(np.sin(angles), 0, 1))
    height = (np.sin(angles) + 1) / 2
    radius[0] = radius[-1] = 0.0
    profile = np.column_stack([radius / radius.max() * y / 2, height * top])
    # The dimple below: a ring of a quarter of the width touches the table.
    flat = 0.26 * y / 2
    profile = profile[(profile[:, 0] > 1.05 * flat) | (profile[:, 1] > top / 2)]
    outline = np.concatenate([[[0.0, shape["dimple"] * z], [flat, 0.0]], profile])
    body = lathe(outline).scaled(x / y)
    felt = lathe(np.concatenate([[[0.0, 0.0], [flat, 0.0]], profile])).scaled(x / y)
    pieces = [Piece(body, flesh, (felt.make(12).to_mesh64().vert_properties[:, :3],))]
    if stem:
        rod = lathe([(0, 0), (0.0018, 0), (0.0018, stem + 0.1 * z), (0, stem + 0.1 * z)], sides=8)
        pieces.append(Piece(rod.moved(z=top - 0.1 * z), stalk))
    return Design(tuple(pieces))


TOYS = (
    Category(
        "ball",
        ball,
        ("graspable", "rolls", "toy"),
        ((0.03, 0.26), (0.03, 0.26), (0.03, 0.26)),
        {"wall": Parameter(0.02, 0.5, "thickness of the skin over the diameter; 0.5 is solid")},
        ("rubber",),
        x_over_y=(1.0, 1.0),
        z_over_x=(1.0, 1.0),
        rolls=True,
    ),
    Category(
        "block",
        block,
        ("graspable", "stackable", "toy"),
        ((0.02, 0.14), (0.02, 0.1), (0.015, 0.1)),
        {"form": Parameter(0, 3, "0 cuboid, 1 cylinder, 2 wedge, 3 bridge", whole=True)},
        ("painted_wood", "wood", "abs"),
        x_over_y=(0.5, 4.0),
        natural=(1.0, 2.0),
        z_over_x=(0.25, 2.0),
    ),
    Category(
        "fruit",
        fruit,
        ("graspable", "food"),
        ((0.045, 0.13), (0.045, 0.13), (0.045, 0.16)),
        {
            "neck": Parameter(0.0, 0.5, "how much slimmer the upper half is: apples 0, pears 0.5"),
            "dimple": Parameter(0.02, 0.08, "depth of the dimple it stands on over its height"),
        },
        ("apple_flesh", "citrus_flesh", "pear_flesh"),
        x_over_y=(0.85, 1.18),
        natural=(1.0, 1.0),
        z_over_x=(0.85, 1.5),
    ),
)

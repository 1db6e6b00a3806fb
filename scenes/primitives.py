"""Words for writing shapes by hand: boxes, cylinders, open vessels and open boxes, all of convex primitives."""

from __future__ import annotations

import math

from .scene import CollisionGeom, Estimate, Pose

FOOT = 0.002
"""How much [m] lower the bottom of a vessel stands than its staves, which would each make contacts of their own."""


BAR = 0.012
"""Thickness [m] of a furniture handle's bar."""
REACH = 0.045
"""How far [m] such a handle stands off its front: room for a finger of 10 mm behind the bar."""


def box(x: float, y: float, z: float, *, at: tuple[float, float, float] = (0, 0, 0), yaw: float = 0.0) -> CollisionGeom:
    """A box of full extents [m], turned by `yaw` about Z."""
    quaternion = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    return CollisionGeom(shape="box", size=(x, y, z), pose=Pose(position=at, quaternion=quaternion))


def cylinder(diameter: float, length: float, *, at: tuple[float, float, float] = (0, 0, 0)) -> CollisionGeom:
    """An upright cylinder [m]."""
    return CollisionGeom(shape="cylinder", size=(diameter, diameter, length), pose=Pose(position=at))


def mug_shapes(diameter: float, height: float, wall: float = 0.005, staves: int = 12) -> list[CollisionGeom]:
    """An open cup: a ring of upright boards on a bottom, without a handle [m]."""
    radius = (diameter - wall) / 2
    width = 2 * (diameter / 2) * math.tan(math.pi / staves)
    shapes = [cylinder(diameter - wall, wall, at=(0, 0, (wall - height) / 2))]
    for k in range(staves):
        angle = 2 * math.pi * k / staves
        place = (radius * math.cos(angle), radius * math.sin(angle), FOOT / 2)
        shapes.append(box(wall, width, height - FOOT, at=place, yaw=angle))
    return shapes


def basin(x: float, y: float, z: float, wall: float = 0.006) -> list[CollisionGeom]:
    """An open box of outer extents [m]: a bottom and four boards."""
    low, side = (wall - z) / 2, wall / 2
    return [
        box(x, y, wall, at=(0, 0, low)),
        *(box(x, wall, z - wall, at=(0, s * (y / 2 - side), side)) for s in (-1, 1)),
        *(box(wall, y - 2 * wall, z - wall, at=(s * (x / 2 - side), 0, side)) for s in (-1, 1)),
    ]


def bar_handle(at: tuple[float, float, float], along: str, length: float) -> list[CollisionGeom]:
    """A bar on two posts along "x" or "z", standing off a front at `at` towards -Y [m]."""
    x, y, z = at
    run = (length / 2 - BAR / 2, 0.0) if along == "x" else (0.0, length / 2 - BAR / 2)
    size = (length, BAR, BAR) if along == "x" else (BAR, BAR, length)
    posts = [box(BAR, REACH - BAR, BAR, at=(x + s * run[0], y - (REACH - BAR) / 2, z + s * run[1])) for s in (-1, 1)]
    return [box(*size, at=(x, y - REACH + BAR / 2, z)), *posts]


def exact(value: float) -> Estimate:
    """A quantity that is known because it was chosen."""
    return Estimate(value=value, low=value, high=value, source="authored")

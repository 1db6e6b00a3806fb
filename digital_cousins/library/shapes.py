"""Solids to build things of, at any fineness: blocks, turned and swept solids, hulls, and their sums and differences.

A `Shape` is a recipe: `shape.make(sides)` builds it with circles of that many sides, coarse for pictures, fine for
mass. Circles are drawn through their quadrants (the number of sides is a multiple of 4), so that extents do not depend
on fineness. Booleans are Manifold's, whose output is closed and outward by construction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from manifold3d import CrossSection, Manifold, Mesh64, OpType
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]
LOOK, FINE = 24, 96
"""Sides of a circle in pictures, and where mass is computed (a circle's area is off by 0.07 %)."""


@dataclass(frozen=True)
class Shape:
    """A solid for any number of sides of its circles; `+` joins, `-` cuts away, `&` keeps what is shared."""

    make: Callable[[int], Manifold]

    def __add__(self, other: Shape) -> Shape:
        return Shape(lambda sides: self.make(sides) + other.make(sides))

    def __sub__(self, other: Shape) -> Shape:
        return Shape(lambda sides: self.make(sides) - other.make(sides))

    def __and__(self, other: Shape) -> Shape:
        return Shape(lambda sides: self.make(sides) ^ other.make(sides))

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
        """Shifted [m]."""
        return Shape(lambda sides: self.make(sides).translate((x, y, z)))

    def turned(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
        """Turned about the fixed axes, about X first [rad]."""
        return Shape(lambda sides: self.make(sides).rotate((math.degrees(x), math.degrees(y), math.degrees(z))))

    def scaled(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Shape:
        """Stretched along the axes."""
        return Shape(lambda sides: self.make(sides).scale((x, y, z)))

    @cached_property
    def look(self) -> Manifold:
        """As drawn."""
        return self.make(LOOK)

    @property
    def bounds(self) -> Float:
        """Lowest and highest corner [2, 3]."""
        return np.array(self.look.bounding_box()).reshape(2, 3)

    @property
    def points(self) -> Float:
        """Vertices [V, 3] as drawn."""
        return np.asarray(self.look.to_mesh64().vert_properties[:, :3], np.float64)


def block(x: float, y: float, z: float, at: Sequence[float] = (0.0, 0.0, 0.0)) -> Shape:
    """A box of full extents [m] about `at`."""
    return Shape(lambda sides: Manifold.cube((x, y, z), True).translate(tuple(at)))


def rod(diameter: float, length: float, at: Sequence[float] = (0.0, 0.0, 0.0)) -> Shape:
    """An upright cylinder [m] about `at`."""
    return Shape(lambda sides: Manifold.cylinder(length, diameter / 2, -1.0, sides, True).translate(tuple(at)))


def ball(diameter: float, at: Sequence[float] = (0.0, 0.0, 0.0)) -> Shape:
    """A sphere [m] about `at`."""
    return Shape(lambda sides: Manifold.sphere(diameter / 2, sides).translate(tuple(at)))


def lathe(profile: ArrayLike, sides: int | None = None) -> Shape:
    """What a turner makes: the closed outline [N, 2] of (radius, height) [m] about the Z axis.

    Args:
        profile: corners in either sense; the radius must not be negative.
        sides: a fixed number, for what really has that many (a hexagonal handle).
    """
    outline = _counter_clockwise(np.asarray(profile, np.float64))
    return Shape(lambda fine: Manifold.revolve(CrossSection([outline]), sides or fine))


def prism(outline: ArrayLike, height: float) -> Shape:
    """An outline [N, 2] of (x, y) [m] raised from z = 0 to `height`."""
    corners = _counter_clockwise(np.asarray(outline, np.float64))
    return Shape(lambda sides: Manifold.extrude(CrossSection([corners]), height))


def hull(points: ArrayLike) -> Shape:
    """The convex hull of points [N, 3]."""
    corners = np.asarray(points, np.float64)
    return Shape(lambda sides: Manifold.hull_points(corners))


def union(shapes: Sequence[Shape]) -> Shape:
    """All of them together."""
    return Shape(lambda sides: Manifold.batch_boolean([shape.make(sides) for shape in shapes], OpType.Add))


def rings(path: ArrayLike, width: float, thickness: float, across: ArrayLike, sides: int = 8) -> Float:
    """Cross-sections [N, sides, 3] along a plane path: ellipses, half-way between its directions at its corners.

    Args:
        path: corners [N, 3] of the middle line [m]. width: along `across` [m]. thickness: at right angles to it [m].
        across: unit normal [3] of the path's plane. sides: of a cross-section; 4 gives a rectangle.
    """
    middle, binormal = np.asarray(path, np.float64), np.asarray(across, np.float64)
    steps = np.diff(middle, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    found = np.zeros((len(middle), sides, 3))
    angles = 2 * np.pi * (np.arange(sides) + (0.5 if sides == 4 else 0.0)) / sides
    reach = math.sqrt(2) if sides == 4 else 1.0
    for k, point in enumerate(middle):
        before, after = steps[max(k - 1, 0)], steps[min(k, len(steps) - 1)]
        tangent = (before + after) / np.linalg.norm(before + after)
        normal = np.cross(binormal, tangent)
        found[k] = (
            point
            + reach * np.outer(np.cos(angles), binormal) * width / 2
            + reach * np.outer(np.sin(angles), normal) * thickness / 2
        )
    return found


def tube(sections: Float) -> Shape:
    """The solid through cross-sections [N, sides, 3], closed at both ends."""
    count, sides = sections.shape[:2]
    faces = []
    for k in range(count - 1):
        for j in range(sides):
            a, b = k * sides + j, k * sides + (j + 1) % sides
            faces += [(a, b, b + sides), (a, b + sides, a + sides)]
    last = (count - 1) * sides
    faces += [(0, j + 1, j) for j in range(1, sides - 1)]
    faces += [(last, last + j, last + j + 1) for j in range(1, sides - 1)]
    triangles = np.array(faces, np.uint64)

    def make(fine: int) -> Manifold:
        solid = Manifold(Mesh64(sections.reshape(-1, 3), triangles))
        return solid if solid.volume() > 0 else Manifold(Mesh64(sections.reshape(-1, 3), triangles[:, ::-1].copy()))

    return Shape(make)


def _counter_clockwise(outline: Float) -> Float:
    x, y = outline[:, 0], outline[:, 1]
    area = float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    return outline if area > 0 else outline[::-1].copy()

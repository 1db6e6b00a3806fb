"""Open vessels, round or oval: mug, cup, bowl, plate; and the wall and handle that cookware has too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from ...scenes.primitives import FOOT, box
from ...scenes.scene import CollisionGeom, Pose
from .category import Category, Palette, Parameter, Size
from .pieces import Design, Finish, Piece
from .shapes import Float, lathe, rings, tube

STAVES = 12
"""A vessel is felt as this many boards: a multiple of 4, so that they reach exactly as far along x and y as it does."""
MIN_REACH = 0.024
"""How far [m] a mug's handle stands off at least: a finger goes through."""


class Wall:
    """The wall of a vessel that stands on z = 0 about the z axis, turned and then stretched along x.

    Args:
        x, y: largest extents [m]. z: height [m]. thickness: of wall and, unless `bottom` is given, of the bottom [m].
        foot: diameter of the foot as a share of that of the rim; above 1 it is the foot that is `y` wide.
        bulge: how far the wall bends outwards, as a share of its length.
    """

    def __init__(
        self, x: float, y: float, z: float, thickness: float, *, foot: float = 1.0, bulge: float = 0.0,
        bottom: float | None = None,
    ) -> None:  # fmt: skip
        self.x, self.y, self.z, self.thickness, self.stretch = x, y, z, thickness, x / y
        self.bottom = thickness if bottom is None else bottom
        rim = y / 2 / max(foot, 1.0)
        angle = math.atan2(z, rim * (1 - foot))
        along = np.array([math.cos(angle), math.sin(angle)])
        self._inward = np.array([-along[1], along[0]])
        self._top = np.array([rim, z - thickness * max(0.0, along[0])])
        self._foot = np.array([self._top[0] - self._top[1] * along[0] / along[1], 0.0])
        length = float(np.linalg.norm(self._top - self._foot))
        # It must bend neither beyond the rim nor below the table.
        self.bulge = min(
            bulge * length, 0.24 * length * along[0] / along[1], 0.24 * length * along[1] / max(along[0], 1e-9)
        )
        self.bulge = max(0.0, self.bulge)

    def outer(self, share: float) -> Float:
        """Radius and height [2] of the outside, at a share of the way from foot to rim."""
        bent = -self._inward * 4 * self.bulge * share * (1 - share)
        point: Float = self._foot + share * (self._top - self._foot) + bent
        return point

    def radius(self, height: float) -> float:
        """Half the extent along x of the outside [m] at a height [m]."""
        shares = np.linspace(0, 1, 33)
        line = np.array([self.outer(s) for s in shares])
        return self.stretch * float(np.interp(height, line[:, 1], line[:, 0]))

    def piece(self, finish: Finish) -> Piece:
        """The vessel itself."""
        shares = np.linspace(0, 1, 6 if self.bulge > 1e-4 else 2)
        outside = np.array([self.outer(s) for s in shares])
        inside = (outside + self.thickness * self._inward)[::-1]
        level = self.bottom
        above = inside[inside[:, 1] > level]
        low = inside[inside[:, 1] <= level][0] if (inside[:, 1] <= level).any() else above[-1] - [0, 1]
        share = (level - low[1]) / (above[-1, 1] - low[1])
        corner = low + share * (above[-1] - low)
        profile = [(0.0, 0.0), *outside, *above, (corner[0], level), (0.0, level)]
        look = lathe(profile).scaled(self.stretch)
        return Piece(look, finish, tuple(self.collision()))

    def collision(self) -> list[CollisionGeom | Float]:
        """A bottom, and staves: boards where the wall is upright and round, else hulls of eight corners."""
        flared = self._top[0] > self._foot[0] + 1e-9
        width = float(self._foot[0]) - (0.0 if flared else self.thickness / 2)
        if self.x == self.y:
            base: CollisionGeom | Float = CollisionGeom(
                shape="cylinder", size=(2 * width, 2 * width, self.bottom),
                pose=Pose(position=(0, 0, self.bottom / 2)),
            )  # fmt: skip
        else:
            base = lathe([(0, 0), (width, 0), (width, self.bottom), (0, self.bottom)]).scaled(self.stretch).points
        upright = abs(self._inward[1]) < 1e-9 and self.x == self.y
        return [base, *(self._board(k) if upright else self._stave(k) for k in range(STAVES))]

    def _board(self, k: int) -> CollisionGeom:
        angle = 2 * math.pi * k / STAVES
        radius, height = (self.y - self.thickness) / 2, self.z - FOOT
        at = (radius * math.cos(angle), radius * math.sin(angle), FOOT + height / 2)
        return box(self.thickness, self.y * math.tan(math.pi / STAVES), height, at=at, yaw=angle)

    def _stave(self, k: int) -> Float:
        low = self._foot + FOOT / self._top[1] * (self._top - self._foot)
        low = low + np.array([0.5 * self.bulge, 0.0])  # half-way between the bent wall and its chord
        corners = []
        for r, z in (low, self._top, low + self.thickness * self._inward, self._top + self.thickness * self._inward):
            for side in (-0.5, 0.5):
                angle = 2 * math.pi * (k + side) / STAVES
                reach = r / math.cos(math.pi / STAVES)
                corners.append(
                    (self.stretch * reach * math.cos(angle), reach * math.sin(angle), max(float(z), FOOT / 2))
                )
        return np.array(corners)


def bow(path: Sequence[Sequence[float]], width: float, thickness: float, finish: Finish, *,
        across: Sequence[float] = (0, 1, 0), sides: int = 8, felt: Sequence[int] | None = None) -> Piece:  # fmt: skip
    """A handle bent along a path; see `rings`.

    It is felt as one hull between each two of its corners, or between those that `felt` names.
    """
    sections = rings(path, width, thickness, across, sides)
    ends = range(len(sections)) if felt is None else felt
    hulls = tuple(sections[a : b + 1].reshape(-1, 3) for a, b in pairwise(ends))
    return Piece(tube(sections), finish, hulls)


def ear(wall: Wall, x: float, high: float, low: float, width: float, thickness: float, finish: Finish) -> Piece:
    """A mug's handle: from the wall at height `high` [m] out to `x` and back at height `low`."""
    middle, half, reach = (high + low) / 2, (high - low) / 2, x - thickness / 2
    path: list[tuple[float, float, float]] = []
    for side in (1, -1):
        start = wall.radius(middle + side * half) - wall.thickness / 2
        bend = [(0.0, 1.0), (0.66, 0.92), (0.89, 0.72), (1.0, 0.3)]
        arm = [(start + out * (reach - start), 0.0, middle + side * up * half) for out, up in bend]
        path += arm if side > 0 else [(reach, 0.0, middle), *reversed(arm)]
    return bow(path, width, thickness, finish, felt=(0, 2, 6, 8))


def mug(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A mug: a slightly tapered wall, and an ear on the +X side."""
    x, y, z = size
    finish = palette.finish("ceramic", "ceramic", "ceramic", "glass", "painted_steel")
    wide = min(y, x - MIN_REACH)
    wall = Wall(wide, y, z, shape["wall"], foot=shape["foot"], bottom=1.3 * shape["wall"])
    span = shape["handle"] * z
    middle = 0.52 * z
    handle = ear(
        wall,
        x - wide / 2,
        middle + span / 2,
        middle - span / 2,
        shape["handle_width"],
        shape["handle_thickness"],
        finish,
    )
    return Design((wall.piece(finish), handle))


def cup(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A cup or tumbler without a handle, wider at its rim."""
    finish = palette.finish("glass", "pp", "ceramic")
    wall = Wall(*size, shape["wall"], foot=shape["foot"], bottom=1.5 * shape["wall"])
    return Design((wall.piece(finish),))


def bowl(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A bowl with a bent wall on a flat foot."""
    finish = palette.finish("ceramic", "ceramic", "wood", "pp", "glass")
    return Design((Wall(*size, shape["wall"], foot=shape["foot"], bulge=shape["bulge"]).piece(finish),))


def plate(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A plate: a flat middle and a rim that rises."""
    finish = palette.finish("ceramic", "ceramic", "pp", "wood", "glass")
    return Design((Wall(*size, shape["wall"], foot=shape["well"]).piece(finish),))


ROUND, NEARLY_ROUND = (1.0, 1.0), (0.8, 1.25)
VESSELS = (
    Category(
        "mug",
        mug,
        ("container", "graspable", "handle", "drinkware"),
        ((0.085, 0.17), (0.065, 0.115), (0.06, 0.13)),
        {
            "wall": Parameter(0.003, 0.006, "thickness of the wall", "m"),
            "foot": Parameter(0.82, 1.0, "diameter of the foot over that of the rim"),
            "handle": Parameter(0.5, 0.72, "height of the handle over that of the mug"),
            "handle_width": Parameter(0.009, 0.016, "width of the handle", "m"),
            "handle_thickness": Parameter(0.006, 0.009, "thickness of the handle", "m"),
        },
        ("ceramic", "glass", "painted_steel"),
        x_over_y=(1.05, 1.8),
        natural=(1.32, 1.5),
    ),
    Category(
        "cup",
        cup,
        ("container", "graspable", "stackable", "drinkware"),
        ((0.05, 0.11), (0.05, 0.11), (0.055, 0.17)),
        {
            "wall": Parameter(0.002, 0.005, "thickness of the wall", "m"),
            "foot": Parameter(0.62, 1.0, "diameter of the foot over that of the rim"),
        },
        ("glass", "pp", "ceramic"),
        x_over_y=NEARLY_ROUND,
        natural=ROUND,
        z_over_x=(0.7, 2.2),
    ),
    Category(
        "bowl",
        bowl,
        ("container", "graspable", "stackable", "dish"),
        ((0.1, 0.32), (0.1, 0.32), (0.035, 0.16)),
        {
            "wall": Parameter(0.003, 0.006, "thickness of the wall", "m"),
            "foot": Parameter(0.4, 0.62, "diameter of the foot over that of the rim"),
            "bulge": Parameter(0.02, 0.09, "bend of the wall over its length"),
        },
        ("ceramic", "wood", "pp", "glass"),
        x_over_y=NEARLY_ROUND,
        natural=ROUND,
        z_over_x=(0.25, 0.6),
    ),
    Category(
        "plate",
        plate,
        ("flat", "graspable", "stackable", "dish"),
        ((0.12, 0.34), (0.12, 0.34), (0.012, 0.04)),
        {
            "wall": Parameter(0.0035, 0.0055, "thickness", "m"),
            "well": Parameter(0.55, 0.75, "diameter of the flat middle over that of the plate"),
        },
        ("ceramic", "pp", "wood", "glass"),
        x_over_y=(0.6, 1.6),
        natural=ROUND,
        z_over_x=(0.06, 0.16),
    ),
)

"""What stands inside a furniture box of a parametric room: composites of primitives, and category priors.

RoomPlan exports one box a piece of furniture. A solid box would keep a chair from going under its table and a gripper
from a table's edge, so each category is rebuilt as a plain composite that spans its box exactly. Pieces that open
(storage and most appliances) are built in `articulation`, the others here.

Body frame: X to the right of someone facing the front, -Y to the front, Z up.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..scenes.scene import CollisionGeom, Estimate, Rgba
from .primitives import slab, upright_cylinder

Attributes = Mapping[str, Any]
Geoms = list[CollisionGeom]


@dataclass(frozen=True, slots=True)
class Extents:
    """A furniture box in its body frame [m]: `width` along X, `depth` along Y, centred; `bottom` to `top` along Z."""

    width: float
    depth: float
    bottom: float
    top: float

    @property
    def height(self) -> float:
        """From bottom to top [m]."""
        return self.top - self.bottom

    @property
    def x(self) -> tuple[float, float]:
        """Left and right side."""
        return (-self.width / 2, self.width / 2)

    @property
    def y(self) -> tuple[float, float]:
        """Front and back."""
        return (-self.depth / 2, self.depth / 2)

    def lift(self, height: float) -> float:
        """Body-frame Z of a point `height` above the bottom, at most at the top."""
        return self.bottom + min(height, self.height)


@dataclass(frozen=True, slots=True)
class Prior:
    """What a category usually is.

    Attributes:
        density: mass per volume of the bounding box [kg/m^3], furniture being mostly air.
        spread: the mass is believed within a factor of `spread` either way.
        friction: sliding friction of its surface.
        rgba: colour.
        free: True where a robot can push it about.
    """

    density: float
    spread: float
    friction: float
    rgba: Rgba
    free: bool = False


WOOD: Rgba = (0.62, 0.45, 0.30, 1.0)
LIGHT_WOOD: Rgba = (0.78, 0.66, 0.50, 1.0)
FABRIC: Rgba = (0.42, 0.47, 0.53, 1.0)
WHITE: Rgba = (0.90, 0.90, 0.88, 1.0)
STEEL: Rgba = (0.70, 0.72, 0.74, 1.0)
BLACK: Rgba = (0.12, 0.12, 0.13, 1.0)
STONE: Rgba = (0.60, 0.58, 0.55, 1.0)

# Densities: product weight over outer volume of common pieces (a 1.8 x 0.8 x 0.7 m desk of 30 kg, a three-seat sofa of
# 50 kg, an 85 cm dishwasher of 40 kg, ...), our own estimates; friction: SceneSmith's material table (wood 0.40,
# ceramic 0.35, steel 0.74 -> painted 0.4), fabric estimated.
PRIORS: dict[str, Prior] = {
    "table": Prior(30, 1.8, 0.40, WOOD, free=True),
    "chair": Prior(33, 1.8, 0.40, (0.25, 0.27, 0.30, 1.0), free=True),
    "sofa": Prior(35, 1.8, 0.55, FABRIC),
    "bed": Prior(45, 1.8, 0.55, (0.80, 0.80, 0.84, 1.0)),
    "storage": Prior(95, 1.8, 0.40, LIGHT_WOOD),
    "refrigerator": Prior(95, 1.5, 0.40, WHITE),
    "oven": Prior(160, 1.5, 0.40, STEEL),
    "stove": Prior(150, 1.5, 0.40, STEEL),
    "dishwasher": Prior(130, 1.5, 0.40, WHITE),
    "washerdryer": Prior(200, 1.5, 0.40, WHITE),
    "sink": Prior(130, 2.0, 0.35, WHITE),
    "toilet": Prior(190, 1.6, 0.35, WHITE),
    "bathtub": Prior(90, 2.0, 0.35, WHITE),
    "television": Prior(250, 2.0, 0.35, BLACK),
    "stairs": Prior(300, 2.5, 0.50, LIGHT_WOOD),
    "fireplace": Prior(400, 2.5, 0.60, STONE),
}
UNKNOWN = Prior(100, 3.0, 0.45, (0.6, 0.6, 0.6, 1.0))


def category_word(category: str) -> str:
    """RoomPlan's category as one lower-case word ("washerDryer" -> "washerdryer"), safe in names."""
    return re.sub(r"[^a-z0-9]+", "", category.lower()) or "object"


def prior_of(category: str) -> Prior:
    """Prior of a category word; a vague one for words we do not know."""
    return PRIORS.get(category, UNKNOWN)


def mass_estimate(category: str, box: Extents) -> Estimate:
    """Mass [kg] by category and box volume."""
    prior = prior_of(category)
    value = float(np.clip(prior.density * box.width * box.depth * box.height, 0.5, 500.0))
    source = (
        f"{category} prior: {prior.density:g} kg per m^3 of bounding box, believed within a factor of {prior.spread:g}"
    )
    return Estimate(value=value, low=value / prior.spread, high=value * prior.spread, source=source)


def friction_estimate(category: str) -> Estimate:
    """Sliding friction by category."""
    value = prior_of(category).friction
    return Estimate(
        value=value, low=0.7 * value, high=1.3 * value, source=f"{category} prior, surface material assumed"
    )


def furnish(category: str, box: Extents, attributes: Attributes) -> Geoms:
    """Primitives that span the box of a piece without moving parts; one solid box for categories we do not know."""
    return _BUILDERS.get(category, _solid)(box, attributes)


def _thin(thickness: float, whole: float, fraction: float = 0.25) -> float:
    """A usual thickness, less where the whole piece is small."""
    return min(thickness, fraction * whole)


def _solid(box: Extents, attributes: Attributes) -> Geoms:
    return [slab(box.x, box.y, (box.bottom, box.top))]


def _legs(box: Extents, top: float, thickness: float) -> Geoms:
    """Four square legs, flush with the corners of the box."""
    return [
        slab((x, x + thickness), (y, y + thickness), (box.bottom, top))
        for x in (box.x[0], box.x[1] - thickness)
        for y in (box.y[0], box.y[1] - thickness)
    ]


def _table(box: Extents, attributes: Attributes) -> Geoms:
    thickness = _thin(0.035, box.height)
    under = box.top - thickness
    if "circular" in str(attributes.get("TableShapeType", "")).lower():
        small = min(box.width, box.depth)
        foot = box.bottom + _thin(0.04, box.height)
        return [
            *_ellipse(box, (under, box.top)),
            upright_cylinder(0, 0, (foot, under), _thin(0.12, small, 0.3)),
            upright_cylinder(0, 0, (box.bottom, foot), 0.6 * small),
        ]
    leg = float(np.clip(0.08 * min(box.width, box.depth), 0.02, 0.06))
    leg = _thin(leg, min(box.width, box.depth))
    return [slab(box.x, box.y, (under, box.top)), *_legs(box, under, leg)]


def _ellipse(box: Extents, z: tuple[float, float], strips: int = 9) -> Geoms:
    """An elliptic plate as strips across X that do not overlap; the middle one spans the depth."""
    edges = np.linspace(*box.x, strips + 1)
    geoms = []
    for low, high in itertools.pairwise(edges.tolist()):
        middle = (low + high) / 2
        half = box.depth / 2 * float(np.sqrt(1 - (2 * middle / box.width) ** 2))
        geoms.append(slab((low, high), (-half, half), z))
    return geoms


def _chair(box: Extents, attributes: Attributes) -> Geoms:
    kind = str(attributes.get("ChairType", "")).lower()
    has_back = attributes.get("ChairBackType") != "missing" and kind != "stool"
    has_arms = attributes.get("ChairArmType") == "existing" and has_back
    # Seats are about 0.45 m high; bar stools are all seat. The back needs some height above the seat.
    seat_top = box.lift(min(0.46, 0.62 * box.height)) if has_back else box.top
    seat_bottom = seat_top - _thin(0.06, seat_top - box.bottom)
    back = _thin(0.06, box.depth)
    arm = _thin(0.05, box.width, 0.12)
    seat_x = (box.x[0] + arm, box.x[1] - arm) if has_arms else box.x
    geoms = [slab(seat_x, (box.y[0], box.y[1] - (back if has_back else 0)), (seat_bottom, seat_top))]
    if attributes.get("ChairLegType") == "star" or kind == "swivel":
        foot = box.bottom + _thin(0.06, seat_bottom - box.bottom)
        bar = _thin(0.06, min(box.width, box.depth))
        geoms += [
            upright_cylinder(0, 0, (foot, seat_bottom), bar),
            slab(box.x, (-bar / 2, bar / 2), (box.bottom, foot)),
            slab((-bar / 2, bar / 2), (box.y[0], -bar / 2), (box.bottom, foot)),
            slab((-bar / 2, bar / 2), (bar / 2, box.y[1]), (box.bottom, foot)),
        ]
    else:
        geoms += _legs(box, seat_bottom, _thin(0.035, min(box.width, box.depth)))
    if has_back:
        geoms.append(slab(seat_x, (box.y[1] - back, box.y[1]), (seat_bottom, box.top)))
    if has_arms:
        # Rests 17 cm above the seat pass under a usual table top; they reach two thirds forward.
        rest = min(seat_top + 0.17, box.top)
        front = box.y[1] - 0.75 * box.depth
        for side in ((box.x[0], box.x[0] + arm), (box.x[1] - arm, box.x[1])):
            geoms += [
                slab(side, (front, box.y[1]), (rest - _thin(0.03, rest - seat_bottom), rest)),
                slab(side, (-0.1 * box.depth, 0.1 * box.depth), (seat_bottom, rest - _thin(0.03, rest - seat_bottom))),
            ]
    return geoms


def _sofa(box: Extents, attributes: Attributes) -> Geoms:
    seat = box.lift(min(0.43, 0.5 * box.height))
    back = _thin(0.22, box.depth)
    arm = _thin(0.16, box.width, 0.15)
    rest = box.lift(min(0.62, 0.75 * box.height))
    inner = (box.x[0] + arm, box.x[1] - arm)
    return [
        slab(inner, (box.y[0], box.y[1] - back), (box.bottom, seat)),
        slab(inner, (box.y[1] - back, box.y[1]), (box.bottom, box.top)),
        slab((box.x[0], inner[0]), box.y, (box.bottom, rest)),
        slab((inner[1], box.x[1]), box.y, (box.bottom, rest)),
    ]


def _bed(box: Extents, attributes: Attributes) -> Geoms:
    board = _thin(0.06, box.depth)
    mattress = box.lift(min(0.55, 0.6 * box.height))
    return [
        slab(box.x, (box.y[0], box.y[1] - board), (box.bottom, mattress)),
        slab(box.x, (box.y[1] - board, box.y[1]), (box.bottom, box.top)),
    ]


def _basin(box: Extents, wall: float, floor: float) -> Geoms:
    """A box open at the top: bottom plate up to `floor` and four walls."""
    wall = _thin(wall, min(box.width, box.depth))
    inner = (box.y[0] + wall, box.y[1] - wall)
    z = (floor, box.top)
    return [
        slab(box.x, box.y, (box.bottom, floor)),
        slab((box.x[0], box.x[0] + wall), inner, z),
        slab((box.x[1] - wall, box.x[1]), inner, z),
        slab(box.x, (box.y[0], inner[0]), z),
        slab(box.x, (inner[1], box.y[1]), z),
    ]


def _sink(box: Extents, attributes: Attributes) -> Geoms:
    return _basin(box, 0.05, box.top - min(0.15, 0.8 * box.height))


def _bathtub(box: Extents, attributes: Attributes) -> Geoms:
    return _basin(box, 0.07, box.bottom + _thin(0.10, box.height))


def _toilet(box: Extents, attributes: Attributes) -> Geoms:
    tank = box.y[1] - _thin(0.20, box.depth, 0.35)
    seat = box.lift(min(0.42, 0.6 * box.height))
    x = (0.85 * box.x[0], 0.85 * box.x[1])
    return [slab(x, (box.y[0], tank), (box.bottom, seat)), slab(box.x, (tank, box.y[1]), (box.bottom, box.top))]


def _television(box: Extents, attributes: Attributes) -> Geoms:
    if box.depth < 0.12:
        return _solid(box, attributes)
    # A deep box is a flat panel on its stand.
    foot = box.bottom + _thin(0.06, box.height, 0.15)
    base = box.bottom + _thin(0.02, box.height, 0.05)
    return [
        slab((0.5 * box.x[0], 0.5 * box.x[1]), box.y, (box.bottom, base)),
        slab((0.1 * box.x[0], 0.1 * box.x[1]), (-0.02, 0.02), (base, foot)),
        slab(box.x, (-0.03, 0.03), (foot, box.top)),
    ]


def _stairs(box: Extents, attributes: Attributes) -> Geoms:
    steps = int(np.clip(round(box.height / 0.18), 1, 30))
    treads = np.linspace(*box.y, steps + 1)
    rises = np.linspace(box.bottom, box.top, steps + 1)
    return [slab(box.x, (treads[i], treads[i + 1]), (box.bottom, rises[i + 1])) for i in range(steps)]


def _fireplace(box: Extents, attributes: Attributes) -> Geoms:
    pier = 0.22 * box.width
    mantel = box.bottom + 0.7 * box.height
    back = box.y[1] - 0.2 * box.depth
    inner = (box.x[0] + pier, box.x[1] - pier)
    return [
        slab((box.x[0], inner[0]), box.y, (box.bottom, mantel)),
        slab((inner[1], box.x[1]), box.y, (box.bottom, mantel)),
        slab(inner, (back, box.y[1]), (box.bottom, mantel)),
        slab(box.x, box.y, (mantel, box.top)),
    ]


_BUILDERS: dict[str, Callable[[Extents, Attributes], Geoms]] = {
    "table": _table,
    "chair": _chair,
    "sofa": _sofa,
    "bed": _bed,
    "sink": _sink,
    "bathtub": _bathtub,
    "toilet": _toilet,
    "television": _television,
    "stairs": _stairs,
    "fireplace": _fireplace,
}

"""Pan, pot and kettle: vessels of metal with handles to carry them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...scenes.scene import Handle, Joint
from .category import Category, Palette, Parameter, Size
from .packages import hollow
from .pieces import Design, Moving, Piece, disc, solid_hull
from .vessels import Wall, bow, ear

_METALS = ("steel", "aluminium", "cast_iron")


def pan(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A frying pan: a low flared wall and a long handle along +X."""
    x, y, z = size
    metal, grip = palette.finish(*_METALS), palette.finish("bakelite", "wood")
    thick, width = shape["wall"], shape["handle_width"]
    high = z - shape["handle_thickness"]
    # The handle leaves the wall below the rim, or the pan could not be as low as its rim.
    wall = Wall(y, y, z, thick, foot=shape["foot"], bottom=1.3 * thick)
    start, end = wall.radius(0.6 * high), x - y / 2
    bend = start + 0.22 * (end - start)
    thin = shape["handle_thickness"]
    if metal.substance.name == "cast_iron":
        grip = metal
    neck = bow(
        [(start - 0.5 * thick, 0, 0.6 * high), (bend, 0, high + thin / 2)], 0.7 * width, 0.6 * thin, metal, sides=8
    )
    bar = bow([(bend - 0.01, 0, high + thin / 2), (end, 0, high + thin / 2)], width, thin, grip, sides=8)
    return Design((wall.piece(metal), bar, neck))


def pot(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A cooking pot: an upright wall and two handles."""
    x, y, z = size
    metal, grip = palette.finish("steel", "aluminium", "painted_steel"), palette.finish("bakelite", "steel")
    thick, wide = shape["wall"], x - 2 * shape["reach"]
    wall = Wall(wide, y, z, thick, bottom=2.5 * thick)
    out, span, thin = x / 2, shape["span"] * y, shape["handle_thickness"]
    height = 0.75 * z
    pieces = [wall.piece(metal)]
    for side in (-1, 1):
        # The outline is cut by the round wall where the handle starts.
        inner = wide / 2 * (1 - (span / y) ** 2) ** 0.5 - thick / 2
        corner = inner + 0.75 * (out - inner)
        path = [
            (side * inner, -span / 2, height),
            (side * corner, -0.42 * span, height),
            (side * (out - thin / 2), 0, height),
            (side * corner, 0.42 * span, height),
            (side * inner, span / 2, height),
        ]
        pieces.append(bow(path, thin, thin, grip, across=(0, 0, 1)))
    return Design(tuple(pieces))


def kettle(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A jug kettle: narrower at the top, a spout at -X, a handle at +X, and a lid hinged above the handle."""
    x, y, z = size
    metal, grip = palette.finish("steel", "abs", "painted_steel"), palette.finish("bakelite")
    knob_size, lid_thick = 0.018, 0.006
    high = z - knob_size - lid_thick
    wide = x - shape["reach"] - shape["spout"]
    centre = x / 2 - shape["reach"] - wide / 2
    wall = Wall(wide, y, high, shape["wall"], foot=1 / shape["taper"], bottom=1.5 * shape["wall"])
    thick = shape["handle_thickness"]
    handle = ear(wall, x / 2 - centre, 0.93 * high, 0.22 * high, 1.6 * thick, thick, grip)
    # The spout: a wedge whose lip is level with the rim.
    lip, rim, belly = -x / 2 - centre, wall.radius(high), wall.radius(0.62 * high)
    inside = 0.7 * shape["wall"]
    spout = solid_hull(
        [(-rim + inside, s * 0.28 * rim, high) for s in (-1, 1)]
        + [(-belly + inside, s * 0.2 * rim, 0.62 * high) for s in (-1, 1)]
        + [(lip, s * 0.07 * rim, high) for s in (-1, 1)]
        + [(lip, s * 0.07 * rim, 0.97 * high) for s in (-1, 1)],
        metal,
    )
    narrow = wall.radius(high)
    deep = narrow * y / wide
    lid = disc(2 * narrow, 2 * deep, lid_thick, (0, 0, high + lid_thick / 2), metal)
    lid = replace(lid, matter=tuple(hollow(lid.look, 0.0006, metal.substance, 0.0, "water")))  # pressed sheet
    knob = disc(knob_size, knob_size, knob_size, (0, 0, z - knob_size / 2), grip)
    moving = Moving(
        "lid",
        "lid",
        Joint(kind="hinge", axis=(0, 1, 0), range=(0.0, 1.3), damping=0.01, friction_loss=0.01),
        (narrow, 0.0, high),
        (lid, knob),
        Handle(position=(0, 0, z - knob_size / 2), axis=(0, 1, 0), outward=(0, 0, 1)),
    )
    pieces: tuple[Piece, ...] = (wall.piece(metal), handle, spout)
    return Design(pieces, (moving,))


COOKWARE = (
    Category(
        "pan",
        pan,
        ("container", "graspable", "handle", "cookware"),
        ((0.26, 0.62), (0.14, 0.34), (0.04, 0.1)),
        {
            "wall": Parameter(0.0025, 0.0045, "thickness of the metal", "m"),
            "foot": Parameter(0.72, 0.88, "diameter of the bottom over that of the rim"),
            "handle_width": Parameter(0.02, 0.032, "width of the handle", "m"),
            "handle_thickness": Parameter(0.012, 0.018, "thickness of the handle", "m"),
        },
        _METALS,
        x_over_y=(1.55, 2.0),
        z_over_x=(0.09, 0.22),
    ),
    Category(
        "pot",
        pot,
        ("container", "graspable", "handle", "cookware"),
        ((0.2, 0.48), (0.13, 0.36), (0.07, 0.26)),
        {
            "wall": Parameter(0.0015, 0.0025, "thickness of the wall", "m"),
            "reach": Parameter(0.032, 0.042, "how far a handle stands off", "m"),
            "span": Parameter(0.36, 0.46, "width of a handle over that of the pot"),
            "handle_thickness": Parameter(0.009, 0.014, "thickness of a handle", "m"),
        },
        ("steel", "aluminium", "painted_steel"),
        x_over_y=(1.15, 1.65),
        z_over_x=(0.25, 0.75),
    ),
    Category(
        "kettle",
        kettle,
        ("container", "graspable", "handle", "openable", "pourable", "cookware"),
        ((0.2, 0.3), (0.12, 0.19), (0.16, 0.29)),
        {
            "wall": Parameter(0.0014, 0.002, "thickness of the wall", "m"),
            "taper": Parameter(0.66, 0.85, "diameter of the top over that of the bottom"),
            "reach": Parameter(0.04, 0.055, "how far the handle stands off", "m"),
            "spout": Parameter(0.012, 0.025, "how far the spout stands off", "m"),
            "handle_thickness": Parameter(0.013, 0.018, "thickness of the handle", "m"),
        },
        ("steel", "abs", "painted_steel"),
        x_over_y=(1.35, 1.85),
        z_over_x=(0.75, 1.15),
    ),
)

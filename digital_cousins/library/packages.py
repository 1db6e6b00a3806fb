"""What things are bought in: bottle, can, jar, box, carton; and the book. Closed, hollow, full or empty."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...scenes.primitives import box as box_geom
from .category import Category, Palette, Parameter, Size
from .materials import MATERIALS, Substance
from .pieces import Design, Finish, Piece, board, disc, solid_hull
from .shapes import Float, Shape, block, lathe
from .vessels import NEARLY_ROUND, ROUND

FILL = Parameter(0.0, 1.0, "height of the contents over that of the inside: 0 is empty, 1 full")


def hollow(
    outside: Shape, wall: float, material: Substance, fill: float, contents: str
) -> list[tuple[Shape, Substance]]:
    """What a closed package weighs: its wall, and contents up to a share of its inside.

    The inside is the outside shrunk about its middle: the wall is `wall` [m] thick where the package is widest and
    thinner in proportion elsewhere, as blown bottles are.
    """
    low, high = outside.bounds
    middle, extent = (low + high) / 2, high - low
    x, y, z = (float(v) for v in 1 - 2 * wall / extent)
    inside = outside.moved(*(-middle)).scaled(x, y, z).moved(*middle)
    found = [(outside - inside, material)]
    if fill > 0.01:
        depth = fill * z * float(extent[2])
        bottom = float(middle[2]) - z * float(extent[2]) / 2
        liquid = block(2 * float(extent[0]), 2 * float(extent[1]), depth, (middle[0], middle[1], bottom + depth / 2))
        found.append((inside & liquid, MATERIALS[contents]))
    return found


def round_body(profile: Float | list[tuple[float, float]], size: Size) -> Shape:
    """A turned solid with radii as shares of y / 2, stretched to x."""
    outline = np.asarray(profile, np.float64) * [size[1] / 2, 1.0]
    return lathe(outline).scaled(size[0] / size[1])


def bottle(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A bottle with a label and a cap on its neck."""
    x, y, z = size
    glass = palette.finish("pet", "glass", "pp")
    label, lid = palette.finish("paperboard"), palette.finish("pp", "aluminium")
    cap = 0.014 + 0.02 * z
    shoulder = shape["body"] * z
    top = shoulder + shape["shoulder"] * (z - cap - shoulder)
    neck, rim = shape["neck"], shape["neck"] * 1.12
    slim = 0.985
    body = round_body(
        [
            (0, 0),
            (0.93, 0),
            (slim, 0.02 * z),
            (slim, shoulder),
            (0.5 * (slim + neck) + 0.06, 0.45 * shoulder + 0.55 * top),
            (neck, top),
            (neck, z - cap),
            (0, z - cap),
        ],
        size,
    )
    band = round_body([(0, 0.3 * shoulder), (1, 0.3 * shoulder), (1, 0.85 * shoulder), (0, 0.85 * shoulder)], size)
    closure = round_body([(0, z - cap), (rim, z - cap), (rim, z), (0, z)], size)
    felt = disc(x, y, shoulder, (0, 0, shoulder / 2), glass).collision
    cone = round_body([(0, shoulder), (1, shoulder), (neck, top), (0, top)], size).points
    stem = disc(neck * x, neck * y, z - top, (0, 0, (z + top) / 2), glass).collision
    wall = shape["wall"] if glass.substance.name != "glass" else 3 * shape["wall"]
    matter = hollow(body, wall, glass.substance, shape["fill"], "water")
    return Design(
        (
            Piece(body, glass, (*felt, cone, *stem), tuple(matter)),
            Piece(band, label, (), ()),
            Piece(closure, lid, (), tuple(hollow(closure, 0.0015, lid.substance, 0.0, "water"))),
        )
    )


def can(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A can: a printed side between two rims."""
    x, y, z = size
    metal, label = palette.finish("steel", "aluminium"), palette.finish("paperboard")
    rim = min(shape["rim"], 0.05 * z)
    whole = round_body([(0, 0), (1, 0), (1, z), (0, z)], size)
    ends = round_body(
        [(0, rim / 2), (0.9, rim / 2), (0.92, 0), (1, 0), (1, z), (0.92, z), (0.9, z - rim / 2), (0, z - rim / 2)], size
    )
    side = round_body([(0, rim), (0.985, rim), (0.985, z - rim), (0, z - rim)], size)
    waist = round_body([(0.975, rim), (1.1, rim), (1.1, z - rim), (0.975, z - rim)], size)
    matter = hollow(whole, shape["wall"], metal.substance, shape["fill"], "water")
    felt = disc(x, y, z, (0, 0, z / 2), metal).collision
    return Design((Piece(side, label, (), ()), Piece(ends - waist, metal, felt, tuple(matter))))


def jar(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A preserving jar: glass below a metal lid."""
    x, y, z = size
    glass, metal = palette.finish("glass"), palette.finish("painted_steel", "steel")
    lid, mouth = shape["lid"] * z, shape["mouth"]
    shoulder = z - lid - 0.1 * z
    body = round_body(
        [
            (0, 0),
            (0.9, 0),
            (1, 0.04 * z),
            (1, shoulder),
            (0.95 * mouth, z - lid),
            (0.95 * mouth, z - lid / 2),
            (0, z - lid / 2),
        ],
        size,
    )
    top = round_body([(0, z - lid), (mouth, z - lid), (mouth, z), (0, z)], size)
    felt = disc(x, y, shoulder, (0, 0, shoulder / 2), glass).collision
    cone = round_body([(0, shoulder), (1, shoulder), (mouth, z - lid), (0, z - lid)], size).points
    cap = disc(mouth * x, mouth * y, lid, (0, 0, z - lid / 2), metal).collision
    return Design(
        (
            Piece(
                body,
                glass,
                (*felt, cone, *cap),
                tuple(hollow(body, shape["wall"], glass.substance, shape["fill"], "water")),
            ),
            Piece(top, metal, (), tuple(hollow(top, 0.0006, metal.substance, 0.0, "water"))),
        )
    )


def box(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A closed cardboard box with a strip of tape, or a small one of printed board."""
    x, y, z = size
    shell = palette.finish("cardboard") if max(size) > 0.22 else palette.finish("cardboard", "paperboard", "paperboard")
    tape = palette.colour(shell)
    tape = Finish(tape.substance, (0.8 * tape.rgba[0], 0.8 * tape.rgba[1], 0.8 * tape.rgba[2], 1.0))
    thick = 0.0002  # what the tape adds
    body = block(x, y, z - thick, (0, 0, -thick / 2))
    strip = block(x, shape["tape"] * y, thick, (0, 0, (z - thick) / 2))
    wall = shape["wall"] if shell.substance.name == "cardboard" else 0.0006
    whole = hollow(block(x, y, z), wall, shell.substance, shape["fill"], "goods")
    return Design((Piece(body, shell, (box_geom(x, y, z),), tuple(whole)), Piece(strip, tape, (), ())))


def carton(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A drink carton with a gabled top and a fin, and sometimes a screw cap on its slope."""
    x, y, z = size
    shell, cap = palette.finish("paperboard"), palette.finish("pp")
    fin, gable = 0.07 * z, shape["gable"] * y
    side = z - fin - gable
    ridge = min(0.004, 0.05 * y)
    roof = [(sx * x / 2, sy * y / 2, side) for sx in (-1, 1) for sy in (-1, 1)]
    roof += [(sx * x / 2, sy * ridge / 2, side + gable) for sx in (-1, 1) for sy in (-1, 1)]
    pieces = [
        board(x, y, side, (0, 0, side / 2), shell),
        solid_hull(roof, shell),
        board(x, ridge, fin + 0.01, (0, 0, z - (fin + 0.01) / 2), shell),
    ]
    whole = pieces[0].look + pieces[1].look
    matter = tuple(hollow(whole, 0.0006, shell.substance, shape["fill"], "water"))
    pieces[0] = Piece(pieces[0].look, shell, pieces[0].collision, matter)
    pieces[1] = Piece(pieces[1].look, shell, pieces[1].collision, ())
    if shape["cap"]:
        slope = float(np.arctan2(gable, y / 2))
        knob = lathe([(0, -0.004), (0.0125, -0.004), (0.0125, 0.008), (0, 0.008)], sides=16)
        knob = knob.turned(x=slope).moved(0, -y / 4 - ridge / 4, side + gable / 2)
        pieces.append(Piece(knob, cap, (knob.points,)))
    return Design(tuple(pieces))


def book(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A book lying flat, its back along -X: two covers, a spine and the pages between them."""
    x, y, z = size
    cover, pages = palette.finish("paperboard"), palette.finish("paper")
    thick = min(shape["cover"], 0.2 * z)
    edge = shape["edge"]
    inside = block(x - thick - edge, y - 2 * edge, z - 2 * thick, ((thick - edge) / 2, 0, 0))
    case = block(x, y, z) - block(x, 2 * y, z - 2 * thick, (thick, 0, 0))
    return Design((Piece(case, cover, (box_geom(x, y, z),)), Piece(inside, pages)))


_CLOSED = ("closed", "graspable", "package")
PACKAGES = (
    Category(
        "bottle",
        bottle,
        (*_CLOSED, "pourable"),
        ((0.045, 0.12), (0.045, 0.12), (0.13, 0.36)),
        {
            "body": Parameter(0.5, 0.68, "height of the body over that of the bottle"),
            "shoulder": Parameter(0.4, 0.8, "share of the way from body to cap taken by the shoulder"),
            "neck": Parameter(0.32, 0.48, "diameter of the neck over that of the body"),
            "wall": Parameter(0.0005, 0.0012, "thickness of the wall; of glass three times that", "m"),
            "fill": FILL,
        },
        ("pet", "glass", "pp"),
        solid="water",
        x_over_y=NEARLY_ROUND,
        natural=ROUND,
        z_over_x=(2.2, 4.2),
    ),
    Category(
        "can",
        can,
        (*_CLOSED, "stackable"),
        ((0.05, 0.11), (0.05, 0.11), (0.04, 0.18)),
        {
            "wall": Parameter(0.00015, 0.0004, "thickness of the sheet", "m"),
            "rim": Parameter(0.003, 0.006, "height of the rims", "m"),
            "fill": FILL,
        },
        ("steel", "aluminium"),
        solid="water",
        x_over_y=NEARLY_ROUND,
        natural=ROUND,
        z_over_x=(0.5, 2.6),
    ),
    Category(
        "jar",
        jar,
        (*_CLOSED, "stackable"),
        ((0.05, 0.14), (0.05, 0.14), (0.06, 0.22)),
        {
            "wall": Parameter(0.0025, 0.004, "thickness of the glass", "m"),
            "lid": Parameter(0.09, 0.16, "height of the lid over that of the jar"),
            "mouth": Parameter(0.72, 0.96, "diameter of the lid over that of the jar"),
            "fill": FILL,
        },
        ("glass",),
        solid="water",
        x_over_y=NEARLY_ROUND,
        natural=ROUND,
        z_over_x=(0.8, 2.2),
    ),
    Category(
        "box",
        box,
        (*_CLOSED, "stackable", "flat"),
        ((0.04, 0.6), (0.03, 0.5), (0.02, 0.5)),
        {
            "wall": Parameter(0.0015, 0.005, "thickness of corrugated board", "m"),
            "tape": Parameter(0.1, 0.22, "width of the tape over that of the box"),
            "fill": FILL,
        },
        ("cardboard", "paperboard"),
        solid="goods",
        x_over_y=(0.5, 4.0),
        natural=(1.0, 2.0),
        z_over_x=(0.1, 2.0),
    ),
    Category(
        "carton",
        carton,
        (*_CLOSED, "pourable"),
        ((0.05, 0.11), (0.05, 0.11), (0.12, 0.3)),
        {
            "gable": Parameter(0.35, 0.5, "height of the gable over the depth"),
            "cap": Parameter(0, 1, "whether it has a screw cap", whole=True),
            "fill": FILL,
        },
        ("paperboard",),
        solid="water",
        x_over_y=(0.7, 1.4),
        natural=(0.95, 1.05),
        z_over_x=(1.8, 3.6),
    ),
    Category(
        "book",
        book,
        ("flat", "graspable", "stackable"),
        ((0.1, 0.3), (0.1, 0.36), (0.008, 0.07)),
        {
            "cover": Parameter(0.001, 0.003, "thickness of the covers", "m"),
            "edge": Parameter(0.0015, 0.004, "how far the covers stand out over the pages", "m"),
        },
        ("paper", "paperboard"),
        x_over_y=(0.5, 2.0),
        natural=(0.65, 0.8),
        z_over_x=(0.04, 0.4),
    ),
)

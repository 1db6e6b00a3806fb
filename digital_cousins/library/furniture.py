"""Chair, stool, table and shelf. The front is at -Y."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...scenes.primitives import box
from .category import Category, Palette, Parameter, Size
from .pieces import Design, Piece, board, boards, disc, solid_hull

_WOODS = ("wood", "wood", "lacquered_wood")


def chair(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A chair: four legs, rails below the seat, the back legs going on as posts with slats between them."""
    x, y, z = size
    frame = palette.finish(*_WOODS)
    seat = palette.colour(frame)
    t, thick = shape["leg"], shape["seat_thickness"]
    top = shape["seat"] * z
    side, front, back = (x - t) / 2, (t - y) / 2, (y - t) / 2
    shapes = [box(t, t, z, at=(s * side, back, z / 2)) for s in (-1, 1)]
    under = top - thick
    shapes += [box(t, t, under, at=(s * side, front, under / 2)) for s in (-1, 1)]
    rail, thin = 0.055, 0.6 * t
    for level, height in ((under - rail / 2, rail), (0.35 * under, 0.03)):
        shapes += [box(thin, y - 2 * t, height, at=(s * side, 0, level)) for s in (-1, 1)]
    shapes += [box(x - 2 * t, thin, rail, at=(0, s * (y - t) / 2, under - rail / 2)) for s in (-1, 1)]
    slats = int(shape["slats"])
    free = 0.72 * (z - top)
    each = free / (1.6 * slats)
    for k in range(slats):
        shapes.append(
            box(x - 2 * t, 0.5 * t, each, at=(0, back, z - 0.01 - each / 2 - k * (free - each) / max(1, slats - 1)))
        )
    plate = board(x, y - t, thick, (0, -t / 2, top - thick / 2), seat)
    return Design((*boards(shapes, frame), plate))


def stool(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A stool: a round or oval seat on four splayed legs with rungs."""
    x, y, z = size
    frame = palette.finish("wood", "lacquered_wood", "painted_steel")
    seat = palette.finish("wood", "lacquered_wood")
    t, thick = shape["leg"], shape["seat_thickness"]
    foot, top = np.array([x, y]) * 0.36, np.array([x, y]) * (0.36 - shape["splay"])
    pieces: list[Piece] = [disc(x, y, thick, (0, 0, z - thick / 2), seat)]
    for sx in (-1, 1):
        for sy in (-1, 1):
            corners = [
                (sx * place[0] + a * t / 2, sy * place[1] + b * t / 2, level)
                for place, level in ((foot, 0.0), (top, z - thick))
                for a in (-1, 1)
                for b in (-1, 1)
            ]
            pieces.append(solid_hull(corners, frame))
    for axis, level in ((0, 0.3), (1, 0.42)):
        at = foot + level * z / (z - thick) * (top - foot)
        for s in (-1, 1):
            wide, deep, thin = 2 * float(at[0]), 2 * float(at[1]), 0.6 * t
            if axis == 0:
                pieces.append(board(wide, thin, thin, (0.0, s * deep / 2, level * z), frame))
            else:
                pieces.append(board(thin, deep, thin, (s * wide / 2, 0.0, level * z), frame))
    if frame.substance.name == "painted_steel":
        pieces = [pieces[0], *(_profile(piece) for piece in pieces[1:])]
    return Design(tuple(pieces))


def table(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A table: a top, four legs set in from its edge, and an apron between them."""
    x, y, z = size
    frame = palette.finish("wood", "lacquered_wood", "painted_steel")
    plate = (
        palette.finish("wood", "chipboard", "glass")
        if frame.substance.name == "painted_steel"
        else palette.finish(frame.substance.name)
    )
    thick, leg, apron, inset = shape["top"], shape["leg"], shape["apron"], shape["inset"]
    tubes = frame.substance.name == "painted_steel"
    if tubes:
        leg, apron = min(leg, 0.05), 0.03
    if plate.substance.name == "glass":
        thick = min(thick, 0.012)
    high = z - thick
    sx, sy = x / 2 - inset - leg / 2, y / 2 - inset - leg / 2
    shapes = [box(leg, leg, high, at=(a * sx, b * sy, high / 2)) for a in (-1, 1) for b in (-1, 1)]
    thin = 0.02
    shapes += [box(2 * sx - leg, thin, apron, at=(0, s * sy, high - apron / 2)) for s in (-1, 1)]
    shapes += [box(thin, 2 * sy - leg, apron, at=(s * sx, 0, high - apron / 2)) for s in (-1, 1)]
    pieces = boards(shapes, frame)
    if tubes:
        pieces = tuple(_profile(piece) for piece in pieces)
    return Design((board(x, y, thick, (0, 0, z - thick / 2), plate), *pieces))


def _profile(piece: Piece) -> Piece:
    """The same as a steel tube with a wall of 2 mm."""
    low, high = piece.look.bounds
    middle, extent = (low + high) / 2, high - low
    share = np.where(extent < extent.max(), 1 - 0.004 / extent, 1.0)
    core = piece.look.moved(*(-middle)).scaled(*(float(v) for v in share)).moved(*middle)
    return Piece(piece.look, piece.finish, piece.collision, ((piece.look - core, piece.finish.substance),), piece.plain)


def shelf(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A bookcase: two sides on the floor, boards between them, a thin back, and a plinth under the lowest."""
    x, y, z = size
    finish = palette.finish("chipboard", "wood", "lacquered_wood")
    t, plinth, back = shape["board"], 0.06, 0.006
    inner, deep = x - 2 * t, y - back
    shapes = [box(t, y, z, at=(s * (x - t) / 2, 0, z / 2)) for s in (-1, 1)]
    levels = np.linspace(plinth + t / 2, z - t / 2, int(shape["boards"]))
    shapes += [box(inner, deep, t, at=(0, -back / 2, float(level))) for level in levels]
    shapes.append(box(inner, back, z - plinth, at=(0, (y - back) / 2, (z + plinth) / 2)))
    shapes.append(box(inner, t, plinth, at=(0, -y / 2 + 0.03, plinth / 2)))
    return Design(boards(shapes, finish))


FURNITURE = (
    Category(
        "chair",
        chair,
        ("seat", "movable", "furniture"),
        ((0.34, 0.62), (0.36, 0.62), (0.7, 1.15)),
        {
            "seat": Parameter(0.46, 0.54, "height of the seat over that of the chair"),
            "leg": Parameter(0.03, 0.045, "thickness of legs and posts", "m"),
            "seat_thickness": Parameter(0.018, 0.04, "thickness of the seat", "m"),
            "slats": Parameter(1, 4, "slats of the back", whole=True),
        },
        ("wood", "lacquered_wood"),
        x_over_y=(0.75, 1.2),
        natural=(0.85, 1.05),
        z_over_x=(1.6, 2.5),
    ),
    Category(
        "stool",
        stool,
        ("seat", "movable", "support", "furniture"),
        ((0.26, 0.45), (0.26, 0.45), (0.3, 0.82)),
        {
            "leg": Parameter(0.024, 0.036, "thickness of the legs", "m"),
            "seat_thickness": Parameter(0.02, 0.04, "thickness of the seat", "m"),
            "splay": Parameter(0.0, 0.12, "how far the legs lean out, over the width"),
        },
        ("wood", "lacquered_wood", "painted_steel"),
        x_over_y=(0.7, 1.43),
        natural=(1.0, 1.0),
        z_over_x=(1.0, 2.4),
    ),
    Category(
        "table",
        table,
        ("support", "flat", "furniture"),
        ((0.4, 2.4), (0.4, 1.2), (0.35, 0.95)),
        {
            "top": Parameter(0.018, 0.04, "thickness of the top", "m"),
            "leg": Parameter(0.035, 0.08, "thickness of the legs", "m"),
            "apron": Parameter(0.05, 0.1, "height of the apron", "m"),
            "inset": Parameter(0.0, 0.05, "how far the legs stand in from the edge", "m"),
        },
        ("wood", "lacquered_wood", "painted_steel", "chipboard", "glass"),
        x_over_y=(0.6, 2.6),
        natural=(1.2, 2.2),
        mobility="fixed",
    ),
    Category(
        "shelf",
        shelf,
        ("support", "storage", "furniture"),
        ((0.3, 1.6), (0.18, 0.5), (0.5, 2.3)),
        {
            "board": Parameter(0.016, 0.025, "thickness of the boards", "m"),
            "boards": Parameter(3, 6, "boards between the sides", whole=True),
        },
        ("chipboard", "wood", "lacquered_wood"),
        mobility="fixed",
    ),
)

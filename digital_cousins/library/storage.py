"""Cabinet and drawer unit: carcasses of boards with fronts that open. The front is at -Y, handles included."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import AssetError
from ...scenes.primitives import BAR, REACH, bar_handle, box
from ...scenes.scene import CollisionGeom, Handle, Joint
from .category import Category, Palette, Parameter, Size
from .pieces import Design, Finish, Moving, Piece, boards

GAP = 0.003
"""Gap [m] around fronts."""


def hinged_front(
    name: str, x: tuple[float, float], z: tuple[float, float], front: float, thick: float, finish: Finish, grip: Finish,
    *, hinge: int, handle: float, at: float, joint: Joint | None = None, extra: tuple[Piece, ...] = (),
) -> Moving:  # fmt: skip
    """A door with a vertical hinge and a bar handle near its other edge.

    Args:
        name: of the part. x, z: extent [m] with the gaps. front: y of its face [m]. thick: thickness [m].
        finish, grip: of door and handle. hinge: -1 at its lower x, 1 at its upper. handle: length of the bar [m].
        at: height of its middle [m]. joint: how it moves, by default as a cabinet door. extra: what is fixed to it.
    """
    low, high = x[0] + GAP / 2, x[1] - GAP / 2
    edge, toward = (low, 1.0) if hinge < 0 else (high, -1.0)
    free = edge + toward * (high - low - 0.04)
    leaf = box(high - low, thick, z[1] - z[0] - GAP, at=((low + high) / 2, front + thick / 2, sum(z) / 2))
    bar = bar_handle((free, front, at), "z", handle)
    moves = joint or Joint(kind="hinge", axis=(0, 0, 1), range=(0.0, 1.75), damping=0.4, friction_loss=0.25)
    return Moving(
        name,
        "door",
        moves.model_copy(update={"axis": (0.0, 0.0, -toward)}),
        (edge, front, sum(z) / 2),
        (*boards([leaf], finish), *boards(bar, grip), *extra),
        Handle(position=(free, front - REACH + BAR / 2, at), axis=(0, 0, 1), outward=(0, -1, 0)),
    )


def drawer(
    name: str, x: tuple[float, float], z: tuple[float, float], front: float, depth: float, thick: float,
    finish: Finish, grip: Finish, *, handle: float,
) -> Moving:  # fmt: skip
    """A drawer: a front with a bar handle, and an open box on runners behind it; see `hinged_front`."""
    width, height = x[1] - x[0] - GAP, z[1] - z[0] - GAP
    middle, centre = sum(x) / 2, sum(z) / 2
    inner, side, wall = width - 2 * thick - 0.026, min(0.62 * height, height - 2 * thick - 0.02), 0.012
    floor = centre - height / 2 + thick + 0.004
    back = front + thick
    tub: list[CollisionGeom] = [
        box(inner, depth, 0.006, at=(middle, back + depth / 2, floor + 0.003)),
        *(
            box(wall, depth, side, at=(middle + s * (inner - wall) / 2, back + depth / 2, floor + 0.006 + side / 2))
            for s in (-1, 1)
        ),
        box(inner - 2 * wall, wall, side, at=(middle, back + depth - wall / 2, floor + 0.006 + side / 2)),
    ]
    face = box(width, thick, height, at=(middle, front + thick / 2, centre))
    at = (middle, front, centre + 0.12 * height)
    return Moving(
        name,
        "drawer",
        Joint(kind="slide", axis=(0, -1, 0), range=(0.0, 0.75 * depth), damping=12.0, friction_loss=4.0),
        (middle, front, centre),
        (*boards([face, *tub], finish), *boards(bar_handle(at, "x", handle), grip)),
        Handle(position=(at[0], front - REACH + BAR / 2, at[2]), axis=(1, 0, 0), outward=(0, -1, 0)),
    )


def carcass(x: float, deep: float, low: float, z: float, t: float, front: float) -> list[CollisionGeom]:
    """Bottom, top, back and sides of a cabinet between heights `low` and `z`, its open front at y = `front` [m]."""
    middle, high = front + deep / 2, z - low
    return [
        box(x, deep, t, at=(0, middle, low + t / 2)),
        box(x, deep, t, at=(0, middle, z - t / 2)),
        box(x - 2 * t, t, high - 2 * t, at=(0, front + deep - t / 2, low + high / 2)),
        *(box(t, deep, high - 2 * t, at=(s * (x - t) / 2, middle, low + high / 2)) for s in (-1, 1)),
    ]


def cabinet(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A cabinet on a plinth with one or two hinged doors and a shelf inside."""
    x, y, z = size
    finish, grip = palette.finish("chipboard", "lacquered_wood", "wood"), palette.finish("steel", "aluminium")
    fronts = palette.colour(finish)
    t, plinth = shape["board"], shape["plinth"]
    face = -y / 2 + REACH  # of the doors
    front = face + t + 0.002
    deep = y / 2 - front
    shapes = carcass(x, deep, plinth, z, t, front)
    shapes.append(box(x - 2 * t, deep - 0.03 - t, t, at=(0, front + 0.03 + (deep - 0.03 - t) / 2, (plinth + z) / 2)))
    shapes.append(box(x, deep - 0.05, plinth, at=(0, y / 2 - (deep - 0.05) / 2, plinth / 2)))
    count, bar = int(shape["doors"]), shape["handle"]
    if not 0.22 <= x / count <= 0.75:
        raise AssetError(f"cabinet: {count} door(s) on {x:.2f} m are too narrow or too wide; each takes 0.22 to 0.75 m")
    # Hands reach the handle of a base cabinet at its top, of a wardrobe at about a metre.
    at = min(z - 0.06 - bar / 2, max(1.0, plinth + 0.1 + bar))
    spans = [(-x / 2, x / 2)] if count == 1 else [(-x / 2, 0.0), (0.0, x / 2)]
    parts = [
        hinged_front(name, span, (plinth, z), face, t, fronts, grip, hinge=hinge, handle=bar, at=at)
        for span, name, hinge in zip(spans, ("left_door", "right_door"), (-1, 1), strict=False)
    ]
    return Design(boards(shapes, finish), tuple(parts))


def drawer_unit(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A chest of drawers on four feet."""
    x, y, z = size
    finish, grip = palette.finish("chipboard", "lacquered_wood", "wood"), palette.finish("steel", "aluminium")
    fronts = palette.colour(finish)
    t, feet = shape["board"], shape["feet"]
    face = -y / 2 + REACH
    front = face + t + 0.002
    deep = y / 2 - front
    shapes = carcass(x, deep, feet, z, t, front)
    thick = 0.04
    shapes += [
        box(
            thick,
            thick,
            feet,
            at=(sx * (x / 2 - 0.03 - thick / 2), front + deep / 2 + sy * (deep / 2 - 0.03 - thick / 2), feet / 2),
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    count = int(shape["drawers"])
    if (z - feet) / count < 0.1:
        raise AssetError(f"drawer_unit: {count} drawers in {z - feet:.2f} m are too low; each takes 0.1 m at least")
    edges = [feet + (z - feet) * k / count for k in range(count + 1)]
    depth = deep - t - 0.03
    bar = min(shape["handle"] * x, 0.45)
    parts = [
        drawer(
            f"drawer_{k + 1}",
            (-x / 2, x / 2),
            (edges[count - k - 1], edges[count - k]),
            face,
            depth,
            t,
            fronts,
            grip,
            handle=bar,
        )
        for k in range(count)
    ]
    return Design(boards(shapes, finish), tuple(parts))


STORAGE = (
    Category(
        "cabinet",
        cabinet,
        ("container", "openable", "door", "storage", "furniture"),
        ((0.3, 1.3), (0.3, 0.75), (0.5, 2.3)),
        {
            "board": Parameter(0.016, 0.022, "thickness of boards and doors", "m"),
            "plinth": Parameter(0.05, 0.12, "height of the plinth", "m"),
            "doors": Parameter(1, 2, "doors; a single one is hinged on the left", whole=True),
            "handle": Parameter(0.1, 0.2, "length of a handle", "m"),
        },
        ("chipboard", "lacquered_wood", "wood"),
        mobility="fixed",
    ),
    Category(
        "drawer_unit",
        drawer_unit,
        ("container", "openable", "drawer", "storage", "furniture"),
        ((0.32, 1.2), (0.35, 0.7), (0.4, 1.3)),
        {
            "board": Parameter(0.016, 0.022, "thickness of boards and fronts", "m"),
            "feet": Parameter(0.03, 0.14, "height of the feet", "m"),
            "drawers": Parameter(2, 4, "drawers, counted from the top", whole=True),
            "handle": Parameter(0.3, 0.5, "length of a handle over the width of the unit"),
        },
        ("chipboard", "lacquered_wood", "wood"),
        mobility="fixed",
    ),
)

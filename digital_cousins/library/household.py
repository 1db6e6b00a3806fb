"""Lamp and basket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...scenes.scene import Handle, Joint
from .category import Category, Palette, Parameter, Size
from .packages import hollow
from .pieces import Design, Moving, Piece, disc
from .shapes import lathe, rod
from .tableware import open_box
from .vessels import NEARLY_ROUND, ROUND, bow


def lamp(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A table lamp: a heavy foot with a push button, a stem, and a shade."""
    x, y, z = size
    metal, cloth = palette.finish("painted_steel", "steel", "ceramic"), palette.finish("fabric")
    foot, thick, stem = shape["foot"] * y, 0.02, shape["stem"]
    tall = shape["shade"] * z
    upper = shape["taper"]
    shade = lathe([(0, z - tall), (y / 2, z - tall), (upper * y / 2, z), (0, z)]).scaled(x / y)
    film = 0.001
    inside = lathe(
        [
            (0, z - tall - 1),
            (y / 2 - film, z - tall - 1),
            (y / 2 - film, z - tall),
            (upper * y / 2 - film, z),
            (upper * y / 2 - film, z + 1),
            (0, z + 1),
        ]
    ).scaled(x / y)
    base = disc(foot, foot, thick, (0, 0, thick / 2), metal)
    base = replace(base, matter=tuple(hollow(base.look, 0.003, metal.substance, 0.0, "water")))
    pole = z - 0.5 * tall - thick
    post = disc(stem, stem, pole, (0, 0, thick + pole / 2), metal)
    post = replace(post, matter=tuple(hollow(post.look, 0.002, metal.substance, 0.0, "water")))
    button = palette.finish("steel")
    wide, travel, out = 0.02, 0.002, 0.008
    place = (0.0, -0.33 * foot, thick)
    switch = Moving(
        "button",
        "button",
        Joint(kind="slide", axis=(0, 0, -1), range=(0.0, travel), damping=1.0, friction_loss=0.3, stiffness=800.0),
        place,
        (
            disc(wide, wide, out - travel, (0, place[1], thick + (out + travel) / 2), button),
            # Its stem goes into the foot: it is seen, not felt.
            Piece(rod(0.35 * wide, 1.5 * travel, (0, place[1], thick + 0.4 * travel)), button),
        ),
        Handle(position=(0, place[1], thick + out), axis=(1, 0, 0), outward=(0, 0, 1)),
    )
    return Design(
        (
            base,
            post,
            Piece(shade, cloth, (shade.points,), ((shade - inside, cloth.substance),)),
        ),
        (switch,),
    )


def basket(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A basket: four flared sides and a hoop across to carry it by."""
    x, y, z = size
    finish = palette.finish("wicker", "wicker", "pp")
    thin = shape["handle"]
    high = shape["side"] * z
    flare = shape["flare"] * high
    body = open_box(x, y, high, shape["wall"], flare, finish)
    reach, top = (y - thin) / 2, z - thin / 2
    foot = 0.75 * high
    lean = flare * (1 - foot / high)
    path = [
        (0, -reach + lean, foot),
        (0, -reach, high),
        (0, -0.8 * reach, high + 0.75 * (top - high)),
        (0, -0.35 * reach, top),
        (0, 0, top),
    ]
    path += [(a, -b, c) for a, b, c in reversed(path[:-1])]
    return Design((body, bow(path, 1.6 * thin, thin, palette.colour(finish), across=(1, 0, 0))))


HOUSEHOLD = (
    Category(
        "lamp",
        lamp,
        ("graspable", "pressable", "furnishing"),
        ((0.14, 0.45), (0.14, 0.45), (0.25, 0.7)),
        {
            "foot": Parameter(0.55, 0.75, "diameter of the foot over that of the shade"),
            "stem": Parameter(0.012, 0.03, "diameter of the stem", "m"),
            "shade": Parameter(0.35, 0.5, "height of the shade over that of the lamp"),
            "taper": Parameter(0.55, 1.0, "upper over lower diameter of the shade"),
        },
        ("painted_steel", "steel", "ceramic", "fabric"),
        solid="fabric",
        x_over_y=NEARLY_ROUND,
        natural=ROUND,
        z_over_x=(1.2, 2.2),
    ),
    Category(
        "basket",
        basket,
        ("container", "graspable", "handle"),
        ((0.2, 0.55), (0.15, 0.42), (0.15, 0.45)),
        {
            "wall": Parameter(0.005, 0.01, "thickness of the sides", "m"),
            "flare": Parameter(0.03, 0.2, "how far a side leans out, over its height"),
            "side": Parameter(0.5, 0.62, "height of the sides over that of the basket"),
            "handle": Parameter(0.01, 0.016, "thickness of the hoop", "m"),
        },
        ("wicker", "pp"),
        x_over_y=(1.1, 1.8),
        z_over_x=(0.55, 1.0),
    ),
)

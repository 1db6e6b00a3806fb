"""The door of a room: a frame, and a leaf with handles on both sides."""

from __future__ import annotations

from collections.abc import Mapping

from ...scenes.primitives import box
from ...scenes.scene import CollisionGeom, Handle, Joint
from .category import Category, Palette, Parameter, Size
from .pieces import Design, Moving, boards

_REACH, _BAR = 0.055, 0.02


def _handle(x: float, y: float, z: float, side: float, toward: float, length: float) -> list[CollisionGeom]:
    """A lever handle on a face at y, on the -Y (side -1) or the +Y side, pointing along `toward` X."""
    neck = _REACH - _BAR
    return [
        box(0.05, 0.006, 0.16, at=(x, y + side * 0.003, z - 0.03)),
        box(_BAR, neck, _BAR, at=(x, y + side * neck / 2, z)),
        box(length, _BAR, _BAR, at=(x + toward * (length - _BAR) / 2, y + side * (_REACH - _BAR / 2), z)),
    ]


def door(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A room door in its frame; the leaf opens towards -Y."""
    x, y, z = size
    frame, metal = palette.finish("lacquered_wood", "wood"), palette.finish("steel", "aluminium")
    leaf = palette.colour(frame)
    jamb, thick, gap = shape["jamb"], shape["leaf"], 0.003
    face = -y / 2 + _REACH
    deep = y / 2 - face
    shapes = [box(jamb, deep, z, at=(s * (x - jamb) / 2, face + deep / 2, z / 2)) for s in (-1, 1)]
    shapes.append(box(x - 2 * jamb, deep, jamb, at=(0, face + deep / 2, z - jamb / 2)))
    # The stop that the leaf closes against.
    stop, at = 0.012, face + thick + 0.002
    if deep > thick + 0.002 + 0.01:
        back = face + deep - at
        shapes += [
            box(stop, back, z - jamb, at=(s * (x / 2 - jamb - stop / 2), at + back / 2, (z - jamb) / 2))
            for s in (-1, 1)
        ]
    width, bottom, top = x - 2 * jamb - 2 * gap, 0.008, z - jamb - gap
    left = shape["hinge"] < 0.5
    edge, toward = (-width / 2, 1.0) if left else (width / 2, -1.0)
    panel = box(width, thick, top - bottom, at=(0, face + thick / 2, (top + bottom) / 2))
    height = min(shape["height"], 0.55 * z)
    free = edge + toward * (width - 0.06)
    length = shape["handle"]
    grips = _handle(free, face, height, -1, -toward, length) + _handle(free, face + thick, height, 1, -toward, length)
    moving = Moving(
        "leaf",
        "door",
        Joint(kind="hinge", axis=(0, 0, -toward), range=(0.0, 1.75), damping=2.0, friction_loss=1.0),
        (edge, face, (top + bottom) / 2),
        (*boards([panel], leaf), *boards(grips, metal)),
        Handle(position=(free - toward * length / 2, -y / 2 + _BAR / 2, height), axis=(1, 0, 0), outward=(0, -1, 0)),
    )
    return Design(boards(shapes, frame), (moving,))


DOORS = (
    Category(
        "door",
        door,
        ("openable", "door", "structure"),
        ((0.65, 1.2), (0.16, 0.35), (1.8, 2.4)),
        {
            "jamb": Parameter(0.035, 0.06, "width of the frame", "m"),
            "leaf": Parameter(0.035, 0.045, "thickness of the leaf", "m"),
            "hinge": Parameter(0, 1, "0 hinged on the left (-X), 1 on the right", whole=True),
            "height": Parameter(0.95, 1.1, "height of the handles", "m"),
            "handle": Parameter(0.11, 0.14, "length of a handle", "m"),
        },
        ("lacquered_wood", "wood"),
        mobility="fixed",
    ),
)

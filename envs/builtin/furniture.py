"""Scenes with furniture that opens: a kitchen counter, a desk, a low shelf."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...scenes import Scene, SceneObject, Surface
from ...scenes.primitives import BAR, REACH, bar_handle, box, cylinder, exact, mug_shapes
from ...scenes.scene import Body, CollisionGeom, Handle, Inertial, Joint, Material, Part, Pose, Rgba, Visual
from .authoring import authored_object, table_surfaces
from .tables import BLUE, RED, cube, tray

BOARD = 0.018
"""Thickness [m] of cabinet boards."""
GAP = 0.004
"""Gap [m] around fronts."""
_WHITE, _FRONT, _STEEL = (0.86, 0.85, 0.82, 1.0), (0.93, 0.92, 0.89, 1.0), (0.45, 0.46, 0.48, 1.0)


@dataclass(frozen=True)
class Bay:
    """A compartment of a cabinet and what closes it: "drawer", "left" or "right" (a door hinged there), or "open".

    Attributes:
        name: of the part. closes: see above.
        x, z: extent [m] in the cabinet's frame, whose origin is the middle of its bounding box, front at -Y.
    """

    name: str
    closes: str
    x: tuple[float, float]
    z: tuple[float, float]


def cabinet(
    name: str, category: str, size: tuple[float, float, float], bays: tuple[Bay, ...], *, at: tuple[float, float]
) -> SceneObject:
    """A fixed cabinet of boards with drawers and doors, standing on the floor, its front towards -Y.

    Args:
        name, category: see `SceneObject`. size: extents [m] without handles. bays: compartments. at: x and y [m].
    """
    x, y, z = size
    carcass = [
        box(x, y - BOARD, BOARD, at=(0, BOARD / 2, (BOARD - z) / 2)),
        box(x, BOARD, z - BOARD, at=(0, (y - BOARD) / 2, BOARD / 2)),
        *(box(BOARD, y - 2 * BOARD, z - BOARD, at=(s * (x - BOARD) / 2, 0, BOARD / 2)) for s in (-1, 1)),
    ]
    carcass += [
        box(BOARD, y - 2 * BOARD, b.z[1] - b.z[0], at=(b.x[1], 0, sum(b.z) / 2)) for b in bays if b.x[1] < x / 2 - BOARD
    ]
    parts = tuple(_part(bay, size) for bay in bays if bay.closes != "open")
    return SceneObject(
        name=name,
        category=category,
        mobility="fixed",
        size=size,
        support="floor",
        body=_body(carcass, Pose(position=(*at, z / 2)), 30.0, _WHITE),
        parts=parts,
    )


def _part(bay: Bay, size: tuple[float, float, float]) -> Part:
    face = -size[1] / 2 + BOARD  # inner side of the front
    width, height = bay.x[1] - bay.x[0] - GAP, bay.z[1] - bay.z[0] - GAP
    middle = (sum(bay.x) / 2, face, sum(bay.z) / 2)
    if bay.closes == "drawer":
        depth = 0.8 * size[1]
        inner, side = width - 0.05, 0.6 * height
        shapes = [
            box(width, BOARD, height, at=(0, -BOARD / 2, 0)),
            *bar_handle((0, -BOARD, 0.15 * height), "x", min(0.14, 0.5 * width)),
            box(inner, depth, 0.008, at=(0, depth / 2, 0.01 - height / 2)),
            *(
                box(0.01, depth, side, at=(s * (inner - 0.01) / 2, depth / 2, (side - height) / 2 + 0.014))
                for s in (-1, 1)
            ),
            box(inner - 0.02, 0.01, side, at=(0, depth - 0.005, (side - height) / 2 + 0.014)),
        ]
        joint = Joint(kind="slide", axis=(0, -1, 0), range=(0.0, 0.7 * depth), damping=12.0, friction_loss=5.0)
        handle = Handle(position=(0, -BOARD - REACH + BAR / 2, 0.15 * height), axis=(1, 0, 0), outward=(0, -1, 0))
        return Part(
            name=bay.name, kind="drawer", joint=joint, body=_body(shapes, Pose(position=middle), 2.5), handle=handle
        )
    left = bay.closes == "left"
    toward = 1.0 if left else -1.0  # from the hinge over the door
    origin = (bay.x[0] + GAP / 2 if left else bay.x[1] - GAP / 2, face - BOARD, middle[2])
    at = (toward * (width - 0.05), 0.0, 0.2 * height)
    shapes = [
        box(width, BOARD, height, at=(toward * width / 2, BOARD / 2, 0)),
        *bar_handle(at, "z", min(0.14, 0.5 * height)),
    ]
    joint = Joint(kind="hinge", axis=(0, 0, -toward), range=(0.0, 1.75), damping=0.4, friction_loss=0.2)
    handle = Handle(position=(at[0], -REACH + BAR / 2, at[2]), axis=(0, 0, 1), outward=(0, -1, 0))
    return Part(name=bay.name, kind="door", joint=joint, body=_body(shapes, Pose(position=origin), 2.5), handle=handle)


def push_button(
    name: str, *, at: tuple[float, float], on: str, top: float, rgba: Rgba = (0.85, 0.15, 0.12, 1.0)
) -> SceneObject:
    """A fixed box with a round button on top that springs back; its part is `<name>_cap`."""
    side, height, travel = 0.09, 0.05, 0.012
    cap = [cylinder(0.045, 0.02)]
    part = Part(
        name=f"{name}_cap",
        kind="button",
        joint=Joint(
            kind="slide", axis=(0, 0, -1), range=(0.0, travel), damping=4.0, friction_loss=0.6, stiffness=400.0
        ),
        body=_body(cap, Pose(position=(0, 0, height / 2 + 0.01)), 0.05, rgba),
        handle=Handle(position=(0, 0, 0.01), axis=(1, 0, 0), outward=(0, 0, 1)),
    )
    return SceneObject(
        name=name,
        category="button",
        mobility="fixed",
        size=(side, side, height),
        support=on,
        body=_body([box(side, side, height)], Pose(position=(*at, top + height / 2)), 0.5, _STEEL),
        parts=(part,),
    )


def kitchen() -> Scene:
    """A counter with a drawer, two doors, a button, and things on it."""
    size, top = (1.2, 0.6, 0.86), 0.9
    column, low, high = -0.1, -size[2] / 2 + 0.08, size[2] / 2
    bays = (
        Bay("drawer", "drawer", (-0.6 + BOARD, column), (high - 0.22, high)),
        Bay("left_door", "left", (-0.6 + BOARD, column), (low, high - 0.22)),
        Bay("right_door", "right", (column + BOARD, 0.6 - BOARD), (low, high)),
    )
    mug = authored_object(
        "mug", "mug", mug_shapes(0.075, 0.09), (0.075, 0.075, 0.09), at=(-0.12, 0.0), on="counter", top=top,
        rgba=(0.3, 0.6, 0.45, 1),
    )  # fmt: skip
    can = authored_object(
        "can", "can", [cylinder(0.062, 0.1)], (0.062, 0.062, 0.1), at=(0.02, -0.1), on="counter", top=top, rgba=BLUE
    )
    sponge = authored_object(
        "sponge", "sponge", [box(0.09, 0.055, 0.03)], (0.09, 0.055, 0.03), at=(-0.25, -0.12), on="counter", top=top,
        yaw=0.4, mass=0.06, rgba=(0.9, 0.8, 0.3, 1),
    )  # fmt: skip
    return Scene(
        name="kitchen",
        surfaces=_floor_and("counter", (1.24, 0.66), top, center=(0, -0.02), rgba=(0.32, 0.32, 0.34, 1)),
        objects=(
            mug,
            can,
            sponge,
            tray("dish", (0.2, 0.2, 0.035), at=(0.24, -0.05), on="counter", top=top),
            cabinet("cupboard", "storage", size, bays, at=(0, 0)),
            push_button("stove", at=(-0.42, -0.1), on="counter", top=top),
        ),
        settled=True,
        source={"authored": "built-in"},
    )


def desk() -> Scene:
    """A desk with a drawer unit, a switch, a pen cup and things to tidy."""
    top, unit = 0.74, (0.4, 0.55, 0.68)
    bays = (
        Bay("top_drawer", "drawer", (-0.2 + BOARD, 0.2 - BOARD), (0.1, 0.34)),
        Bay("bottom_drawer", "drawer", (-0.2 + BOARD, 0.2 - BOARD), (-0.3, 0.1)),
    )
    pen_cup = authored_object(
        "pen_cup", "cup", mug_shapes(0.05, 0.07), (0.05, 0.05, 0.07), at=(0.12, 0.0), on="desk", top=top, mass=0.4,
        rgba=(0.3, 0.32, 0.36, 1),
    )  # fmt: skip
    marker = authored_object(
        "marker",
        "marker",
        [cylinder(0.026, 0.11)],
        (0.026, 0.026, 0.11),
        at=(-0.1, -0.14),
        on="desk",
        top=top,
        rgba=RED,
    )
    book = authored_object(
        "book", "book", [box(0.2, 0.14, 0.025)], (0.2, 0.14, 0.025), at=(-0.25, 0.1), on="desk", top=top, yaw=0.2,
        rgba=(0.25, 0.45, 0.5, 1),
    )  # fmt: skip
    return Scene(
        name="desk",
        surfaces=_floor_and("desk", (1.4, 0.74), top, center=(0, -0.04), rgba=(0.72, 0.57, 0.42, 1)),
        objects=(
            marker,
            pen_cup,
            cube("eraser", at=(0.0, -0.2), rgba=BLUE, yaw=0.3, on="desk", top=top),
            book,
            cabinet("drawer_unit", "storage", unit, bays, at=(0.45, 0)),
            push_button("lamp_switch", at=(0.32, -0.12), on="desk", top=top),
        ),
        settled=True,
        source={"authored": "built-in"},
    )


def shelf() -> Scene:
    """A low shelf with a drawer and a door, and things on its top."""
    size, top = (1.0, 0.38, 0.7), 0.72
    bays = (
        Bay("shelf_drawer", "drawer", (-0.5 + BOARD, 0.0), (0.12, 0.35)),
        Bay("open_bay", "open", (-0.5 + BOARD, 0.0), (-0.3, 0.12)),
        Bay("shelf_door", "right", (BOARD, 0.5 - BOARD), (-0.3, 0.35)),
    )
    vase = authored_object(
        "vase", "vase", mug_shapes(0.07, 0.12), (0.07, 0.07, 0.12), at=(0.1, 0.0), on="shelf", top=top,
        rgba=(0.35, 0.5, 0.7, 1),
    )  # fmt: skip
    return Scene(
        name="shelf",
        surfaces=_floor_and("shelf", (1.04, 0.44), top, center=(0, -0.03), rgba=(0.66, 0.5, 0.35, 1)),
        objects=(
            cube("red_cube", at=(-0.15, -0.12), rgba=RED, yaw=0.2, on="shelf", top=top),
            cube("blue_cube", at=(0.0, -0.1), rgba=BLUE, yaw=-0.2, on="shelf", top=top),
            vase,
            tray("dish", (0.18, 0.18, 0.03), at=(0.28, -0.08), on="shelf", top=top),
            cabinet("bookcase", "storage", size, bays, at=(0, 0)),
        ),
        settled=True,
        source={"authored": "built-in"},
    )


def _floor_and(
    name: str, size: tuple[float, float], top: float, *, center: tuple[float, float], rgba: Rgba
) -> tuple[Surface, ...]:
    """A floor, and a top board of 40 mm (20 mm on the shelf) at a height."""
    floor, _ = table_surfaces()
    thick = 0.02 if name == "shelf" else 0.04
    return (
        floor,
        Surface(
            name=name,
            kind="table",
            pose=Pose(position=(*center, top - thick / 2)),
            size=(*size, thick),
            material=Material(rgba=rgba),
            friction=exact(0.7),
        ),
    )


def _body(shapes: list[CollisionGeom], pose: Pose, mass: float, rgba: Rgba = _FRONT) -> Body:
    """A body of boxes and upright cylinders, its mass spread over their volume."""
    extent = np.array([shape.size for shape in shapes])
    place = np.array([shape.pose.position for shape in shapes])
    weight = extent.prod(axis=1) * [math.pi / 4 if shape.shape == "cylinder" else 1.0 for shape in shapes]
    weight *= mass / weight.sum()
    com = weight @ place / mass
    square, away = extent * extent / 12, place - com
    own = square.sum(axis=1, keepdims=True) - square
    far = (away * away).sum(axis=1)[:, None, None] * np.eye(3) - away[:, :, None] * away[:, None, :]
    tensor = np.diag(weight @ own) + np.tensordot(weight, far, 1)
    xx, yy, zz, xy, xz, yz = (float(tensor[a, b]) for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)))
    x, y, z = com.tolist()
    return Body(
        pose=pose,
        collision=tuple(shapes),
        visual=Visual(material=Material(rgba=rgba)),
        inertial=Inertial(mass=exact(mass), com=(x, y, z), inertia=(xx, yy, zz, xy, xz, yz)),
        friction=exact(0.6),
    )

"""Scenes on a table."""

from __future__ import annotations

from ...scenes import Scene, SceneObject
from ...scenes.primitives import basin, box, cylinder, mug_shapes
from .authoring import authored_object, table_surfaces

RED, BLUE, WOOD = (0.82, 0.25, 0.2, 1.0), (0.2, 0.42, 0.78, 1.0), (0.66, 0.5, 0.35, 1.0)


def tabletop() -> Scene:
    """A box, a can, a flat block and a mug."""
    return Scene(
        name="tabletop",
        surfaces=table_surfaces(),
        objects=(
            authored_object(
                "box",
                "box",
                [box(0.06, 0.05, 0.07)],
                (0.06, 0.05, 0.07),
                at=(0.02, -0.12),
                yaw=0.4,
                rgba=(0.8, 0.3, 0.2, 1),
            ),
            authored_object(
                "can",
                "can",
                [cylinder(0.066, 0.115)],
                (0.066, 0.066, 0.115),
                at=(0.16, 0.02),
                rgba=(0.2, 0.45, 0.75, 1),
            ),
            authored_object(
                "block",
                "block",
                [box(0.09, 0.045, 0.02)],
                (0.09, 0.045, 0.02),
                at=(-0.16, -0.08),
                yaw=-0.6,
                rgba=(0.85, 0.7, 0.25, 1),
            ),
            authored_object(
                "mug", "mug", mug_shapes(0.085, 0.095), (0.085, 0.085, 0.095), at=(-0.1, 0.1), rgba=(0.3, 0.6, 0.45, 1)
            ),
        ),
        settled=True,
        source={"authored": "built-in"},
    )


def blocks() -> Scene:
    """Two cubes and a tray: for picking, placing and stacking."""
    return _on_table(
        "blocks",
        cube("red_cube", at=(-0.13, -0.1), rgba=RED, yaw=0.3),
        cube("blue_cube", at=(0.0, -0.16), rgba=BLUE, yaw=-0.5),
        tray("tray", (0.18, 0.18, 0.03), at=(0.14, -0.02)),
    )


def sockets() -> Scene:
    """A round peg and a holder whose hole is 6 mm wider: for inserting."""
    hole, wall, height = 0.036, 0.006, 0.055
    holder = authored_object(
        "holder",
        "holder",
        mug_shapes(hole + 2 * wall, height, wall, staves=16),
        (hole + 2 * wall, hole + 2 * wall, height),
        at=(0.1, -0.06),
        mass=0.8,
        rgba=(0.35, 0.36, 0.4, 1),
    )
    peg = authored_object(
        "peg", "peg", [cylinder(0.03, 0.1)], (0.03, 0.03, 0.1), at=(-0.1, -0.1), rgba=(0.9, 0.6, 0.15, 1)
    )
    return _on_table("sockets", peg, holder)


def clutter() -> Scene:
    """Four things lying about and a basket they belong in: for tidying up."""
    return _on_table(
        "clutter",
        cube("red_cube", at=(-0.25, -0.1), rgba=RED, yaw=0.3),
        cube("blue_cube", at=(-0.1, -0.2), rgba=BLUE, yaw=-0.4),
        authored_object(
            "can", "can", [cylinder(0.05, 0.07)], (0.05, 0.05, 0.07), at=(-0.05, -0.05), rgba=(0.35, 0.6, 0.4, 1)
        ),
        tray("basket", (0.26, 0.2, 0.05), at=(0.2, -0.1), mass=0.6),
    )


def one_cube() -> Scene:
    """One cube: for pushing, and for turning in a hand."""
    return _on_table("one_cube", cube("cube", at=(0.0, 0.0), rgba=RED))


def cube(
    name: str,
    *,
    at: tuple[float, float],
    rgba: tuple[float, float, float, float],
    yaw: float = 0.0,
    on: str = "table",
    top: float | None = None,
) -> SceneObject:
    """A wooden cube of 45 mm."""
    side = 0.045
    place = {} if top is None else {"top": top}
    return authored_object(
        name, "cube", [box(side, side, side)], (side,) * 3, at=at, yaw=yaw, rgba=rgba, on=on, **place
    )


def tray(
    name: str,
    size: tuple[float, float, float],
    *,
    at: tuple[float, float],
    mass: float = 0.4,
    on: str = "table",
    top: float | None = None,
) -> SceneObject:
    """An open box that things are put into."""
    place = {} if top is None else {"top": top}
    return authored_object(name, name, basin(*size), size, at=at, mass=mass, rgba=WOOD, on=on, **place)


def _on_table(name: str, *objects: SceneObject) -> Scene:
    return Scene(name=name, surfaces=table_surfaces(), objects=objects, settled=True, source={"authored": "built-in"})

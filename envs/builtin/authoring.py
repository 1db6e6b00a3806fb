"""Words for writing scenes by hand: objects of primitives on surfaces."""

from __future__ import annotations

import math

from ...scenes import SceneObject, Surface
from ...scenes.primitives import exact
from ...scenes.scene import Body, CollisionGeom, Inertial, Material, Pose, Visual

TABLE_TOP = 0.72
_DENSITY = 350.0  # of a filled household object [kg/m^3]: between an empty box and a full can


def authored_object(
    name: str,
    category: str,
    shapes: list[CollisionGeom],
    size: tuple[float, float, float],
    *,
    at: tuple[float, float],
    on: str = "table",
    top: float = TABLE_TOP,
    yaw: float = 0.0,
    mass: float | None = None,
    friction: float = 0.7,
    rgba: tuple[float, float, float, float] = (0.7, 0.7, 0.7, 1.0),
) -> SceneObject:
    """A free object of primitives at rest on a horizontal surface.

    Args:
        name, category: see `SceneObject`. shapes: collision shapes about the middle of the bounding box.
        size: bounding box [m]. at: x and y [m]. on, top: the surface's name and height [m]. yaw: turn about Z [rad].
        mass: [kg], by default from the volume of the shapes. friction: sliding coefficient. rgba: colour.
    """
    x, y, z = size
    if mass is None:
        mass = _DENSITY * sum(_volume(shape) for shape in shapes)
    ixx, iyy, izz = (mass / 12 * (a * a + b * b) for a, b in ((y, z), (x, z), (x, y)))
    return SceneObject(
        name=name,
        category=category,
        mobility="free",
        size=size,
        support=on,
        body=Body(
            pose=Pose(position=(*at, top + z / 2), quaternion=(math.cos(yaw / 2), 0, 0, math.sin(yaw / 2))),
            collision=tuple(shapes),
            visual=Visual(material=Material(rgba=rgba)),
            inertial=Inertial(mass=exact(mass), com=(0, 0, 0), inertia=(ixx, iyy, izz, 0, 0, 0)),
            friction=exact(friction),
        ),
    )


def table_surfaces(size: tuple[float, float] = (1.2, 0.8), top: float = TABLE_TOP) -> tuple[Surface, ...]:
    """A floor and a table top of the given extents [m], centred on the origin."""
    return (
        Surface(
            name="floor",
            kind="floor",
            pose=Pose(position=(0, 0, -0.05)),
            size=(4, 4, 0.1),
            material=Material(rgba=(0.62, 0.6, 0.57, 1)),
            friction=exact(0.8),
        ),
        Surface(
            name="table",
            kind="table",
            pose=Pose(position=(0, 0, top - 0.02)),
            size=(*size, 0.04),
            material=Material(rgba=(0.72, 0.57, 0.42, 1)),
            friction=exact(0.7),
        ),
    )


def _volume(shape: CollisionGeom) -> float:
    x, y, z = shape.size
    return x * y * z * (math.pi / 4 if shape.shape == "cylinder" else 1.0)

"""Built-in scenes: made of primitives through the `Scene` API, so that an environment works before any scan."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import TaskError
from ..scenes import Scene, SceneObject, Surface
from ..scenes.scene import Body, CollisionGeom, Estimate, Inertial, Material, Pose, Visual

TABLE_TOP = 0.72
_DENSITY = 350.0  # of a filled household object [kg/m^3]: between an empty box and a full can


def builtin_scene(name: str) -> Scene:
    """The built-in scene called `name`.

    Raises:
        TaskError: there is none; the message lists those there are.
    """
    try:
        return _BUILTIN[name]()
    except KeyError:
        raise TaskError(f"scene={name!r} is neither a scene folder nor a built-in scene {builtin_names()}") from None


def builtin_names() -> list[str]:
    """Names of the built-in scenes."""
    return sorted(_BUILTIN)


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
            inertial=Inertial(mass=_exact(mass), com=(0, 0, 0), inertia=(ixx, iyy, izz, 0, 0, 0)),
            friction=_exact(friction),
        ),
    )


def box(x: float, y: float, z: float, *, at: tuple[float, float, float] = (0, 0, 0), yaw: float = 0.0) -> CollisionGeom:
    """A box of full extents [m], turned by `yaw` about Z."""
    quaternion = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    return CollisionGeom(shape="box", size=(x, y, z), pose=Pose(position=at, quaternion=quaternion))


def cylinder(diameter: float, length: float, *, at: tuple[float, float, float] = (0, 0, 0)) -> CollisionGeom:
    """An upright cylinder [m]."""
    return CollisionGeom(shape="cylinder", size=(diameter, diameter, length), pose=Pose(position=at))


def mug_shapes(diameter: float, height: float, wall: float = 0.005, staves: int = 12) -> list[CollisionGeom]:
    """An open cup: a ring of upright boards on a bottom, without a handle [m]."""
    radius = (diameter - wall) / 2
    width = 2 * (diameter / 2) * math.tan(math.pi / staves)
    foot = 0.002  # the bottom stands lower than the boards, which would each make contacts of their own
    shapes = [cylinder(diameter - wall, wall, at=(0, 0, (wall - height) / 2))]
    for k in range(staves):
        angle = 2 * math.pi * k / staves
        place = (radius * math.cos(angle), radius * math.sin(angle), foot / 2)
        shapes.append(box(wall, width, height - foot, at=place, yaw=angle))
    return shapes


def table_surfaces(size: tuple[float, float] = (1.2, 0.8), top: float = TABLE_TOP) -> tuple[Surface, ...]:
    """A floor and a table top of the given extents [m], centred on the origin."""
    return (
        Surface(
            name="floor",
            kind="floor",
            pose=Pose(position=(0, 0, -0.05)),
            size=(4, 4, 0.1),
            material=Material(rgba=(0.62, 0.6, 0.57, 1)),
            friction=_exact(0.8),
        ),
        Surface(
            name="table",
            kind="table",
            pose=Pose(position=(0, 0, top - 0.02)),
            size=(*size, 0.04),
            material=Material(rgba=(0.72, 0.57, 0.42, 1)),
            friction=_exact(0.7),
        ),
    )


def _tabletop() -> Scene:
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


def _volume(shape: CollisionGeom) -> float:
    x, y, z = shape.size
    return x * y * z * (math.pi / 4 if shape.shape == "cylinder" else 1.0)


def _exact(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, source="authored")


_BUILTIN: dict[str, Callable[[], Scene]] = {"tabletop": _tabletop}

"""Small scenes made of primitives, with inertias from closed forms."""

from __future__ import annotations

import math
from typing import Literal

from pocketworlds.scenes import Scene, SceneObject, Surface
from pocketworlds.scenes.scene import Body, CollisionGeom, Estimate, Inertial, Pose, Provenance

Vec = tuple[float, float, float]


def estimate(value: float, source: str = "test") -> Estimate:
    return Estimate(value=value, low=value / 2, high=value * 2, source=source)


def floor(friction: float = 0.8, quaternion: tuple[float, float, float, float] = (1, 0, 0, 0)) -> Surface:
    return Surface(
        name="floor",
        kind="floor",
        pose=Pose(position=(0, 0, -0.05), quaternion=quaternion),
        size=(4, 4, 0.1),
        friction=estimate(friction),
    )


def table(height: float = 0.7) -> Surface:
    return Surface(
        name="table",
        kind="table",
        pose=Pose(position=(0, 0, height - 0.02)),
        size=(1.2, 0.8, 0.04),
        friction=estimate(0.8),
    )


def wall(x: float = 1.0) -> Surface:
    return Surface(
        name="wall", kind="wall", pose=Pose(position=(x + 0.05, 0, 1)), size=(0.1, 4, 2), friction=estimate(0.8)
    )


def thing(
    name: str,
    position: Vec,
    *,
    shape: Literal["box", "cylinder", "sphere"] = "box",
    size: Vec = (0.1, 0.1, 0.1),
    mass: float = 0.5,
    support: str | None = "floor",
    friction: float = 0.8,
    yaw: float = 0.0,
    mobility: Literal["free", "fixed"] = "free",
    provenance: bool = True,
    quaternion: tuple[float, float, float, float] | None = None,
) -> SceneObject:
    """A box, cylinder or sphere whose frame is at its centre."""
    x, y, z = size
    if shape == "box":
        inertia = (mass / 12 * (y * y + z * z), mass / 12 * (x * x + z * z), mass / 12 * (x * x + y * y))
    elif shape == "cylinder":
        radius = x / 2
        across = mass * (3 * radius**2 + z * z) / 12
        inertia = (across, across, mass * radius**2 / 2)
    else:
        inertia = (0.4 * mass * (x / 2) ** 2,) * 3
    body = Body(
        pose=Pose(position=position, quaternion=quaternion or (math.cos(yaw / 2), 0, 0, math.sin(yaw / 2))),
        collision=(CollisionGeom(shape=shape, size=size),),
        inertial=Inertial(mass=estimate(mass), com=(0, 0, 0), inertia=(*inertia, 0, 0, 0)),
        friction=estimate(friction),
    )
    seen = Provenance(completion=shape, observed_fraction=0.6, fit_error=0.002) if provenance else None
    return SceneObject(
        name=name, category=shape, mobility=mobility, size=size, support=support, body=body, provenance=seen
    )


def scene(*objects: SceneObject, surfaces: tuple[Surface, ...] | None = None) -> Scene:
    return Scene(name="test", surfaces=(floor(),) if surfaces is None else surfaces, objects=objects)

"""Small scenes made of primitives, with inertias from closed forms."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pocketworlds.scenes import Scene, SceneObject, Surface
from pocketworlds.scenes.scene import (
    Body,
    Camera,
    CollisionGeom,
    Estimate,
    Inertial,
    Joint,
    Material,
    Part,
    Pose,
    Provenance,
    Visual,
)

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


SHELL = """
v -0.05 -0.05 -0.05
v 0.05 -0.05 -0.05
v 0.05 -0.05 0.05
v -0.05 -0.05 0.05
v 0 0.05 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
vt .5 .5
f 1/1 2/2 3/3
f 1/1 3/3 4/4
f 2/2 1/1 5/5
f 3/3 2/2 5/5
f 4/4 3/3 5/5
f 1/1 4/4 5/5
"""
"""An upright square facing -Y, drawn as a pyramid; its texture's top is the square's top."""

HULL = """
v -0.05 -0.05 -0.05
v 0.05 -0.05 -0.05
v 0.05 0.05 -0.05
v -0.05 0.05 -0.05
v -0.05 -0.05 0.05
v 0.05 -0.05 0.05
v 0.05 0.05 0.05
v -0.05 0.05 0.05
f 1 3 2
f 1 4 3
f 5 6 7
f 5 7 8
f 1 2 6
f 1 6 5
f 2 3 7
f 2 7 6
f 3 4 8
f 3 8 7
f 4 1 5
f 4 5 8
"""


def textured(folder: Path) -> Scene:
    """A mesh object with a texture (red above blue, green at the left), a can, a cupboard with a door, a camera.

    Writes the assets into `folder`.
    """
    (folder / "meshes").mkdir(parents=True, exist_ok=True)
    (folder / "textures").mkdir(exist_ok=True)
    (folder / "meshes/hull.obj").write_text(HULL)
    (folder / "meshes/shell.obj").write_text(SHELL)
    paint = np.zeros((64, 64, 3), dtype=np.uint8)
    paint[:32], paint[32:] = [255, 0, 0], [0, 0, 255]
    paint[:, :8] = [0, 255, 0]
    Image.fromarray(paint).save(folder / "textures/paint.png")
    painted = thing("painted", (0.123456789012, 0, 0.05), mass=0.123456789, yaw=0.1)
    body = painted.body.model_copy(
        update={
            "collision": (CollisionGeom(shape="mesh", size=(0.1, 0.1, 0.1), mesh="meshes/hull.obj"),),
            "visual": Visual(
                mesh="meshes/shell.obj", material=Material(rgba=(1, 1, 1, 1), texture="textures/paint.png")
            ),
        }
    )
    cupboard = thing("cupboard", (-1.0, 0, 0.5), size=(0.4, 0.4, 1.0), mobility="fixed")
    door = thing("leaf", (0, -0.21, 0), size=(0.4, 0.02, 1.0), mass=2.0)
    joint = Joint(kind="hinge", axis=(0, 0, 1), anchor=(-0.2, 0, 0), range=(0, 1.6))
    camera = Camera(
        name="front", pose=Pose(position=(0.12, -0.6, 0.05), quaternion=(math.sqrt(0.5), math.sqrt(0.5), 0, 0))
    )
    made = scene(
        painted.model_copy(update={"body": body}),
        thing("can", (1.234567890123, 0.3, 0.05), shape="cylinder", yaw=0.7),
        cupboard.model_copy(update={"parts": (Part(name="door", joint=joint, body=door.body),)}),
    )
    return made.model_copy(update={"cameras": (camera,)}).in_folder(folder)

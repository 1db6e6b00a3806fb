"""Random scenes of typical household shapes, standing apart on a table or a floor: for tests and measurements."""

from __future__ import annotations

import numpy as np

from ..scenes import Scene, SceneObject, Surface
from ..scenes.primitives import box, cylinder, mug_shapes
from ..scenes.scene import CollisionGeom
from .builtin.authoring import TABLE_TOP, authored_object, table_surfaces

Shape = tuple[list[CollisionGeom], tuple[float, float, float]]

COLOURS = {
    "box": (0.8, 0.3, 0.2, 1),
    "can": (0.2, 0.45, 0.75, 1),
    "bottle": (0.3, 0.6, 0.4, 1),
    "board": (0.85, 0.7, 0.45, 1),
    "mug": (0.7, 0.7, 0.75, 1),
    "tool": (0.25, 0.25, 0.3, 1),
}


def shape(kind: str, rng: np.random.Generator) -> Shape:
    """Collision shapes and bounding box of a random object of a kind."""
    if kind == "box":
        size = (rng.uniform(0.04, 0.12), rng.uniform(0.04, 0.07), rng.uniform(0.03, 0.12))
        return [box(*size)], size
    if kind == "can":
        d, h = rng.uniform(0.06, 0.07), rng.uniform(0.08, 0.13)
        return [cylinder(d, h)], (d, d, h)
    if kind == "bottle":
        d, h = rng.uniform(0.055, 0.07), rng.uniform(0.17, 0.24)
        body, neck = 0.7 * h, 0.3 * h
        shapes = [cylinder(d, body, at=(0, 0, -neck / 2)), cylinder(0.03, neck, at=(0, 0, body / 2))]
        return shapes, (d, d, h)
    if kind == "board":
        size = (rng.uniform(0.08, 0.12), rng.uniform(0.05, 0.075), rng.uniform(0.016, 0.023))
        return [box(*size)], size
    if kind == "mug":
        d, h = rng.uniform(0.08, 0.095), rng.uniform(0.08, 0.10)
        return mug_shapes(d, h), (d, d, h)
    handle, shaft = rng.uniform(0.09, 0.11), rng.uniform(0.08, 0.12)
    length, width = handle + shaft, 0.03
    shapes = [box(handle, width, width, at=(-shaft / 2, 0, 0)), box(shaft, 0.01, 0.01, at=(handle / 2, 0, -0.01))]
    return shapes, (length, width, width)


def random_scene(seed: int, *, on: str = "table", count: int = 5) -> Scene:
    """`count` random objects standing at least 6 cm apart near the middle of a table or of a floor."""
    rng = np.random.default_rng(seed)
    surfaces: tuple[Surface, ...] = table_surfaces()
    top = TABLE_TOP
    if on == "floor":
        surfaces, top = surfaces[:1], 0.0
    objects: list[SceneObject] = []
    placed: list[tuple[np.ndarray, float]] = []
    kinds = list(rng.permutation(list(COLOURS)))[:count]
    for kind in kinds:
        shapes, size = shape(str(kind), rng)
        radius = float(np.hypot(size[0], size[1])) / 2
        for _ in range(500):
            at = rng.uniform((-0.32, -0.26), (0.32, 0.26))
            if all(np.hypot(*(at - other)) > radius + r + 0.06 for other, r in placed):
                break
        else:
            continue
        placed.append((at, radius))
        objects.append(
            authored_object(
                str(kind),
                str(kind),
                shapes,
                size,
                at=(float(at[0]), float(at[1])),
                on=on,
                top=top,
                yaw=float(rng.uniform(-np.pi, np.pi)),
                rgba=COLOURS[str(kind)],
                friction=float(rng.uniform(0.4, 0.9)),
            )
        )
    return Scene(name=f"random-{on}-{seed}", surfaces=surfaces, objects=tuple(objects), settled=True)

"""Places that a task asks for, marked in pictures: a disc that lies flat, or a ball; nothing can touch them.

What is asked for has to be seen, or nobody could do it who has nothing but pictures. Marks are pure green, unlit, in
colours alone: distances and segmentation do not know them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .simulator import Array, Ids

GREEN = (0, 255, 0)
_LIFT = 1e-3  # [m]: a disc lies so high above its support


@dataclass(frozen=True)
class Mark:
    """What is marked in every world.

    Attributes:
        places: gives the places (m, 3) [m] in worlds (m,): a ball's centre, or where on its support a disc lies.
        radius: [m]. flat: whether it is a disc.
    """

    places: Callable[[Ids], Array]
    radius: float
    flat: bool


def add_geom(scene: mujoco.MjvScene, mark: Mark, place: Array) -> None:
    """Adds a mark to what MuJoCo draws, as the last geom."""
    shape = mujoco.mjtGeom.mjGEOM_CYLINDER if mark.flat else mujoco.mjtGeom.mjGEOM_SPHERE
    size = np.array([mark.radius, _LIFT / 2, 0.0])  # of a ball the radius alone counts
    at = place + np.array([0, 0, _LIFT / 2 if mark.flat else 0.0])
    colour = np.array([*(each / 255 for each in GREEN), 1.0], dtype=np.float32)
    geom = scene.geoms[scene.ngeom]
    mujoco.mjv_initGeom(geom, int(shape), size, at, np.eye(3).ravel(), colour)
    geom.emission, geom.specular, geom.shininess = 1.0, 0.0, 0.0  # whatever the light: more than all is cut off
    scene.ngeom += 1


def paint(
    mark: Mark,
    rgb: NDArray[np.uint8],
    depth: NDArray[np.floating[Any]],
    place: Array,
    eye: Array,
    axes: Array,
    slope: float,
) -> None:
    """Paints a mark into pictures that were drawn without it.

    Args:
        rgb: uint8 (m, height, width, 3), changed. depth: (m, height, width, 1) along the camera's axis [m].
        place: (m, 3). eye: (m, 3) where the cameras are, axes: (m, 3, 3) their frames in columns; they look along -z, y
            is up. slope: tangent of half their vertical field of view.
    """
    height, width = rgb.shape[1:3]
    x = (np.arange(width) + 0.5 - width / 2) * (2 * slope / height)
    y = -(np.arange(height) + 0.5 - height / 2) * (2 * slope / height)
    local = np.stack(np.broadcast_arrays(x[None, :], y[:, None], -1.0), axis=2)
    ray = np.einsum("mij,hwj->mhwi", axes, local)  # one metre along the axis
    away = (place - eye)[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        if mark.flat:
            at = (away[..., 2] + _LIFT) / ray[..., 2]
            beside = at[..., None] * ray - away
            hit = np.hypot(beside[..., 0], beside[..., 1]) <= mark.radius
        else:
            square, along = (ray**2).sum(axis=3), (ray * away).sum(axis=3)
            left = along**2 - square * ((away**2).sum(axis=3) - mark.radius**2)
            hit = left >= 0
            at = (along - np.sqrt(left)) / square
        hit &= (at > 0) & (at <= depth[..., 0])
    rgb[hit] = GREEN

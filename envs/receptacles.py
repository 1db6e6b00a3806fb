"""Where things can be put: flat places on top of objects, and cavities in them, found by looking from above."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..scenes.outlines import collision_geoms
from .world import World

Array = NDArray[np.float64]

STEPS = (0.001, 1 / 30)
"""Spacing of the rays: least [m], and as a share of the object's radius."""
FLAT = 0.003
"""Heights that differ by no more than this [m] are one level."""
CAVITY = 0.008
"""A level this far [m] below its surroundings is a cavity."""
MIN_RADIUS = 0.008
LARGEST = 0.3
"""Objects of a greater radius [m] seen from above are furniture, not receptacles."""
_WAYS = np.radians(np.arange(0, 360, 10.0))


@dataclass(frozen=True)
class Receptacle:
    """A level place of an object.

    Attributes:
        name: of the object. index: among the free objects, -1 for a fixed one.
        floor: (3,) middle of the place in the object's frame [m] (in the world for a fixed object).
        radius: of the largest circle that lies in it [m].
        depth: how far [m] its surroundings rise above it; 0 for a top that things are put onto.
    """

    name: str
    index: int
    floor: Array
    radius: float
    depth: float


def find_receptacle(world: World, name: str) -> Receptacle | None:
    """The largest level place of an object as the scene has it, seen from above; None if nothing is flat.

    Furniture and what has doors, drawers or buttons is left out.
    """
    if world.outlines[name].radius > LARGEST or world.scene.object(name).parts:
        return None
    model, data = world.model, mujoco.MjData(world.model)
    data.qpos[:] = world.home_qpos
    mujoco.mj_kinematics(model, data)
    body = model.body(name).id
    geoms = collision_geoms(model, body)
    shape = world.outlines[name]
    step = max(STEPS[0], STEPS[1] * shape.radius)
    reach = shape.radius + step
    xs, ys = (np.arange(c - reach, c + reach, step) for c in shape.center)
    height = np.full((len(xs), len(ys)), -np.inf)
    top = shape.high + 0.05
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            hit = _ray_down(model, data, geoms, np.array([x, y, top]))
            if hit >= 0:
                height[i, j] = top - hit
    best: tuple[float, Array, float] | None = None
    seen = np.isfinite(height)
    for level in np.unique((height[seen] / FLAT).round()) * FLAT:
        mask = np.abs(height - level) <= FLAT
        deep = np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1]
        # Distances are between cell centres: the circle ends half a cell before the first cell outside.
        radius = (float(deep.max()) - 0.5) * step
        if radius < MIN_RADIUS or (best is not None and radius <= best[0]):
            continue
        middle = _middle(deep, xs, ys)
        rim = _rim(height, xs, ys, middle, reach) - level
        floor = float(np.median(height[mask & (deep * step > 0.5 * radius)]))
        best = (radius, np.array([*middle, floor]), rim if rim > CAVITY else 0.0)
    if best is None:
        return None
    radius, point, depth = best
    index = world.objects.index(name) if name in world.objects else -1
    if index >= 0:
        point = data.xmat[body].reshape(3, 3).T @ (point - data.xpos[body])
    return Receptacle(name, index, point, radius, depth)


def _rim(height: Array, xs: Array, ys: Array, middle: Array, reach: float) -> float:
    """Height [m] that nine of ten ways out from the middle must climb over."""
    step = float(xs[1] - xs[0])
    along = np.arange(0, 2 * reach, step)
    points = middle + along[:, None, None] * np.stack([np.cos(_WAYS), np.sin(_WAYS)], axis=1)
    i = ((points[..., 0] - xs[0]) / step).round().astype(int)
    j = ((points[..., 1] - ys[0]) / step).round().astype(int)
    inside = (i >= 0) & (i < len(xs)) & (j >= 0) & (j < len(ys))
    profile = np.where(inside, height[i.clip(0, len(xs) - 1), j.clip(0, len(ys) - 1)], -np.inf)
    return float(np.percentile(profile.max(axis=0), 10))


def _middle(deep: Array, xs: Array, ys: Array) -> Array:
    """Centre (2,) of the cells that are deepest in a level: of a long one, the middle of its ridge."""
    i, j = np.nonzero(deep >= deep.max() - 0.5)
    centre = np.array([xs[i].mean(), ys[j].mean()])
    nearest = np.hypot(xs[i] - centre[0], ys[j] - centre[1]).argmin()
    return centre if np.ptp(i) < 4 and np.ptp(j) < 4 else np.array([xs[i[nearest]], ys[j[nearest]]])


def _ray_down(model: mujoco.MjModel, data: mujoco.MjData, geoms: list[int], origin: Array) -> float:
    down, best = np.array([0.0, 0.0, -1.0]), -1.0
    for geom in geoms:
        kind = int(model.geom_type[geom])
        if kind == mujoco.mjtGeom.mjGEOM_MESH:
            hit = mujoco.mj_rayMesh(model, data, geom, origin, down, None)
        else:
            at, turned = data.geom_xpos[geom], data.geom_xmat[geom]
            hit = mujoco.mju_rayGeom(at, turned, model.geom_size[geom], origin, down, kind, None)
        if hit >= 0 and (best < 0 or hit < best):
            best = float(hit)
    return best

"""Straight pushes of scanned objects: directions and lengths that leave room for the object, the hand and the arm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..scenes.outlines import Outline
from .grasps import MAX_MASS, GraspPlanner
from .world import World

Array = NDArray[np.float64]

DISTANCES = (0.08, 0.10, 0.13, 0.16, 0.19)
"""Lengths of pushes that are tried [m]."""
SLANTS = tuple(math.radians(a) for a in (0, 12, -12))
"""Directions of pushes, from the normals of the object's four sides [rad]: a push at a corner turns it instead."""
STANDOFF = 0.03
"""Distance [m] behind the object at which the fingers come down."""
TALL = 0.04
"""Objects higher than this [m] are pushed with the hand leaning back by `LEAN`, so that only the fingers touch."""
LEAN = math.radians(45)
MAX_WIDTH = 0.25
OPENING = 0.0
"""Opening [m] of the fingers while pushing: a round thing between open fingers would be pinched and carried along."""
_MARGIN = 0.01


@dataclass(frozen=True)
class PushPlan:
    """How a free object may be pushed.

    Attributes:
        offsets: (m, 2) possible displacements [m].
        height: of the fingers above the object's bottom [m]. lean: of the hand [rad]. opening: of the fingers [m].
        bottom: height of the object's lowest point below its frame [m].
        outline: the object's, at its scanned pose.
    """

    offsets: Array
    height: float
    lean: float
    opening: float
    bottom: float
    outline: Outline


def plan_push(world: World, planner: GraspPlanner, name: str) -> tuple[PushPlan | None, str]:
    """All straight pushes that fit, or None and the reason in plain words."""
    shape = world.outlines[name]
    item = world.scene.object(name)
    mass = float(world.model.body_subtreemass[world.model.body(name).id])
    if mass > MAX_MASS:
        return None, f"weighs {mass:.2f} kg, more than {MAX_MASS:.1f} kg"
    if 2 * shape.half[0] > MAX_WIDTH:
        return None, f"{200 * shape.half[0]:.0f} cm long, more than {100 * MAX_WIDTH:.0f} cm"
    if item.support is None or item.support not in world.surfaces:
        return None, "it stands on another object"
    if any(other.support == name for other in world.scene.objects):
        return None, "something stands on it"
    plate = world.surfaces[item.support]
    others = [o for other, o in world.outlines.items() if other != name and o.high > plate.high + 0.003]
    others += [o for other, o in world.surfaces.items() if other != item.support and o.high > plate.high + 0.003]
    others = [o for o in others if o.low < shape.high + 0.3]
    near, far = world.arm.reach
    offsets = []
    for angle in (shape.yaw + side * np.pi / 2 + slant for side in range(4) for slant in SLANTS):
        way = np.array([math.cos(angle), math.sin(angle)])
        for length in DISTANCES:
            run = shape.center + np.linspace(0, length, 8)[:, None] * way
            behind = shape.center - way * (extent(shape, way) + STANDOFF)
            if plate.inside(run[-1:])[0] < shape.radius + _MARGIN:
                continue
            distance = np.hypot(*(np.stack([run[-1], behind]) - world.base_pos[:2]).T)
            if (distance < near - 0.03).any() or (distance > far).any():
                continue
            swept = [replace(shape, center=point) for point in run]
            if any(step.gap(o) < _MARGIN for step in swept for o in others):
                continue
            offsets.append(length * way)
    if not offsets:
        return None, "no free way to push it within reach and on its support"
    tall = shape.high - shape.low > TALL
    height = min(max(0.4 * (shape.high - shape.low), world.arm.pad_tip + 0.004), 0.035)
    if tall:
        height = max(height, world.arm.pad_tip + 0.012)
    plan = PushPlan(
        offsets=np.array(offsets),
        height=height,
        lean=LEAN if tall else 0.0,
        opening=OPENING,
        bottom=float(item.body.pose.position[2] - shape.low),
        outline=shape,
    )
    feasible = _feasible(world, planner, plan)
    if not feasible.any():
        return None, "the arm cannot hold the hand behind it in any free direction"
    return PushPlan(plan.offsets[feasible], plan.height, plan.lean, plan.opening, plan.bottom, shape), ""


def push_frame(way: Array, lean: Array) -> Array:
    """Grip frames (n, 3, 3) for pushing along horizontal unit vectors (n, 2), fingers leaning forward by (n,) [rad]."""
    forward = np.concatenate([way, np.zeros((len(way), 1))], axis=1)
    up = np.array([0.0, 0.0, 1.0])
    s, c = np.sin(lean)[:, None], np.cos(lean)[:, None]
    z = s * forward - c * up
    x = c * forward + s * up
    return np.stack([x, np.cross(z, x), z], axis=2)


def extent(shape: Outline, way: Array) -> float:
    """How far [m] an outline reaches from its centre along a horizontal unit vector (2,)."""
    return float(np.abs(shape.axes @ way) @ shape.half)


def _feasible(world: World, planner: GraspPlanner, plan: PushPlan) -> NDArray[np.bool_]:
    """(m,) whether the arm reaches the beginning and the end of each push without touching anything."""
    length = np.hypot(plan.offsets[:, 0], plan.offsets[:, 1])
    way = plan.offsets / length[:, None]
    reach = np.array([extent(plan.outline, w) for w in way])[:, None] + STANDOFF
    frames = push_frame(way, np.full(len(way), plan.lean))
    z = np.full((len(way), 1), plan.outline.low + plan.height)
    first = np.concatenate([plan.outline.center - way * reach, z], axis=1)
    last = np.concatenate([plan.outline.center + plan.offsets - way * (reach - STANDOFF), z], axis=1)
    return planner.reaches(np.stack([first, last], axis=1), frames, plan.opening)

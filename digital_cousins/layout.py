"""Where things stand: objects moved on their supports, taken away, and others put beside them.

What stands on or in something follows it. Nothing comes to overlap with what is beside it, and neighbours stay
neighbours; heights are left to settling, which lifts and lowers.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..scenes.mjcf import compile_scene
from ..scenes.outlines import Outline, body_points, outline
from ..scenes.scene import Pose, Surface
from .draft import Draft
from .draws import Draws

Array = NDArray[np.float64]

TRIES = 40
"""How often a place is drawn for each object."""
CLEARANCE = 0.003
"""Things beside one another are at least so far [m] apart, or as far as they were."""
NEIGHBOURS = 0.05
"""The gap between neighbours changes by at most this [m]."""
STRAIGHT = math.radians(4.5)
"""What is parallel to something else turns by at most this [rad]: two differ by up to 9 degrees, 10 are tolerated."""
_CLUTTER_GAP = 0.015
_AROUND = 0.1  # clutter lies no farther [m] from what the twin has on the same surface


class PlacementError(Exception):
    """No free place was found; the message says for what."""


def vary_clutter(draft: Draft, draws: Draws, section: Any) -> None:
    """Takes away up to `section.remove` things that nobody needs; puts up to `section.add` in free places.

    Raises:
        PlacementError: `TRIES` places were all taken.
    """
    graph = draft.family.graph
    bearing = {r.support for r in graph.on} | {r.container for r in graph.inside}
    spare = [
        name
        for name, item in draft.objects.items()
        if item.mobility == "free" and name not in draft.family.needed and name not in bearing
    ]
    less, more = draws.of("remove"), draws.of("add")
    gone = min(less.count(section.remove), max(len(spare) - 1, 0))
    taken = set(less.rng.permutation(spare)[:gone].tolist())
    for name in sorted(taken):
        draft.take_away(name)
    draft.factors |= {f"clutter.{name}.kept": int(name not in taken) for name in spare}
    there = frozenset(draft.objects)
    pool = draft.family.pools[""].candidates
    added = [f"clutter_{k + 1}" for k in range(more.count(section.add) if pool and _tops(draft) else 0)]
    for name in added:
        asset = pool[draws.of(name).pick(len(pool))].asset
        draft.objects[name] = asset.named(name)
        draft.factors[f"clutter.{name}.thing"] = asset.name
    draft.factors |= {"clutter.removed": gone, "clutter.added": len(added)}
    if added:
        table = _Table(draft, there)
        for name in added:
            x, y, turn = table.put_down(name, draws.of(f"{name} at"))
            draft.factors |= {f"clutter.{name}.x": x, f"clutter.{name}.y": y, f"clutter.{name}.turn": turn}
        table.apply()


def vary_poses(draft: Draft, draws: Draws, section: Any) -> None:
    """Moves free objects on their supports.

    Raises:
        PlacementError: `TRIES` places were all taken.
    """
    table = _Table(draft, frozenset(name for name, item in draft.objects.items() if item.mobility == "fixed"))
    for name in draft.family.graph.order:
        item = draft.objects.get(name)
        if item is not None and item.mobility == "free":
            x, y, turn = table.move(name, draws.of(name), section.shift, section.turn)
            draft.factors |= {f"pose.{name}.x": x, f"pose.{name}.y": y, f"pose.{name}.turn": turn}
    table.apply()


class _Table:
    """Outlines of everything, the twin's and the draft's, and where the draft's things are so far."""

    def __init__(self, draft: Draft, final: Collection[str]) -> None:
        """Takes a draft, and the names of those of its objects that stay where they are."""
        self._draft, self._graph = draft, draft.family.graph
        self._twin = self._graph.outlines
        model = compile_scene(draft.scene("draft"), visuals=False)
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        self._now = {name: outline(body_points(model, data, model.body(name).id)) for name in draft.objects}
        self._poses: dict[str, Pose] = {}
        self._final = {name: self._now[name] for name in draft.objects if name in final}
        self._shifts: dict[str, Motion] = {}

    def apply(self) -> None:
        """Puts all that was moved into the draft."""
        for name, pose in self._poses.items():
            item = self._draft.objects[name]
            self._draft.objects[name] = item.model_copy(update={"body": item.body.model_copy(update={"pose": pose})})

    def move(self, name: str, draws: Draws, shift: float, turn: float) -> tuple[float, float, float]:
        """A free place for a thing of the twin; gives the shift [m] and turn [rad] against what bears it."""
        draft, graph = self._draft, self._graph
        base = graph.container(name) or next(iter(graph.supports(name)), None)
        carried = base in self._shifts
        straight = any(name in (pair.name, pair.other) for pair in graph.aligned)
        limit = min(turn, STRAIGHT / max(draws.spread, 1e-9)) if straight else turn
        # In or on something small there is less room.
        room = shift if not carried else min(shift, 0.2 * float(self._now[str(base)].half.min()))
        for attempt in range(TRIES):
            ease = 1.0 - attempt / TRIES  # closer to the twin's layout, which is free, the longer it takes
            x, y = draws.disc(room * ease)
            angle = draws.shift(limit * ease)
            motion = Motion(x, y, angle, self._now[name].center)
            moved = motion.of(self._now[name])
            if carried:
                motion = motion.then(self._shifts[str(base)])
                moved = motion.of(self._now[name])
            if self._fits(name, moved, base):
                self._final[name], self._shifts[name] = moved, motion
                self._poses[name] = motion.pose(draft.objects[name].body.pose)
                return x, y, angle
        raise PlacementError(f"no free place for {name}")

    def put_down(self, name: str, draws: Draws) -> tuple[float, float, float]:
        """A free place for a thing that the twin has not got, on a surface that carries something.

        Returns:
            Where it lies in the world: x and y [m], and its turn [rad].
        """
        draft, start = self._draft, self._now[name]
        tops = _tops(draft)
        for _ in range(TRIES):
            surface = tops[int(draws.rng.integers(len(tops)))]
            low, high = self._around(surface.name)
            at = draws.rng.uniform(low, high)
            x, y = (float(v) for v in at - start.center)
            turn = float(draws.rng.uniform(-math.pi, math.pi))
            motion = Motion(x, y, turn, start.center)
            moved = motion.of(start)
            plate = self._twin[surface.name]
            corners = moved.center + _corners(moved)
            others = [
                o for other, o in self._final.items() if draft.objects[other].mobility == "free" or o.high > plate.high
            ]
            if plate.inside(corners).min() > 0.01 and all(moved.gap(o) > _CLUTTER_GAP for o in others):
                item = draft.objects[name]
                pose = motion.pose(item.body.pose)
                lift = plate.high - (pose.position[2] - item.size[2] / 2)
                position = (pose.position[0], pose.position[1], pose.position[2] + lift)
                self._poses[name] = pose.model_copy(update={"position": position})
                self._final[name] = replace(moved, low=moved.low + lift, high=moved.high + lift)
                draft.objects[name] = item.model_copy(update={"support": surface.name})
                return float(at[0]), float(at[1]), turn
        raise PlacementError("no free place for clutter")

    def _around(self, surface: str) -> tuple[Array, Array]:
        """Corners (2,) of the rectangle around all that the twin has on a surface, and a margin."""
        graph = self._graph
        shapes = [self._twin[r.name] for r in graph.on if r.support == surface]
        corners = np.concatenate([shape.center + _corners(shape) for shape in shapes])
        return corners.min(axis=0) - _AROUND, corners.max(axis=0) + _AROUND

    def _fits(self, name: str, moved: Outline, base: str | None) -> bool:
        draft, graph = self._draft, self._graph
        plate = self._twin.get(base) if base in draft.surfaces else None
        if plate is not None and base is not None:
            hangs = float(self._twin[base].inside(self._twin[name].center + _corners(self._twin[name])).min())
            if plate.inside(moved.center + _corners(moved)).min() < min(hangs, 0.0):
                return False
        elif base is not None and self._final.get(base, self._twin[base]).inside(moved.center[None])[0] < 0:
            return False
        for other, placed in self._final.items():
            if other == base or base == graph.container(other) == name or name in graph.supports(other):
                continue
            if placed.low > moved.high or placed.high < moved.low:
                continue
            if other in (graph.container(name), *graph.supports(name)):
                continue
            gap = moved.gap(placed)
            before = self._twin[name].gap(self._twin[other]) if other in self._twin else math.inf
            if gap < min(CLEARANCE, before):
                return False
        for pair in graph.beside:
            if name in (pair.first, pair.second):
                other = pair.second if name == pair.first else pair.first
                known = self._final.get(other) or (self._twin[other] if other in draft.surfaces else None)
                if known is not None and moved.gap(known) - self._twin[name].gap(self._twin[other]) > NEIGHBOURS:
                    return False
        return True


class Motion:
    """A turn by `angle` [rad] about a vertical axis through `center` (2,), then a shift (x, y) [m]."""

    def __init__(self, x: float, y: float, angle: float, center: Array) -> None:
        self.angle = angle
        self.matrix = _turn(angle)
        self.offset = np.array([x, y]) + center - self.matrix @ center

    def then(self, other: Motion) -> Motion:
        """This motion, followed by another."""
        joined = Motion(0.0, 0.0, self.angle + other.angle, np.zeros(2))
        joined.offset = other.matrix @ self.offset + other.offset
        return joined

    def of(self, shape: Outline) -> Outline:
        """An outline moved."""
        return replace(shape, center=self.matrix @ shape.center + self.offset, yaw=shape.yaw + self.angle)

    def pose(self, pose: Pose) -> Pose:
        """A pose moved; its height stays."""
        x, y = (float(v) for v in self.matrix @ np.array(pose.position[:2]) + self.offset)
        c, s = math.cos(self.angle / 2), math.sin(self.angle / 2)
        w, i, j, k = pose.quaternion
        return Pose(
            position=(x, y, pose.position[2]),
            quaternion=(c * w - s * k, c * i - s * j, c * j + s * i, c * k + s * w),
        )


def _tops(draft: Draft) -> list[Surface]:
    """Surfaces that carry free things."""
    free = {item.name for item in draft.family.twin.objects if item.mobility == "free"}
    bearing = {r.support for r in draft.family.graph.on if r.name in free}
    return [s for name, s in draft.surfaces.items() if name in bearing]


def _corners(shape: Outline) -> Array:
    signs = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)])
    return np.asarray((signs * shape.half) @ shape.axes)


def _turn(angle: float) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])

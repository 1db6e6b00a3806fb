"""Geometry before physics: moves the objects of a scene so that they touch what they stand on and overlap nothing.

A scan is never exact: neighbours overlap by a millimetre, a bottom that was not seen floats or sinks. A solver that
starts from that throws things about, so poses are corrected first, without simulation and by translations only:

1. *lift*: an object sunk into its support rises by exactly the penetration depth, lower objects first;
2. *push*: neighbours overlapping sideways part by the smallest distance, half each, and carry what stands on them;
3. *lower*: what floats comes straight down to contact.

All distances are signed distances between convex shapes (`mj_geomDistance`: GJK outside, EPA inside). With d and n the
distance and normal between two of them, a step of d / (n . u) along u never passes their first contact, because the
slab of width d between them has to be crossed first (conservative advancement, Mirtich 1996); and a step of
depth / (n . u) always ends outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from .mjcf import compile_scene
from .scene import Scene

Float = NDArray[np.float64]

TOUCHING = 1e-6
"""Distance [m] below which two shapes count as touching."""
OVERLAP_TOLERANCE = 1e-5
"""Overlap [m] that is left to the contact solver; its own equilibrium penetration is ten times larger."""
CLEARANCE = 2e-5
"""Gap [m] left between neighbours that were pushed apart: for shapes that touch to the last digit MuJoCo 4.0 may report
a contact centimetres deep (two upright cylinders 1e-10 m inside one another, for instance)."""
SWEEPS = 80
UP = np.array([0.0, 0.0, 1.0])


class Gap(NamedTuple):
    """Signed distance [m] between two groups of shapes (negative inside), unit normal [3] from first to second."""

    distance: float
    normal: Float


class Placement:
    """A compiled scene whose free objects can be shifted without recompiling.

    Attributes:
        model, data: collision shapes only; `data` is at the current poses after `apply`.
        names: unit names: every object (with its parts), then every colliding surface.
        movable: names of the free objects, each after what it stands on.
        shift: total translation [3] in metres of every movable object.
    """

    def __init__(self, scene: Scene) -> None:
        self.model: mujoco.MjModel = compile_scene(scene, visuals=False)
        self.data = mujoco.MjData(self.model)
        self.names = [item.name for item in scene.objects] + [s.name for s in scene.surfaces if s.collides]
        self._index = {name: index for index, name in enumerate(self.names)}
        self._support = {item.name: item.support for item in scene.objects}
        self._horizontal = {s.name for s in scene.surfaces if s.kind in ("floor", "table", "shelf")}
        free = [item.name for item in scene.objects if item.mobility == "free"]
        self.unit_of_geom = self._units_of_geoms(scene)
        self._geoms = [np.flatnonzero(self.unit_of_geom == index) for index in range(len(self.names))]
        self.shift: dict[str, Float] = {name: np.zeros(3) for name in free}
        self.refresh()
        self.movable = sorted(free, key=lambda name: (self._depth(name), self._bottom(name)))

    def _units_of_geoms(self, scene: Scene) -> NDArray[np.int64]:
        """int64 [ngeom]: the unit each colliding geom belongs to, -1 where it collides with nothing."""
        model = self.model
        units = np.full(model.ngeom, -1, dtype=np.int64)
        for geom in range(model.ngeom):
            if not (model.geom_contype[geom] or model.geom_conaffinity[geom]):
                continue
            root = model.body(int(model.body_rootid[model.geom_bodyid[geom]]))
            units[geom] = self._index[root.name if root.id else model.geom(geom).name]
        return units

    def refresh(self) -> None:
        """Recomputes world poses and bounding boxes from `data.qpos`."""
        mujoco.mj_kinematics(self.model, self.data)
        centre = self.model.geom_aabb[:, :3]
        half = self.model.geom_aabb[:, 3:]
        rotation = self.data.geom_xmat.reshape(-1, 3, 3)
        middle = self.data.geom_xpos + np.einsum("gij,gj->gi", rotation, centre)
        extent = np.einsum("gij,gj->gi", np.abs(rotation), half)
        self._low, self._high = middle - extent, middle + extent

    def apply(self) -> None:
        """Writes the shifts into `data.qpos` and runs forward kinematics and collision detection."""
        for name, shift in self.shift.items():
            address = self.model.jnt_qposadr[self.model.joint(f"{name}_joint").id]
            self.data.qpos[address : address + 3] = self.model.qpos0[address : address + 3] + shift
        mujoco.mj_forward(self.model, self.data)
        self.refresh()

    def resolve(self, max_drop: float = 0.03) -> set[str]:
        """Lifts, pushes and lowers until nothing overlaps and nothing floats.

        Args:
            max_drop: largest gap [m] closed by lowering; what hangs higher was held by something the scan did not see.

        Returns:
            Names of the objects that hang higher than `max_drop` above anything, left where they are.
        """
        for _ in range(SWEEPS):
            lifted = [self._lift_from_support(name) for name in self.movable]
            pushed = self._push_apart()
            if max(lifted, default=0.0) <= OVERLAP_TOLERANCE and pushed <= OVERLAP_TOLERANCE:
                break
        hanging: set[str] = set()
        for name in self.movable:
            gap = self.gap_below(name, limit=max_drop)
            if gap is None:
                hanging.add(name)
            elif gap > 0:
                self.move(name, -gap * UP)
        # What stands on a hanging object hangs with it.
        hanging = {name for name in self.movable if hanging & {name, *self._chain(name)}}
        self.apply()
        return hanging

    def move(self, name: str, shift: Float) -> None:
        """Shifts an object, and everything that stands on it, by `shift` [3] metres."""
        for rider in self.movable:
            if rider == name or name in self._chain(rider):
                geoms = self._geoms[self._index[rider]]
                self.shift[rider] = self.shift[rider] + shift
                self.data.geom_xpos[geoms] += shift
                self._low[geoms] += shift
                self._high[geoms] += shift

    def gap(self, first: str, second: str, reach: float) -> Gap | None:
        """Smallest signed distance between the shapes of two units, or None where it exceeds `reach` [m]."""
        a, b = self._geoms[self._index[first]], self._geoms[self._index[second]]
        best: Gap | None = None
        for i, j in self._near(a, b, np.full(3, reach)):
            found = self._distance(i, j, reach)
            if found.distance < reach and (best is None or found.distance < best.distance):
                best = found
        return best

    def gap_below(self, name: str, limit: float) -> float | None:
        """How far [m] an object can sink before it touches something; None if more than `limit`."""
        geoms = self._geoms[self._index[name]]
        riders = {name, *(rider for rider in self.movable if name in self._chain(rider))}
        others = np.concatenate(
            [np.empty(0, np.int64)] + [self._geoms[i] for i, unit in enumerate(self.names) if unit not in riders]
        )
        reach = np.array([TOUCHING, TOUCHING, limit])
        pairs = [(i, j) for i, j in self._near(geoms, others, reach) if self._low[j, 2] < self._high[i, 2]]
        heights = self.data.geom_xpos[geoms, 2].copy()
        sunk, step = 0.0, math.inf
        try:
            for _ in range(SWEEPS):
                step = min((self._descent(i, j, limit) for i, j in pairs), default=math.inf)
                if step <= TOUCHING or sunk + step > limit:
                    break
                sunk += step
                self.data.geom_xpos[geoms, 2] = heights - sunk
        finally:
            self.data.geom_xpos[geoms, 2] = heights
        return sunk if sunk + step <= limit or step <= TOUCHING else None

    def _descent(self, upper: int, lower: int, limit: float) -> float:
        """Safe distance [m] to sink `upper` towards `lower`; infinite where it will pass."""
        distance, normal = self._distance(lower, upper, 2 * limit)
        if distance >= 2 * limit:
            return 2 * limit
        if abs(distance) <= TOUCHING:
            # The normal of a mere touch is undefined: sink a little and see whether that is an overlap.
            probe = 1e-4
            self.data.geom_xpos[upper, 2] -= probe
            blocked = self._distance(lower, upper, probe).distance < -0.2 * probe
            self.data.geom_xpos[upper, 2] += probe
            return 0.0 if blocked else math.inf
        if normal[2] <= 1e-3 or (-OVERLAP_TOLERANCE < distance < 0 and normal[2] < 0.3):
            return math.inf  # beside it, or moving away
        return max(0.0, distance / float(normal[2]))

    def _lift_from_support(self, name: str) -> float:
        """Raises an object that is sunk into its declared support; gives the height [m]."""
        support = self._support[name]
        if support is None or support not in self._index:
            return 0.0
        raised = 0.0
        for _ in range(20):
            gap = self.gap(support, name, TOUCHING)
            if gap is None or gap.distance >= -TOUCHING:
                return raised
            if gap.normal[2] < 0.3:
                break
            step = -gap.distance / float(gap.normal[2])
            self.move(name, step * UP)
            raised += step
        # Sunk so deep that the nearest way out is not up: go above the support, then down to contact.
        mine, theirs = self._geoms[self._index[name]], self._geoms[self._index[support]]
        step = float(self._high[theirs, 2].max() - self._low[mine, 2].min())
        if step <= 0:
            return raised
        self.move(name, step * UP)
        self.move(name, -(self.gap_below(name, limit=step) or 0.0) * UP)
        return raised + step

    def _push_apart(self) -> float:
        """One sweep over all overlapping pairs that are not object and support; gives the deepest overlap met [m]."""
        worst = 0.0
        for index, first in enumerate(self.movable):
            for second in [*self.movable[index + 1 :], *(name for name in self.names if name not in self.shift)]:
                if self._support[first] == second or self._support.get(second) == first:
                    continue
                gap = self.gap(second, first, TOUCHING)
                if gap is None or gap.distance >= 0.0:
                    continue
                beside = abs(float(gap.normal[2])) < 0.1 and gap.distance < -TOUCHING * 1e-3
                if gap.distance < -OVERLAP_TOLERANCE or beside:
                    worst = max(worst, -gap.distance)
                    self._part(first, second, gap)
        return worst

    def _part(self, first: str, second: str, gap: Gap) -> None:
        depth, normal = -gap.distance, gap.normal
        sideways = float(np.hypot(normal[0], normal[1]))
        beside = self._support[first] is not None and self._support[first] == self._support.get(second)
        if abs(normal[2]) > 0.7 and not beside:
            upper = first if normal[2] > 0 else second
            if upper in self.shift:
                self.move(upper, depth / abs(float(normal[2])) * UP)
            return
        if sideways > 0.3:
            direction = np.array([normal[0], normal[1], 0.0]) / sideways
            step = (depth + CLEARANCE) / sideways
        else:
            direction = self._centre(first) - self._centre(second)
            direction[2] = 0.0
            length = float(np.linalg.norm(direction))
            direction = direction / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])
            step = depth + CLEARANCE
        share = 0.5 if second in self.shift else 1.0
        self.move(first, share * step * direction)
        if second in self.shift:
            self.move(second, -share * step * direction)

    def _distance(self, first: int, second: int, reach: float) -> Gap:
        segment = np.zeros((6, 1))
        distance = float(mujoco.mj_geomDistance(self.model, self.data, int(first), int(second), reach, segment))
        normal = np.zeros(3)
        if distance != 0.0 and distance < reach:
            normal = (segment[3:, 0] - segment[:3, 0]) / distance
        return Gap(distance, normal)

    def _near(self, a: NDArray[np.int64], b: NDArray[np.int64], margin: Float) -> Iterable[tuple[int, int]]:
        """Pairs of geoms whose bounding boxes come within `margin` [3] of each other."""
        low = self._low[a][:, None] - margin <= self._high[b][None]
        high = self._high[a][:, None] + margin >= self._low[b][None]
        rows, columns = np.nonzero((low & high).all(axis=2))
        return zip(a[rows].tolist(), b[columns].tolist(), strict=True)

    def _centre(self, name: str) -> Float:
        geoms = self._geoms[self._index[name]]
        centre: Float = (self._low[geoms].min(axis=0) + self._high[geoms].max(axis=0)) / 2
        return centre

    def _bottom(self, name: str) -> float:
        geoms = self._geoms[self._index[name]]
        return float(self._low[geoms, 2].min()) if len(geoms) else 0.0

    def _chain(self, name: str) -> list[str]:
        """What an object stands on, directly and indirectly, nearest first."""
        chain: list[str] = []
        below = self._support.get(name)
        while below is not None and below not in chain:
            chain.append(below)
            below = self._support.get(below)
        return chain

    def _depth(self, name: str) -> int:
        return len(self._chain(name))

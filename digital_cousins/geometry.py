"""Where the things of a scene are and what they touch: what relations are read from.

A node is an object, one of its parts (a drawer), or a surface that collides. Everything comes from the collision shapes
at the poses the scene is stored in, without a step of simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from ..scenes import Scene
from ..scenes.outlines import Outline, body_points, geom_points, outline
from ..scenes.placement import Placement

Array = NDArray[np.float64]

SINK = 0.001
"""What an object meets when it sinks by this [m] bears it: settled contacts are 0.1 mm deep, written ones may gape."""
BEARING = 0.5
"""Least vertical share of a contact normal that bears a load: the wall of a bowl at 60 degrees still does."""
RIM = 0.008
"""A container's rim rises at least so far [m] above the bottom of what is in it; less is the edge of a plate."""
ENCLOSED, COVERED = 0.85, 0.5
"""Share of the horizontal directions in which a container must be hit: open at the top, or under its own roof (a
compartment of a shelf)."""
ROUND = 0.06
"""A plan whose half widths differ by less than this share looks the same from everywhere."""
OBLONG = 1.2
"""Ratio of the sides of a plan from which the longer one tells where the object points."""
_WAYS = np.radians(np.arange(0, 360, 10.0))


@dataclass(frozen=True)
class Bearing:
    """Contacts through which one node bears another.

    Attributes:
        upper, lower: names. gap: smallest signed distance [m]. contacts: their number. middle (3,): their mean [m].
        rise: largest vertical share of their normals, 1 for a level face.
    """

    upper: str
    lower: str
    gap: float
    contacts: int
    middle: Array
    rise: float


@dataclass(frozen=True)
class Enclosure:
    """How a container surrounds something.

    Attributes:
        sides: share of the horizontal directions that are closed, `RIM` above the thing's lowest point.
        roof: the container also covers it. depth: height [m] above its lowest point up to which it is surrounded.
    """

    sides: float
    roof: bool
    depth: float


class SceneGeometry:
    """A compiled scene that answers questions about its nodes.

    Attributes:
        scene: as given. owner: object of every part. outlines: of every node. periods: see `period`.

    Raises:
        SceneError: the scene does not compile.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        # MuJoCo makes no contacts between fixed bodies: here everything is free, and nothing is simulated.
        loose = tuple(item.model_copy(update={"mobility": "free"}) for item in scene.objects)
        self._placement = Placement(scene.model_copy(update={"objects": loose}))
        self.model, self.data = self._placement.model, self._placement.data
        self.owner = {part.name: item.name for item in scene.objects for part in item.parts}
        self.walls = tuple(s.name for s in scene.surfaces if s.kind == "wall" and s.collides)
        points: dict[str, Array] = {}
        for name in [*(item.name for item in scene.objects), *self.owner]:
            points[name] = body_points(self.model, self.data, self.model.body(name).id)
        for surface in scene.surfaces:
            if surface.collides:
                geom = self.model.geom(surface.name).id
                turned = self.data.geom_xmat[geom].reshape(3, 3)
                points[surface.name] = geom_points(self.model, geom) @ turned.T + self.data.geom_xpos[geom]
        self._points = points
        self.outlines: dict[str, Outline] = {name: outline(cloud) for name, cloud in points.items()}
        self.periods = {name: period(cloud, self.outlines[name]) for name, cloud in points.items()}

    def node(self, geom: int) -> str:
        """Name of the object, part or surface a geom belongs to."""
        body = self.model.body(int(self.model.geom_bodyid[geom]))
        return str(body.name if body.id else self.model.geom(geom).name)

    def bearings(self) -> list[Bearing]:
        """Who bears whom: each object alone sinks by `SINK`, and what pushes it up then bears it."""
        found: dict[tuple[str, str], Bearing] = {}
        for item in self.scene.objects:
            for bearing in self._below(item.name):
                found[bearing.upper, bearing.lower] = bearing
        # Interlocked shapes may bear one another: the one with more contacts below counts.
        return [
            b
            for (upper, lower), b in found.items()
            if (back := found.get((lower, upper))) is None or (b.contacts, upper) > (back.contacts, lower)
        ]

    def _below(self, name: str) -> list[Bearing]:
        model, data = self.model, self.data
        height = int(model.joint(f"{name}_joint").qposadr[0]) + 2
        data.qpos[height] -= SINK
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        touches: dict[str, list[tuple[float, Array, float]]] = {}
        contact = data.contact
        for geoms, frame, point, gap in zip(contact.geom, contact.frame, contact.pos, contact.dist, strict=True):
            lower, upper = (self.node(int(g)) for g in (geoms if frame[2] > 0 else geoms[::-1]))
            if upper == name and abs(frame[2]) >= BEARING:
                touches.setdefault(lower, []).append((float(gap) + SINK, point.copy(), abs(float(frame[2]))))
        data.qpos[height] += SINK
        mujoco.mj_kinematics(model, data)
        found = []
        for lower, at in sorted(touches.items()):
            gaps, points, rises = zip(*at, strict=True)
            found.append(Bearing(name, lower, min(gaps), len(at), np.mean(points, axis=0), max(rises)))
        return found

    def gap(self, first: str, second: str, reach: float) -> float | None:
        """Distance [m] between an object and an object or surface, negative inside; None beyond `reach`."""
        found = self._placement.gap(first, second, reach)
        return None if found is None else found.distance

    def com(self, name: str) -> Array:
        """Centre of mass (3,) of an object in the world, without its parts [m]."""
        return np.asarray(self.data.xipos[self.model.body(name).id])

    def enclosure(self, name: str, container: str) -> Enclosure | None:
        """How `container` (an object, or a part) surrounds the object; None where it is not even about it."""
        cloud, shape = self._points[name], self.outlines[container]
        low = float(cloud[:, 2].min())
        foot = cloud[cloud[:, 2] < low + max(0.003, 0.05 * float(np.ptp(cloud[:, 2])))].mean(axis=0)
        if shape.high < low + RIM or shape.low > low + RIM or shape.inside(foot[None, :2])[0] <= 0:
            return None
        geoms = self._of(container)
        around = np.stack([np.cos(_WAYS), np.sin(_WAYS), np.zeros(len(_WAYS))], axis=1)
        levels = np.linspace(low + RIM, max(shape.high - 0.001, low + RIM), 8)
        sides = [float((self._hits(np.array([*foot[:2], z]), around, geoms) >= 0).mean()) for z in levels]
        closed = next((i for i, share in enumerate(sides) if share < ENCLOSED), len(levels))
        up = np.array([[0.0, 0.0, 1.0]])
        roof = bool(self._hits(np.array([*foot[:2], low + RIM]), up, geoms)[0] >= 0)
        return Enclosure(sides[0], roof, float(levels[closed - 1] - low) if closed else 0.0)

    def clear(self, origin: Array, direction: Array, name: str, reach: float) -> tuple[float, str | None]:
        """Free distance [m] from a point along a unit vector to the next thing that is not `name`, and what that is."""
        others = np.setdiff1d(self._solid, self._of(name))
        hits = np.full(1, -1, dtype=np.int32)
        distance = self._hits(origin, direction[None], others, hits)[0]
        return (float(distance), self.node(int(hits[0]))) if 0 <= distance < reach else (reach, None)

    @cached_property
    def _solid(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.model.geom_contype != 0)

    def _of(self, name: str) -> NDArray[np.intp]:
        """Geoms of an object with its parts, of a part, or of a surface."""
        parts = {part for part, owner in self.owner.items() if owner == name}
        return np.array([g for g in self._solid if self.node(int(g)) in {name, *parts}], dtype=np.intp)

    def _hits(
        self, origin: Array, directions: Array, geoms: NDArray[np.intp], hit: NDArray[np.int32] | None = None
    ) -> Array:
        """Distances (n,) from a point along directions (n, 3) to the nearest of some geoms, -1 where none is hit."""
        # MuJoCo filters rays by group only: those that count are group 1 for the moment.
        self.model.geom_group[:] = 0
        self.model.geom_group[geoms] = 1
        group = np.array([0, 1, 0, 0, 0, 0], dtype=np.uint8)
        count = len(directions)
        distance = np.full(count, -1.0)
        ids = np.full(count, -1, dtype=np.int32) if hit is None else hit
        mujoco.mj_multiRay(
            self.model, self.data, origin, directions.ravel(), group, True, -1, ids, distance, None, count, 1e10
        )
        return distance


def period(points: Array, shape: Outline) -> float:
    """The turn [rad] about the vertical after which a plan looks the same: 0 (any turn), pi / 2 or pi.

    Args:
        points: (n, 3) whose convex hull is the object. shape: its outline.
    """
    plan = points[:, :2] - shape.center
    try:
        plan = plan[ConvexHull(plan).vertices]
    except (QhullError, ValueError):  # fewer than three points, or all on one line
        return math.pi
    ways = np.radians(np.arange(0, 360, 5.0))
    widths = (plan @ np.stack([np.cos(ways), np.sin(ways)])).max(axis=0)
    if np.ptp(widths) < ROUND * widths.mean():
        return 0.0
    return math.pi if shape.half[0] > OBLONG * shape.half[1] else math.pi / 2

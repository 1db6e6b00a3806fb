"""Where a robot stands in a scene; an arm: beside the support that holds most of the free objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...scenes import Scene, Surface
from ...scenes.outlines import Outline
from .robot import Arm, Posture, Robot, need_arm

Array = NDArray[np.float64]

GRID = 0.05  # spacing [m] of the places that are tried
MANIPULABLE_WIDTH = 0.25
"""Objects wider than this [m] across their narrow side (furniture) count last when a place is chosen."""
HEIGHTS = (-0.15, 0.45)
"""Range of an object's top above the base [m] within which an arm of the Panda's size works on it."""
_ON_TOP_PENALTY = 0.5  # standing on the table costs as much as half an object


@dataclass(frozen=True)
class Mount:
    """A place for the robot's base.

    Attributes:
        position: (3,) of the base [m]. yaw: direction the robot faces [rad].
        support: name of the surface whose objects it works on.
        pedestal: height [m] of the stand under the base, 0 on a surface.
        in_reach: names of the free objects in reach.
        height: how far [m] above its base the robot is to be seen in pictures.
        posture: how it is mounted and waits there; None: upright, at the robot's own home.
    """

    position: tuple[float, float, float]
    yaw: float
    support: str
    pedestal: float
    in_reach: tuple[str, ...]
    height: float = 0.7
    posture: Posture | None = None

    @property
    def quaternion(self) -> list[float]:
        """Orientation (w, x, y, z) of the base."""
        if self.posture is not None and self.posture.flipped:
            return [0.0, math.cos(self.yaw / 2), math.sin(self.yaw / 2), 0.0]
        return yaw_quaternion(self.yaw)

    @property
    def matrix(self) -> Array:
        """Orientation (3, 3) of the base."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        upright = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        return upright * [1.0, -1.0, -1.0] if self.posture is not None and self.posture.flipped else upright

    def from_base(self, position: Array, rotation: Array) -> tuple[Array, Array]:
        """Poses in the world, (n, 3) and (n, 3, 3), as seen from the base."""
        return (position - self.position) @ self.matrix, self.matrix.T @ rotation


@dataclass(frozen=True)
class Surroundings:
    """What there is around a robot that is to be mounted.

    Attributes:
        scene, model, data: the scene, compiled, at its scanned pose. objects: outline of each object there.
        surfaces: of each surface that collides.
    """

    scene: Scene
    model: mujoco.MjModel
    data: mujoco.MjData
    objects: dict[str, Outline]
    surfaces: dict[str, Outline]


class Mounting(Protocol):
    """How places for a robot are found: tasks choose one."""

    def work(self, scene: Scene) -> tuple[str, ...]:
        """Names of the objects or parts there are to work on."""

    def mounts(self, around: Surroundings, robot: Robot) -> list[Mount]:
        """Places, best first: a pure function of the arguments; empty if there is none."""

    def seen(self, around: Surroundings, mount: Mount) -> Array:
        """Points (n, 3) that a picture of the robot at its place must show."""


class BesideSupport:
    """For an arm that works on free objects."""

    def work(self, scene: Scene) -> tuple[str, ...]:
        """See `Mounting`."""
        return free_objects(scene)

    def mounts(self, around: Surroundings, robot: Robot) -> list[Mount]:
        """See `Mounting` and `find_mounts`."""
        return find_mounts(around.scene, around.objects, around.surfaces, need_arm(robot))

    def seen(self, around: Surroundings, mount: Mount) -> Array:
        """See `Mounting`: the tops of the objects in reach."""
        return np.array([[*around.objects[name].center, around.objects[name].high] for name in mount.in_reach])


def free_objects(scene: Scene) -> tuple[str, ...]:
    """Names of the objects that can be moved."""
    return tuple(item.name for item in scene.objects if item.mobility == "free")


def find_mounts(
    scene: Scene, objects: dict[str, Outline], surfaces: dict[str, Outline], robot: Arm, *, limit: int = 8
) -> list[Mount]:
    """The best places for the robot, best first: a pure function of the scene.

    Supports are tried in the order of how many free objects they hold. A place beside a table wins over one on it, and
    a place is as good as the number of objects in reach of it; among equals the one that has them best centred in its
    reach. The base touches no object, wall or other surface, and the arm at home touches nothing either.

    Args:
        scene: the scene. objects: outline of each object at its scanned pose. surfaces: of each surface that collides.
        robot: the arm. limit: how many places to return at most.

    Returns:
        Up to `limit` places for the first support with any object in reach; empty if there is none.
    """
    supports, holding = on_supports(scene)
    order = sorted(supports, key=lambda name: (-len(holding[name]), supports[name].kind == "floor"))
    for name in order:
        found = _places(supports[name], holding[name], objects, surfaces, robot, limit)
        if found:
            return found
    return []


def on_supports(scene: Scene) -> tuple[dict[str, Surface], dict[str, list[str]]]:
    """The surfaces that carry things, and the names of the free objects on each of them."""
    supports = {s.name: s for s in scene.surfaces if s.kind in ("floor", "table", "shelf") and s.collides}
    holding: dict[str, list[str]] = {name: [] for name in supports}
    for name in free_objects(scene):
        root = _root(scene, name)
        if root in holding:
            holding[root].append(name)
    return supports, holding


def _root(scene: Scene, name: str) -> str | None:
    """The surface an object stands on, through the objects under it."""
    by_name = {item.name: item for item in scene.objects}
    owner = {part.name: item.name for item in scene.objects for part in item.parts}
    seen: set[str] = set()
    support = by_name[name].support
    while support is not None and support not in seen:
        seen.add(support)
        support = owner.get(support, support)
        if support not in by_name:
            return support
        support = by_name[support].support
    return None


def _places(
    support: Surface,
    names: Sequence[str],
    objects: dict[str, Outline],
    surfaces: dict[str, Outline],
    robot: Arm,
    limit: int,
) -> list[Mount]:
    if not names:
        return []
    top = surfaces[support.name].high
    points, penalty = _candidates(support, surfaces[support.name], [objects[name] for name in names], robot)
    centers = np.stack([objects[name].center for name in names])
    heights = np.array([objects[name].high for name in names]) - top
    small = np.array([2 * objects[name].half[1] <= MANIPULABLE_WIDTH for name in names])
    offset = centers[None] - points[:, None]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    near, far = robot.reach
    low, high = (robot.scale * height for height in HEIGHTS)
    reached = (distance >= near) & (distance <= far) & (heights >= low) & (heights <= high)
    direction = offset / np.maximum(distance, 1e-9)[..., None]
    facing = (direction * reached[..., None]).sum(axis=1)
    yaw = np.arctan2(facing[:, 1], facing[:, 0])
    count = np.maximum(reached.sum(axis=1), 1)
    off_middle = (np.abs(distance - (near + far) / 2) * reached).sum(axis=1) / count / (far - near)
    together = np.hypot(facing[:, 0], facing[:, 1]) / count
    score = (reached & small).sum(axis=1) + 0.1 * (reached & ~small).sum(axis=1) - penalty
    score = score - 0.04 * off_middle + 0.04 * together
    found: list[Mount] = []
    for index in np.argsort(-score, kind="stable"):
        if len(found) == limit:
            break
        if not reached[index].any():
            continue
        if any(_close(points[index], mount.position) for mount in found):
            continue
        point, angle = points[index], float(yaw[index])
        beside = penalty[index] == 0 and support.kind != "floor"
        bottom = _floor_under(point, top, surfaces) if beside else top
        others = [o for name, o in surfaces.items() if name != support.name]
        if any(_blocks(point, angle, top, top, other, robot) for other in others):
            continue
        if any(_blocks(point, angle, bottom, top, other, robot) for other in objects.values()):
            continue
        found.append(
            Mount(
                position=(float(point[0]), float(point[1]), top),
                yaw=angle,
                support=support.name,
                pedestal=max(top - bottom, 0.0),
                in_reach=tuple(name for name, ok in zip(names, reached[index], strict=True) if ok),
            )
        )
    return found


def _candidates(support: Surface, plate: Outline, objects: Sequence[Outline], robot: Arm) -> tuple[Array, Array]:
    """Places (n, 2) to try and the penalty (n,) of each."""
    far = robot.reach[1]
    if support.kind == "floor":
        low = np.min([o.center for o in objects], axis=0) - far
        high = np.max([o.center for o in objects], axis=0) + far
        grid = _grid(low, high)
        # A floor ends where the scan ended, not where the real one does: a little outside is still floor.
        grid = grid[plate.distance(grid) < 0.5]
        return grid, np.zeros(len(grid))
    beside = []
    clear = robot.base_radius + 0.01
    for axis in (0, 1):
        run = np.arange(-plate.half[1 - axis], plate.half[1 - axis] + 1e-9, GRID)
        for side in (-1, 1):
            local = np.zeros((len(run), 2))
            local[:, axis] = side * (plate.half[axis] + clear)
            local[:, 1 - axis] = run
            beside.append(local @ plate.axes + plate.center)
    edge = np.concatenate(beside)
    if support.kind == "shelf":
        return edge, np.zeros(len(edge))
    grid = _grid(plate.center - plate.radius, plate.center + plate.radius)
    grid = grid[plate.inside(grid) >= robot.base_radius]
    return np.concatenate([edge, grid]), np.r_[np.zeros(len(edge)), np.full(len(grid), _ON_TOP_PENALTY)]


def _grid(low: Array, high: Array) -> Array:
    xs, ys = (np.arange(a, b + 1e-9, GRID) for a, b in zip(low, high, strict=True))
    return np.stack([g.ravel() for g in np.meshgrid(xs, ys, indexing="ij")], axis=1)


def _blocks(point: Array, yaw: float, bottom: float, base: float, other: Outline, robot: Arm) -> bool:
    """Whether something would touch the base or its stand (from `bottom` up), or the arm at home."""
    low, high = robot.home_heights
    near = other.distance(point[None])[0] < robot.base_radius
    if near and other.high > bottom + 0.005 and other.low < base + high:
        return True
    if other.high < base + low or other.low > base + high:
        return False
    run = np.linspace(0, robot.home_reach, 10)[:, None] * np.array([math.cos(yaw), math.sin(yaw)])
    return bool((other.distance(point + run) < robot.base_radius).any())


def _floor_under(point: Array, top: float, surfaces: dict[str, Outline]) -> float:
    """Height [m] of the highest surface below a place, 0 (the floor of every scene) if there is none."""
    below = [o.high for o in surfaces.values() if o.high < top - 0.02 and o.distance(point[None])[0] == 0]
    return max(below, default=0.0)


def yaw_quaternion(yaw: float) -> list[float]:
    """(w, x, y, z) of a turn about Z [rad]."""
    return [math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]


def _close(point: Array, position: tuple[float, float, float]) -> bool:
    return math.hypot(point[0] - position[0], point[1] - position[1]) < 2 * GRID

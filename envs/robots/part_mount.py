"""Where the robot stands to work on doors, drawers and buttons: in front of them, out of their way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...scenes import Scene
from ...scenes.outlines import Outline, body_points
from .. import rotations
from ..kinematics import InverseKinematics
from .mount import Mount, Surroundings
from .robot import Arm, Robot, need_arm

Array = NDArray[np.float64]

# Distances below are for an arm of the Panda's size; others multiply them by `Arm.scale`.
SHARE, ANGLE, POINTS = 0.8, 0.7, 4
"""The hand must be able to follow a handle over this share of its range, of a door up to this angle [rad]; points of
its path that are tried."""
BELOW = 0.35
"""The base stands so far [m] below the handles, but not below the floor: there the arm reaches forward best."""
ABOVE = 0.06
"""And so far [m] below what is pressed from above."""
_DISTANCES = np.arange(0.40, 0.81, 0.05)
_ANGLES = np.radians([0, 15, -15, 30, -30, 45, -45, 60, -60])
_AROUND = np.radians(np.arange(0, 360, 15.0))
APPROACH = 0.08
"""The hand comes to a handle from so far [m] in front of it."""
_ROOM = 0.15  # to the joint limits [rad]
_TOGETHER = 8
"""Places that are looked at in one batch."""
_TRIED = 40  # places whose kinematics are tried
_MISS = 0.002  # [m], and [rad] * 10
_NEAREST = 0.28  # a handle that comes nearer [m] than this to the base's axis cannot be held any more


class InFrontOfParts:
    """For an arm that works on doors, drawers or buttons."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = tuple(parts)

    def work(self, scene: Scene) -> tuple[str, ...]:
        """See `Mounting`."""
        return self._parts

    def mounts(self, around: Surroundings, robot: Robot) -> list[Mount]:
        """See `Mounting` and `find_part_mounts`."""
        return find_part_mounts(around.model, self._parts, {**around.objects, **around.surfaces}, need_arm(robot))

    def seen(self, around: Surroundings, mount: Mount) -> Array:
        """See `Mounting`: the handles in reach."""
        return np.array([around.data.site(f"{name}_handle").xpos for name in mount.in_reach])


def find_part_mounts(
    model: mujoco.MjModel, parts: Sequence[str], obstacles: Mapping[str, Outline], robot: Arm, *, limit: int = 4
) -> list[Mount]:
    """Places from which handles can be taken and moved, best first: a pure function of the scene.

    A place is as good as the number of handles that the hand can take and follow there, by the arm's kinematics; among
    equals the one whose handles keep best to the middle of the reach. The base stands clear of everything that stands
    there and of what the parts sweep.

    Args:
        model: the compiled scene. parts: names. obstacles: outlines of objects and surfaces. robot: the arm.
        limit: how many places to return at most.
    """
    data = mujoco.MjData(model)
    paths, frames, swept, outward = {}, {}, {}, {}
    for name in parts:
        joint = model.joint(f"{name}_joint")
        end = SHARE * joint.range[1]
        if model.jnt_type[joint.id] == mujoco.mjtJoint.mjJNT_HINGE:
            end = min(end, ANGLE)
        path, turned, cloud = [], [], []
        for position in np.linspace(0, end, POINTS):
            mujoco.mj_resetData(model, data)
            data.qpos[joint.qposadr[0]] = position
            mujoco.mj_kinematics(model, data)
            path.append(data.site(f"{name}_handle").xpos.copy())
            turned.append(data.site(f"{name}_handle").xmat.reshape(3, 3).copy())
            cloud.append(body_points(model, data, model.body(name).id)[:, :2])
        paths[name], frames[name], swept[name] = np.array(path), np.array(turned), np.concatenate(cloud)
        outward[name] = -frames[name][0, :, 2]
    found: list[tuple[float, Mount]] = []
    for name in parts:
        flat = outward[name][2] > 0.7  # pressed from above, from any side
        front = math.atan2(outward[name][1], outward[name][0])
        floor = _floor(obstacles)
        height = max(float(paths[name][:, 2].min()) - robot.scale * (ABOVE if flat else BELOW), floor)
        for distance in robot.scale * _DISTANCES:
            for angle in _AROUND if flat else _ANGLES:
                place = paths[name][0, :2] + distance * np.array([math.cos(front + angle), math.sin(front + angle)])
                if not _clear(place, floor, height, obstacles, swept, robot):
                    continue
                off = {other: _off(place, height, paths[other], outward[other], robot) for other in parts}
                reached = [other for other in parts if off[other] < math.inf]
                if not reached:
                    continue
                middle = np.mean([paths[other][0, :2] for other in reached], axis=0)
                mount = Mount(
                    position=(float(place[0]), float(place[1]), height),
                    yaw=math.atan2(*(middle - place)[::-1]),
                    support=name,
                    pedestal=height - floor,
                    in_reach=tuple(reached),
                )
                found.append((len(reached) - sum(off[other] for other in reached) / len(reached), mount))
    found.sort(key=lambda item: -item[0])
    chosen: list[Mount] = []
    for _, mount in found:
        if len(chosen) < _TRIED and all(math.dist(mount.position, other.position) > 0.08 for other in chosen):
            chosen.append(mount)
    judged: list[tuple[int, Mount]] = []
    for start in range(0, len(chosen), _TOGETHER):
        some = chosen[start : start + _TOGETHER]
        followed = _followed(robot, some, paths, frames)
        judged += [
            (len(kept), replace(mount, in_reach=kept)) for mount, kept in zip(some, followed, strict=True) if kept
        ]
        if sum(count == len(parts) for count, _ in judged) >= limit:
            break
    judged.sort(key=lambda item: -item[0])
    return [mount for _, mount in judged[:limit]]


def _followed(
    robot: Arm, mounts: Sequence[Mount], paths: Mapping[str, Array], frames: Mapping[str, Array]
) -> list[tuple[str, ...]]:
    """For each place the handles in its reach that a hand there can follow, holding them one way or the other."""
    rows = [(member, name) for member, mount in enumerate(mounts) for name in mount.in_reach]
    points, axes = zip(*(mounts[member].from_base(paths[name], frames[name]) for member, name in rows), strict=True)
    count = 2 * len(rows)  # both ways
    solver = InverseKinematics(robot, count)
    joints = np.tile(robot.home, (count, 1))
    good = np.ones(count, dtype=np.bool_)
    low, high = np.array(robot.joint_low) + _ROOM, np.array(robot.joint_high) - _ROOM
    # It comes from outside, follows, and may as well come from outside to where the part stands open.
    for k, away in [(0, APPROACH), *((k, 0.0) for k in range(POINTS)), (POINTS - 1, APPROACH)]:
        turned = np.repeat([each[k] for each in axes], 2, axis=0)
        at = np.repeat([each[k] for each in points], 2, axis=0) - away * turned[:, :, 2]
        turned[1::2] = rotations.half_turned(turned[1::2])
        joints, distance, angle = solver.solve(joints, at, turned)
        good &= (distance + angle / 10 < _MISS) & ((joints > low) & (joints < high)).all(axis=1)
    either = good[::2] | good[1::2]
    return [
        tuple(name for (member, name), fine in zip(rows, either, strict=True) if fine and member == number)
        for number in range(len(mounts))
    ]


def _off(place: Array, height: float, path: Array, outward: Array, robot: Arm) -> float:
    """How far [m] a handle's path is from the best of the robot's reach, infinite if it is out of it."""
    apart = np.hypot(*(path[:, :2] - place).T)
    level = path[:, 2] - height
    flat = outward[2] > 0.7
    # A handle is taken from the side, which reaches further than from above.
    scale = robot.scale
    far, low, high = (robot.reach[1], 0.0, 0.4) if flat else (robot.reach[1] + scale * 0.12, 0.1, 0.75)
    if apart.min() < scale * _NEAREST or apart.max() > far or level.min() < scale * low or level.max() > scale * high:
        return math.inf
    if not flat and (place - path[0, :2]) @ outward[:2] < 0.2:
        return math.inf
    return abs(float(apart.mean()) - scale * 0.52) + 0.3 * abs(float(level.mean()) - scale * (ABOVE if flat else BELOW))


def _floor(obstacles: Mapping[str, Outline]) -> float:
    """Height [m] of the floor: the top of what is wide and lies low."""
    return min((o.high for o in obstacles.values() if o.high < 0.05 and o.radius > 0.5), default=0.0)


def _clear(
    place: Array,
    floor: float,
    height: float,
    obstacles: Mapping[str, Outline],
    swept: Mapping[str, Array],
    robot: Arm,
) -> bool:
    for other in obstacles.values():
        high_enough = other.high > floor + 0.01 and other.low < height + 0.9
        if high_enough and other.distance(place[None])[0] < robot.base_radius:
            return False
    return all(np.hypot(*(cloud - place).T).min() > robot.base_radius + 0.02 for cloud in swept.values())

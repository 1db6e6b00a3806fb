"""Top-down grasps of scanned objects: found by geometry, kept only if the arm reaches them without touching anything.

For an object at rest, horizontal rays measure its width between the fingers in many directions, at several heights and
offsets; an open vessel that is too wide is also tried at its wall. What is left is put to inverse kinematics and to a
collision check of the whole arm with open fingers in the scanned scene, so that "graspable" is said honestly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..scenes.outlines import collision_geoms
from . import rotations
from .kinematics import InverseKinematics
from .robots import PREFIX
from .world import World

Array = NDArray[np.float64]

CLEARANCE = 0.002
"""Free space [m] that must stay on either side between an open pad and the object."""
MAX_MASS = 2.0
"""Heaviest object [kg] that is lifted or pushed: the arm's payload is 3 kg, the hand's friction grip holds less."""
APPROACH = 0.10
"""Height [m] above the grasp from which the hand descends."""
_MIN_WIDTH = 0.003
_TIP_GAP = 0.0015  # between fingertips and the support [m]
_PRESHAPE = 0.026  # opening beyond the width while approaching [m]
_REACH_ERROR = 0.002  # [m], and rad * 10
_TRIED = 32
_SLANT = 0.25  # steepest face gripped, as a slope
_LIMIT_MARGIN = 0.15  # room [rad] to the joint limits along a path


@dataclass(frozen=True)
class Grasp:
    """A top-down grasp, fixed to the object.

    Attributes:
        position: (3,) point between the pads in the object's frame [m].
        axis: (3,) closing direction (the hand's Y) in the object's frame.
        width: distance between the surfaces gripped [m]. opening: of the hand while approaching [m].
    """

    position: Array
    axis: Array
    width: float
    opening: float


@dataclass(frozen=True)
class _Candidate:
    point: Array  # world
    axis: Array  # world, horizontal
    width: float
    score: float


class GraspPlanner:
    """Plans grasps in one world at its scanned poses."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._model = world.model
        self._data = mujoco.MjData(world.model)
        self._solver = InverseKinematics(world.arm, 2 * _TRIED)
        self._robot_geoms = np.array(
            [world.model.body(int(b)).name.startswith(PREFIX) for b in world.model.geom_bodyid], dtype=bool
        )

    def plan(self, name: str, *, lift: float) -> tuple[Grasp | None, str]:
        """The best grasp of a free object that can be raised by `lift` [m], or None and the reason in plain words."""
        world = self._world
        self._pose(np.array(world.arm.home), world.arm.max_opening)
        body = self._model.body(name).id
        mass = float(self._model.body_subtreemass[body])
        if mass > MAX_MASS:
            return None, f"weighs {mass:.2f} kg, more than {MAX_MASS:.1f} kg"
        candidates, narrowest = self._candidates(name, body)
        if not candidates:
            limit = world.arm.max_opening - 2 * CLEARANCE
            if narrowest == np.inf:
                return None, "no pair of opposite faces that the fingers could take from above"
            return None, f"{1e3 * narrowest:.0f} mm wide across its narrow side, the gripper takes {1e3 * limit:.0f} mm"
        return self._first_feasible(body, candidates, lift)

    # -- geometry ------------------------------------------------------------------------------------------------

    def _candidates(self, name: str, body: int) -> tuple[list[_Candidate], float]:
        robot, shape = self._world.arm, self._world.outlines[name]
        geoms = collision_geoms(self._model, body)
        com = self._data.xipos[body]
        limit = robot.max_opening - 2 * CLEARANCE
        lowest = shape.low + robot.pad_tip + _TIP_GAP
        heights = sorted({max(lowest, shape.high - depth) for depth in (0.012, 0.022, 0.034)})
        angles = np.r_[shape.yaw, shape.yaw + np.pi / 2, np.radians(np.arange(0, 180, 15.0))]
        found: list[_Candidate] = []
        narrowest = np.inf
        for z in heights:
            for angle in angles:
                axis = np.array([np.cos(angle), np.sin(angle), 0])
                across = np.array([-axis[1], axis[0], 0])
                run = float(np.abs(shape.axes @ across[:2]) @ shape.half)
                for share in (0.0, 0.3, -0.3, 0.6, -0.6):
                    center = np.array([*(shape.center + share * run * across[:2]), z])
                    sides = self._sides(geoms, center, axis, across, shape.radius + 0.02)
                    if sides is None:
                        continue
                    low, high, slant = sides
                    width = high - low
                    if slant < _SLANT:  # a ray across a corner tells no width
                        narrowest = min(narrowest, width)
                    if _MIN_WIDTH <= width <= limit and slant < _SLANT:
                        point = center + axis * (low + high) / 2
                        found.append(_Candidate(point, axis, width, self._score(point, com, width, limit, slant)))
                if narrowest > 0.05:
                    found += self._walls(geoms, np.array([*shape.center, z]), axis, across, shape.radius + 0.02, com)
        found.sort(key=lambda c: -c.score)
        return found, narrowest

    def _score(self, point: Array, com: Array, width: float, limit: float, slant: float) -> float:
        """Prefers grasps near the centre of mass, square to the faces, with room to spare."""
        return (
            -8.0 * float(np.hypot(*(point - com)[:2]))
            - 3.0 * abs(float(point[2] - com[2]))
            - 0.5 * slant
            - 0.2 * max(width / limit - 0.8, 0.0)
        )

    def _sides(
        self, geoms: Sequence[int], center: Array, axis: Array, across: Array, reach: float
    ) -> tuple[float, float, float] | None:
        """Where the pads would meet the object along `axis` from `center`: lowest, highest, slant of the faces."""
        half = 0.9 * self._world.arm.pad_half_width
        low, high = [], []
        for shift in (0.0, half, -half):
            origin = center + shift * across
            a = self._ray(geoms, origin - reach * axis, axis)
            b = self._ray(geoms, origin + reach * axis, -axis)
            if a < 0 or b < 0:
                if shift == 0.0:
                    return None
                continue
            low.append(a - reach)
            high.append(reach - b)
        # The faces' slant at one side makes the object slide out; at both sides alike it is only turned.
        slant = max(np.ptp(low), np.ptp(high)) / (2 * half) if len(low) > 1 else 0.3
        return min(low), max(high), float(slant)

    def _walls(
        self, geoms: Sequence[int], center: Array, axis: Array, across: Array, reach: float, com: Array
    ) -> list[_Candidate]:
        """Grasps of a vessel's wall, one finger inside, at the two ends of `axis`."""
        down = self._ray(geoms, center + np.array([0, 0, 0.5]), np.array([0, 0, -1.0]))
        if 0 <= down < 0.5 + self._world.arm.pad_tip + 0.003:
            return []  # there is no cavity at the middle
        found = []
        for sign in (1.0, -1.0):
            direction = sign * axis
            inner = self._ray(geoms, center, direction)
            outer = reach - self._ray(geoms, center + reach * direction, -direction)
            width = outer - inner
            if inner > 0.02 and outer < reach and _MIN_WIDTH <= width < 0.03:
                point = center + direction * (inner + outer) / 2
                score = self._score(point, com, width, self._world.arm.max_opening, 0.1)
                found.append(_Candidate(point, axis, width, score))
        return found

    def _ray(self, geoms: Sequence[int], origin: Array, direction: Array) -> float:
        """Distance [m] to the first of the geoms, -1 if there is none."""
        best = -1.0
        for geom in geoms:
            kind = int(self._model.geom_type[geom])
            if kind == mujoco.mjtGeom.mjGEOM_MESH:
                hit = mujoco.mj_rayMesh(self._model, self._data, geom, origin, direction, None)
            else:
                position, matrix = self._data.geom_xpos[geom], self._data.geom_xmat[geom]
                hit = mujoco.mju_rayGeom(position, matrix, self._model.geom_size[geom], origin, direction, kind, None)
            if hit >= 0 and (best < 0 or hit < best):
                best = float(hit)
        return best

    # -- reach and collisions ------------------------------------------------------------------------------------

    def _first_feasible(self, body: int, candidates: Sequence[_Candidate], lift: float) -> tuple[Grasp | None, str]:
        # Spread over directions: many good candidates are near copies of the best one.
        chosen: list[_Candidate] = []
        for candidate in candidates:
            if len(chosen) == _TRIED:
                break
            near = sum(
                float(np.linalg.norm(c.point - candidate.point)) < 0.012 and abs(float(c.axis @ candidate.axis)) > 0.96
                for c in chosen
            )
            if near == 0:
                chosen.append(candidate)
        points = np.repeat([c.point for c in chosen], 2, axis=0)
        axes = np.repeat([c.axis for c in chosen], 2, axis=0)
        axes[1::2] *= -1
        down = np.tile([0.0, 0.0, -1.0], (len(points), 1))
        frames = np.stack([np.cross(axes, down), axes, down], axis=2)
        home = np.tile(self._world.arm.home, (len(points), 1))
        rise = np.array([0, 0, 1.0])
        above, *miss_above = self._solve(home, points + APPROACH * rise, frames)
        at, *miss_at = self._solve(above, points, frames, iterations=40)
        _, *miss_top = self._solve(at, points + max(lift, APPROACH) * rise, frames, iterations=40)
        miss = np.max([d + a / 10 for d, a in (miss_above, miss_at, miss_top)], axis=0)
        reached = miss < _REACH_ERROR
        if not reached.any():
            distance = float(np.hypot(*(points[0] - self._world.base_pos)[:2]))
            return None, f"out of reach, {distance:.2f} m from the robot's base"
        low, high = np.array(self._world.arm.joint_low), np.array(self._world.arm.joint_high)
        room = np.minimum(at - low, high - at)
        # Objects start turned a little, and are carried: room to the joint limits, above all of the last joint, which
        # turns the hand, is worth a few centimetres off the middle.
        margin = np.minimum(room.min(axis=1), 0.5) + np.minimum(room[:, -1], 1.0)
        scores = np.repeat([c.score for c in chosen], 2) + 0.3 * margin
        blocker = "something"
        for index in np.argsort(-scores, kind="stable"):
            if not reached[index]:
                continue
            width = chosen[index // 2].width
            opening = min(width + _PRESHAPE, self._world.arm.max_opening)
            touched = self._touched(at[index], opening) or self._touched(above[index], opening)
            if touched is None:
                rotation = self._data.xmat[body].reshape(3, 3)
                position = rotation.T @ (points[index] - self._data.xpos[body])
                return Grasp(position, rotation.T @ axes[index], width, opening), ""
            blocker = touched
        return None, f"the open hand cannot get around it without touching {blocker}"

    def _solve(
        self, joints: Array, position: Array, rotation: Array, *, iterations: int = 80
    ) -> tuple[Array, Array, Array]:
        """Joint positions for grip poses in the world; see `InverseKinematics.solve`."""
        place, frame = self._world.mount.from_base(position, rotation)
        return self._solver.solve(joints, place, frame, iterations=iterations)

    def reaches(self, paths: Array, frames: Array, opening: float) -> NDArray[np.bool_]:
        """Whether (m,) the arm can follow paths (m, k, 3) in frames (m, 3, 3), touching nothing at the first point."""
        turned = np.repeat(frames[:, None], paths.shape[1], axis=1)
        return self.follows(paths, turned, opening=opening)[0]

    def follows(
        self, paths: Array, frames: Array, *, opening: float, ignore: str = ""
    ) -> tuple[NDArray[np.bool_], str]:
        """Whether (m,) the arm can follow paths (m, k, 3) with frames (m, k, 3, 3), and why the last one cannot.

        It touches nothing at the first point, and nothing at the second but the body called `ignore`.
        """
        found = np.ones(len(paths), dtype=np.bool_)
        low = np.array(self._world.arm.joint_low) + _LIMIT_MARGIN
        high = np.array(self._world.arm.joint_high) - _LIMIT_MARGIN
        reason = "out of the arm's reach on its way"
        for start in range(0, len(paths), 2 * _TRIED):
            part = slice(start, start + 2 * _TRIED)
            joints = np.tile(self._world.arm.home, (len(paths[part]), 1))
            for k in range(paths.shape[1]):
                joints, distance, angle = self._solve(joints, paths[part, k], frames[part, k])
                within = ((joints > low) & (joints < high)).all(axis=1)
                found[part] &= (distance + angle / 10 < _REACH_ERROR) & within
                if k > (1 if ignore else 0):
                    continue
                for row in np.flatnonzero(found[part]):
                    touched = self._touched(joints[row], opening, ignore if k else "")
                    if touched is not None:
                        found[start + row] = False
                        reason = f"the hand cannot get there without touching {touched}"
        return found, reason

    def _touched(self, joints: Array, opening: float, ignore: str = "") -> str | None:
        """Name of something the arm would touch there except the body `ignore`, or None."""
        self._pose(joints, opening)
        mujoco.mj_collision(self._model, self._data)
        contact = self._data.contact
        for (a, b), distance in zip(contact.geom, contact.dist, strict=True):
            if distance < -1e-4 and self._robot_geoms[a] != self._robot_geoms[b]:
                other = b if self._robot_geoms[a] else a
                body = int(self._model.geom_bodyid[other])
                if ignore and self._model.body(body).name == ignore:
                    continue
                return str(self._model.body(body).name if body else self._model.geom(int(other)).name)
        return None

    def _pose(self, joints: Array, opening: float) -> None:
        world, data = self._world, self._data
        data.qpos[:] = world.home_qpos
        data.qpos[world.joint_qpos] = joints
        data.qpos[world.gripper.finger_qpos] = world.arm.finger_positions(opening)
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)


def grasp_frame(grasp_axis: Array) -> Array:
    """Grip frames (n, 3, 3) pointing straight down whose Y follows closing directions (n, 3)."""
    y = grasp_axis.copy()
    y[:, 2] = 0
    y = y / np.maximum(rotations.norm(y), 1e-9)[:, None]
    z = np.zeros_like(y)
    z[:, 2] = -1
    return np.stack([np.cross(y, z), y, z], axis=2)


def home_grip(world: World) -> tuple[Array, Array]:
    """Where (3,) the grip is at home, seen from the robot's base [m], and the closing direction (3,) there."""
    data = mujoco.MjData(world.model)
    data.qpos[:] = world.home_qpos
    mujoco.mj_kinematics(world.model, data)
    grip = data.site_xpos[world.gripper.site] - world.base_pos
    return grip, data.site_xmat[world.gripper.site].reshape(3, 3)[:, 1].copy()


def easy_frame(home: Array, closing: Array, away: Array) -> Array:
    """Grip frames (n, 3, 3) pointing straight down, the last joint turned as at home.

    Args:
        home, closing: (3,) or (n, 3) from `home_grip`. away: (n, 3) where to be, seen from the robot's base [m].
    """
    turn = np.arctan2(away[:, 1], away[:, 0]) - np.arctan2(home[..., 1], home[..., 0])
    c, s = np.cos(turn), np.sin(turn)
    x, y = closing[..., 0], closing[..., 1]
    return grasp_frame(np.stack([c * x - s * y, s * x + c * y, np.zeros(len(away))], axis=1))

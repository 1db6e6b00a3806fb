"""Places the objects of a benchmark scene, apart or in contact, and lets them settle by simulation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ground_truth_room import Room
from .ground_truth_shapes import Blueprint

Float = NDArray[np.float64]

GAP = 0.025
"""Least distance between footprints when objects are placed apart, metres; settling may eat 5 mm of it."""
_SETTLE_SECONDS = 2.0


class Yard:
    """Places the bodies of a compiled model, lets them settle, and reads the truth off."""

    def __init__(self, model: Any, names: list[str], blueprints: list[Blueprint], room: Room) -> None:
        import mujoco

        self._mj = mujoco
        self.model, self.data = model, mujoco.MjData(model)
        self.names, self.blueprints, self.room = names, blueprints, room
        self.bodies = [model.body(name).id for name in names]
        self._address = [int(model.jnt_qposadr[model.body_jntadr[b]]) for b in self.bodies]
        solid = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
        self._geoms = [np.flatnonzero((model.geom_bodyid == b) & solid) for b in self.bodies]
        self._size = [np.ptp(b.solid.vertices, axis=0) for b in blueprints]
        self._offset = [(b.solid.vertices.min(axis=0) + b.solid.vertices.max(axis=0))[:2] / 2 for b in blueprints]
        self._yaw = np.zeros(len(names))
        self._xy = np.zeros((len(names), 2))
        self._z = np.zeros(len(names))
        self.below: list[int | None] = [None] * len(names)

    def apart(self, rng: np.random.Generator) -> bool:
        """Place every object alone, `GAP` from all others."""
        return all(self._put_free(rng, i, range(i)) for i in range(len(self.names)))

    def contact(self, rng: np.random.Generator) -> bool:
        """Place objects beside, on top of and away from each other; at least one pair of each of the first two."""
        beside = stacked = 0
        for i in range(len(self.names)):
            wish = rng.random()
            on_table = [j for j in range(i) if self.below[j] is None]
            if i and (wish < 0.4 or (i >= 2 and not stacked)) and self._put_on(rng, i, on_table):
                stacked += 1
            elif i and (wish < 0.8 or (i >= 1 and not beside)) and self._put_beside(rng, i, on_table):
                beside += 1
            elif not self._put_free(rng, i, range(i)):
                return False
        return beside > 0 and stacked > 0

    def _put_free(self, rng: np.random.Generator, i: int, others: Iterable[int]) -> bool:
        for _ in range(200):
            self._yaw[i] = rng.uniform(-np.pi, np.pi)
            self._xy[i] = self.room.middle + rng.uniform(-1, 1, 2) * self.room.half
            self._z[i] = self.room.height
            if self._inside(i) and all(self._gap(i, j) >= GAP for j in others):
                return True
        return False

    def _put_on(self, rng: np.random.Generator, i: int, candidates: list[int]) -> bool:
        if not self.blueprints[i].stackable:
            return False
        taken = {j for j in self.below if j is not None}
        for j in rng.permutation([j for j in candidates if j not in taken and self.blueprints[j].flat_top]):
            top = np.array(self.blueprints[j].flat_top)
            foot = self._size[i][:2] / 2
            # Its middle stays well inside and most of its foot on top: overhanging a little, as people stack things.
            if self.blueprints[j].category not in ("box", "book") or np.any(np.sort(foot) > 1.05 * np.sort(top)):
                continue
            if self._size[i][2] > 3.5 * min(foot):
                continue  # too slender
            free = np.maximum(top - np.max(foot) * 1.0, 0.0)
            self._yaw[i] = self._yaw[j] + (
                rng.uniform(-np.pi, np.pi) if np.all(top > np.linalg.norm(foot)) else rng.integers(2) * np.pi
            )
            if self._yaw[i] - self._yaw[j] in (0.0, np.pi) and np.any(foot > 1.05 * top):
                self._yaw[i] += np.pi / 2
            shift = rng.uniform(-1, 1, 2) * free
            self._xy[i] = self._xy[j] + self._turn(self._yaw[j]) @ shift - self._turn(self._yaw[i]) @ self._offset[i]
            self._z[i] = self._z[j] + self._size[j][2]
            others = [k for k in range(i) if k != j]
            if all(self._gap(i, k) >= GAP for k in others):
                self.below[i] = int(j)
                return True
        return False

    def _put_beside(self, rng: np.random.Generator, i: int, candidates: list[int]) -> bool:
        self._z[i] = self.room.height
        for _ in range(30):
            j = int(rng.choice(candidates))
            self._yaw[i] = (
                self._yaw[j] + rng.integers(4) * np.pi / 2 if rng.random() < 0.6 else rng.uniform(-np.pi, np.pi)
            )
            way = self._turn(self._yaw[j] + rng.integers(4) * np.pi / 2 + rng.uniform(-0.2, 0.2)) @ np.array([1.0, 0.0])
            far = float(np.linalg.norm(self._size[i][:2]) + np.linalg.norm(self._size[j][:2]))
            near = 0.0
            for _ in range(16):  # bisect on the true distance, down to a few micrometres
                middle = (near + far) / 2
                self._xy[i] = self._xy[j] + middle * way
                near, far = (near, middle) if self._distance(i, j) > 1e-4 else (middle, far)
            self._xy[i] = self._xy[j] + far * way
            neighbours = [k for k in range(i) if k != j]
            if self._inside(i) and all(self._gap(i, k) >= GAP for k in neighbours):
                return True
        return False

    def _turn(self, yaw: float) -> Float:
        return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])

    def _corners(self, i: int) -> Float:
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        local = self._offset[i] + signs * self._size[i][:2] / 2
        return np.asarray(self._xy[i] + local @ self._turn(self._yaw[i]).T)

    def _inside(self, i: int) -> bool:
        return bool(np.all(np.abs(self._corners(i) - self.room.middle) < np.array(self.room.half) + 0.02))

    def _gap(self, i: int, j: int) -> float:
        """A lower bound of the distance between two footprints: the widest separating axis of their rectangles."""
        a, b = self._corners(i), self._corners(j)
        best = -np.inf
        for yaw in (self._yaw[i], self._yaw[i] + np.pi / 2, self._yaw[j], self._yaw[j] + np.pi / 2):
            axis = np.array([np.cos(yaw), np.sin(yaw)])
            pa, pb = a @ axis, b @ axis
            best = max(best, pb.min() - pa.max(), pa.min() - pb.max())
        return float(best)

    def _write(self, lift: float = 0.0) -> None:
        for i, address in enumerate(self._address):
            half = self._yaw[i] / 2
            pose = [*self._xy[i], self._z[i] + lift, np.cos(half), 0, 0, np.sin(half)]
            self.data.qpos[address : address + 7] = pose
        self.data.qvel[:] = 0

    def _distance(self, i: int, j: int, limit: float = 1.0) -> float:
        self._write()
        self._mj.mj_kinematics(self.model, self.data)
        return self.distance_now(i, j, limit)

    def distance_now(self, i: int, j: int, limit: float) -> float:
        """Distance between the collision shapes of two objects where they are, at most `limit`."""
        pairs = ((int(a), int(b)) for a in self._geoms[i] for b in self._geoms[j])
        return float(min(self._mj.mj_geomDistance(self.model, self.data, a, b, limit, None) for a, b in pairs))

    def settle(self) -> bool:
        """Simulate; false if anything fell, slid away, still moves or (apart) came close."""
        self._write()
        for i in range(len(self.names)):  # what stands on something starts a hair above it
            self.data.qpos[self._address[i] + 2] += 2e-4 * (1 + (self.below[i] is not None))
        start = self.data.qpos.copy()
        steps = int(_SETTLE_SECONDS / self.model.opt.timestep)
        for _ in range(steps):
            self._mj.mj_step(self.model, self.data)
        if np.max(np.abs(self.data.qvel)) > 0.005 or not np.all(np.isfinite(self.data.qpos)):
            return False
        self.data.qvel[:] = 0
        self._mj.mj_forward(self.model, self.data)
        for i, address in enumerate(self._address):
            moved = np.linalg.norm(self.data.qpos[address : address + 2] - start[address : address + 2])
            up = self.data.xmat[self.bodies[i]].reshape(3, 3)[2, 2]
            lean = 0.97 if self.blueprints[i].category == "tool" else 0.9998  # tools lie as they like; 1 degree else
            if moved > 0.01 or up < lean:
                return False
        contacts = self.data.contact
        return not len(contacts.dist) or float(contacts.dist.min()) > -1e-3

    def world(self, i: int) -> Float:
        """Vertices [V, 3] of the exact solid where it is."""
        rotation = self.data.xmat[self.bodies[i]].reshape(3, 3)
        return np.asarray(self.blueprints[i].solid.vertices @ rotation.T + self.data.xpos[self.bodies[i]])

    def distances(self, limit: float = 0.05) -> Float:
        """Distances [N, N] between all objects, `limit` where they are farther apart, infinite to themselves."""
        count = len(self.names)
        boxes = [(points.min(axis=0), points.max(axis=0)) for points in map(self.world, range(count))]
        near = np.full((count, count), np.inf)
        for i, (low, high) in enumerate(boxes):
            for j, (other_low, other_high) in enumerate(boxes[:i]):
                apart = float(np.max(np.maximum(low - other_high, other_low - high)))
                near[i, j] = near[j, i] = self.distance_now(i, j, limit) if apart < limit else limit
        return near

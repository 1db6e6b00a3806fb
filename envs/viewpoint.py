"""Where the automatic camera stands: nearly opposite to the robot, with nothing of the room in between."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from .robots.mount import Mount

Array = NDArray[np.float64]

FOVY = 45.0
"""Vertical field of view [degrees]."""


def aim_camera(model: mujoco.MjModel, name: str, mount: Mount, seen: Array) -> None:
    """Puts a camera where no wall hides the robot and the points `seen` (n, 3), nearly opposite to it."""
    base = np.array(mount.position)
    forward = np.array([np.cos(mount.yaw), np.sin(mount.yaw), 0])
    points = np.concatenate([[[*base[:2], base[2] + mount.height], base], seen])
    target = (points.max(axis=0) + points.min(axis=0)) / 2
    radius = float(np.linalg.norm(points - target, axis=1).max()) + 0.12
    distance = radius / np.tan(np.radians(FOVY / 2))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    camera = model.camera(name).id
    best = (-1.0, np.zeros(3))
    for turn in (35, -35, 60, -60, 10, 90, -90, 120, -120):
        for lift in (30, 45, 60):
            a, b = np.radians(turn), np.radians(lift)
            side = np.array([-forward[1], forward[0], 0])
            away = np.cos(b) * (np.cos(a) * forward + np.sin(a) * side) + np.array([0, 0, np.sin(b)])
            free = min(_clear_run(model, data, point, target + distance * away) for point in points)
            if free > best[0] + 1e-6:
                best = (free, target + distance * away)
            if free >= 1.0:
                break
        if best[0] >= 1.0:
            break
    position = best[1] if best[0] > 0 else target + distance * np.array([forward[0], forward[1], 0.7])
    back = (position - target) / np.linalg.norm(position - target)
    right = np.cross([0, 0, 1], back)
    right /= max(float(np.linalg.norm(right)), 1e-9)
    frame = np.stack([right, np.cross(back, right), back], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, frame.ravel())
    model.cam_pos[camera], model.cam_quat[camera] = position, quat


def _clear_run(model: mujoco.MjModel, data: mujoco.MjData, point: Array, eye: Array) -> float:
    """Share of the way from the camera to a point that is free of walls; the objects themselves do not count."""
    ray = point - eye
    hit = np.zeros(1, dtype=np.int32)
    start, share = eye.copy(), 0.0
    for _ in range(8):
        rest = point - start
        found = mujoco.mj_ray(model, data, start, rest, None, 1, -1, hit, None)
        if found < 0 or found >= 0.98:
            return 1.0
        if model.geom_bodyid[hit[0]] == 0 and model.geom_group[hit[0]] != 1:
            return float(np.linalg.norm(start + found * rest - eye) / np.linalg.norm(ray))
        start = start + (found + 1e-3) * rest
        share = float(np.linalg.norm(start - eye) / np.linalg.norm(ray))
    return share

"""HandReorient: finger gaiting with thumb and fingers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ...envs.simulator import Sensors
from ...envs.tasks.hand_reorient import HandReorient, heading, wrapped
from ...errors import TaskError
from .expert import Array, Mask
from .hand import HandExpert


class HandReorientExpert(HandExpert):
    """Thumb and fingers take the cube on opposite faces, turn with it, let go, and take it anew until it is there.

    The fingers' first links stay level: with the palm they are the floor the cube lies on between two holds.
    """

    TAKE, TURN, LET_GO, HOLD = range(4)
    _HOME = np.array([0.114, 0.003])  # where the cube is kept, in the palm's frame [m]
    _LANES = np.array([0.030, 0.013, -0.007, -0.024])  # the fingers' places across the palm [m]
    _THUMB_LANES = (0.020, 0.012)
    _HEIGHTS = np.array([-0.042, -0.036, -0.036, -0.036, -0.036])
    _LIFTED = -0.085  # the thumb comes and goes above the cube: its tip cannot draw back along the palm
    _EDGE = 0.004  # tips keep so far from the cube's corners [m]
    _SQUEEZE, _APART, _BACK = 0.002, 0.004, 0.015  # [m] into the face, near it, and away from it
    _RATE, _AHEAD = 0.06, 0.4  # turn [rad] per step, and how far the wanted turn may lead
    _ARC = 0.5  # turn [rad] in one hold: the thumb's reach across the palm
    _COMING, _CLOSING, _TURNING = 8, 3, 22  # steps of a hold
    _LIFTING, _BACKING, _LEAVING = 3, 4, 11  # steps after letting go
    _REAR = np.array([0.072, 0.016])  # where the thumb waits [m]
    _PART, _SLACK = 0.008, 0.002  # [m]
    _DONE, _STRAYED = 0.1, 0.18  # [rad]

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `HandExpert`."""
        super().__init__(env)
        if not isinstance(self._env.task, HandReorient):
            raise TaskError(f"HandReorientExpert solves task='hand_reorient', not {self._env.task.name!r}")
        self._task: HandReorient = self._env.task
        count = self._env.num_envs
        self._contact = np.zeros((count, 5, 3))  # the tips' goals in the cube's frame while turning
        self._center = np.zeros((count, 2))
        self._yaw, self._from = np.zeros(count), np.zeros(count)
        self._last = np.zeros((count, 5, 3))
        self._again = np.zeros(count, dtype=np.bool_)
        self._posture = np.array(self._hand.cradle.joints)
        self._mobility = np.array(
            [0.0 if j.endswith("_proximal") and "thumb" not in j else 1.0 for j in self._hand.joints]
        )
        self._mobility[self._hand.joints.index("little_arch")] = 0.0
        self._weights = np.array([[1.0, 1.0, 0.5]] + [[1.0, 0.6, 0.15]] * 4)

    def _begin(self, fresh: Mask) -> None:
        """See `Expert`."""
        self._again[fresh] = False

    def _joints(self, sensors: Sensors, joints: Array) -> Array:
        task = self._task
        cube = self._in_palm(sensors, task.place(sensors))
        yaw = heading(sensors["palm_mat"].transpose(0, 2, 1) @ task.frame(sensors))
        left = task.left(sensors) * np.where(sensors["palm_mat"][:, 2, 2] > 0, 1.0, -1.0)
        half = task.object_size()[:, 0] / 2
        taking, turning, leaving, holding = (self.phase == p for p in range(4))

        near = np.where(taking & (self._clock > self._COMING), -self._SQUEEZE, self._APART)
        near = np.where(leaving | holding, self._BACK, near)
        # Turning takes the thumb towards the little finger or away from it: it starts on the other side.
        thumb = np.where(left > 0, *self._THUMB_LANES)
        goal = self._around(cube, yaw, half, near, thumb)
        high = taking & self._again & (self._clock <= self._COMING - 4)
        goal[high, 0, 0] -= 0.008
        goal[high, 0, 2] = self._LIFTED

        wanted = self._yaw + np.clip(left + yaw - self._yaw, -self._RATE, self._RATE)
        wanted = np.clip(wanted, yaw - self._AHEAD, yaw + self._AHEAD)
        self._yaw = np.where(turning, wanted, np.where(holding, self._yaw, yaw))
        drift = np.clip(self._HOME - self._center, -0.01, 0.01) * np.minimum(self._clock / 10, 1.0)[:, None]
        carried = _placed(self._contact, self._center + drift, self._yaw)
        held = turning | holding
        goal[held] = carried[held]

        # Away from the faces, then the thumb up, then back: a thumb that leaves first, or aslant, takes the cube along.
        goal[leaving, 0] = self._last[leaving, 0]
        parting = leaving & (self._clock <= self._LIFTING)
        goal[parting, 1:] = self._last[parting, 1:]
        goal[parting, 1:, 0] += self._PART
        goal[leaving, 0, 0] -= self._SLACK
        goal[leaving & ~parting, 0, 2] = self._LIFTED
        back = leaving & (self._clock > self._BACKING)
        goal[back, 0, :2] = self._REAR
        joints_wanted = self._solver.step(joints, goal, self._posture, task=self._weights, mobility=self._mobility)
        joints_wanted[holding] = sensors["joint_target"][holding]

        taken = taking & (self._clock > self._COMING + self._CLOSING)
        self._contact[taken] = _seen_from(goal, cube[:, :2], yaw)[taken]
        self._center[taken], self._yaw[taken], self._from[taken] = cube[taken, :2], yaw[taken], yaw[taken]
        self._enter(taken, self.TURN)
        turned = np.abs(wrapped(yaw - self._from)) > self._ARC
        over = turning & (np.abs(left) > self._STRAYED) & ((self._clock > self._TURNING) | turned)
        over |= holding & (np.abs(left) > self._STRAYED) & (self._clock > 2)
        self._last[over] = carried[over]
        self._last[over, 0] = self._in_palm(sensors, sensors["tip_pos"][:, 0])[over]
        self._again |= over
        self._enter(over, self.LET_GO)
        self._enter(turning & ~over & (np.abs(left) < self._DONE) & (self._clock > 2), self.HOLD)
        self._enter(leaving & (self._clock > self._LEAVING), self.TAKE)
        return joints_wanted

    def _around(self, cube: Array, yaw: Array, half: Array, near: Array, thumb: Array) -> Array:
        """Goals (n, 5, 3) of the tips at the cube's outline, `near` (n,) [m] off its faces."""
        count = len(yaw)
        turn = wrapped(yaw * 4) / 4  # of the nearest face
        reach = half * (np.abs(np.cos(turn)) + np.abs(np.sin(turn))) - self._EDGE
        lanes = np.concatenate([thumb[:, None], np.tile(self._LANES, (count, 1))], axis=1)
        lanes = np.clip(lanes, (cube[:, 1] - reach)[:, None], (cube[:, 1] + reach)[:, None])
        goal = np.zeros((count, 5, 3))
        for tip in range(5):
            side = -1.0 if tip == 0 else 1.0
            x, normal = _face(cube, yaw, half, lanes[:, tip], side)
            off = self._radius[tip] + near
            goal[:, tip, 0] = x + normal[:, 0] * off
            # Beside a slanted face the fingers, close together, give way by less than the thumb.
            goal[:, tip, 1] = lanes[:, tip] + normal[:, 1] * off * (1.0 if tip == 0 else 0.7)
            goal[:, tip, 2] = self._HEIGHTS[tip]
        return goal


def _face(cube: Array, yaw: Array, half: Array, lane: Array, side: float) -> tuple[Array, Array]:
    """Where (n,) a square's outline is met along X in a lane y (n,), from +X or -X, and the normal (n, 2) there."""
    best, normal = np.full(len(yaw), np.inf), np.zeros((len(yaw), 2))
    for quarter in range(4):
        c, s = np.cos(yaw + quarter * np.pi / 2), np.sin(yaw + quarter * np.pi / 2)
        facing = side * c > 1e-3
        x = side * (half - (lane - cube[:, 1]) * s) / np.where(facing, c, 1.0)
        better = facing & (x < best)
        best = np.where(better, x, best)
        normal[better] = np.stack([c, s], axis=1)[better]
    return cube[:, 0] + side * best, normal


def _placed(points: Array, center: Array, yaw: Array) -> Array:
    """Points (n, 5, 3) of a frame at `center` (n, 2), turned by `yaw` (n,), in the palm's frame."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x, y = points[:, :, 0], points[:, :, 1]
    return np.stack([center[:, :1] + c * x - s * y, center[:, 1:] + s * x + c * y, points[:, :, 2]], axis=2)


def _seen_from(points: Array, center: Array, yaw: Array) -> Array:
    """The inverse of `_placed`."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x, y = points[:, :, 0] - center[:, :1], points[:, :, 1] - center[:, 1:]
    return np.stack([c * x + s * y, -s * x + c * y, points[:, :, 2]], axis=2)

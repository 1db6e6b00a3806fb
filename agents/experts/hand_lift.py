"""HandLift: from above, between the thumb and the other fingers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ...envs import rotations
from ...envs.simulator import Sensors
from ...envs.tasks.hand_lift import HandLift, hand_yaw, wrist_for
from ...errors import TaskError
from .expert import Array
from .hand import HandExpert


class HandLiftExpert(HandExpert):
    """Above the object, down, close each finger until it touches, squeeze, up, hold; again when the object is lost."""

    ABOVE, DOWN, CLOSE, UP = range(4)
    _OPEN = np.array([-0.046, 0.048])  # thumb and fingers open so far [m] from the middle of the pinch
    _LANES = np.array([0.010, 0.026, 0.009, -0.009, -0.026])
    _CLEAR = 0.14  # height [m] of the pinch above the grasp point while travelling
    _CLOSING = 0.0035  # [m] per step
    _SQUEEZE = 0.006  # [m] beyond the first touch
    _TASK = np.array([[1.0, 0.5, 1.0]] * 5)

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `HandExpert`."""
        super().__init__(env)
        if not isinstance(self._env.task, HandLift):
            raise TaskError(f"HandLiftExpert solves task='hand_lift', not {self._env.task.name!r}")
        self._task: HandLift = self._env.task
        count = self._env.num_envs
        self._way = np.zeros((count, 5))  # how far each tip has closed [m]
        self._touched = np.zeros((count, 5), dtype=np.bool_)
        self._yaw = np.zeros(count)
        self._base = np.zeros((count, 3))
        self._mobility = np.ones(len(self._hand.joints))
        self._posture = np.array(self._hand.home)

    def _joints(self, sensors: Sensors, joints: Array) -> Array:
        task, world = self._task, self._env.world
        inverse = np.ascontiguousarray(world.base_mat.T)
        point, axis = task.grasp_point(sensors)
        point = rotations.rotate(inverse, point - world.base_pos)
        axis = rotations.rotate(inverse, axis)
        coming = self.phase == self.ABOVE
        self._yaw[coming] = hand_yaw(axis)[coming]
        px, _, pz = self._hand.pinch
        wrist = wrist_for(point, self._yaw, self._hand.pinch)
        following = self.phase <= self.DOWN
        self._base[following] = wrist[following]
        goal = self._base.copy()
        high = self.phase == self.ABOVE
        goal[high, 2] += self._CLEAR
        goal[self.phase == self.UP, 2] += float(task.settings["height"]) + 0.025

        tips = np.zeros((len(point), 5, 3))
        opened = np.array([self._OPEN[0], *[self._OPEN[1]] * 4])
        inward = np.array([1.0, -1.0, -1.0, -1.0, -1.0])
        force = sensors["tip_force"]
        closing = self.phase == self.CLOSE
        self._way[self.phase < self.CLOSE] = 0.0
        self._touched[self.phase < self.CLOSE] = False
        self._touched |= closing[:, None] & (force > 0.3)
        # Fingers that have not met the object go on, but not beyond the middle.
        moving = closing[:, None] & ~self._touched
        self._way[moving] += self._CLOSING
        self._way = np.minimum(self._way, np.abs(opened))
        squeeze = np.where(self._touched, self._SQUEEZE, 0.0)
        tips[:, :, 0] = px + opened + inward * (self._way + squeeze)
        tips[:, :, 1] = self._LANES
        tips[:, :, 2] = pz
        wanted = self._solver.step(joints, tips, self._posture, task=self._TASK, mobility=self._mobility)
        speed = np.choose(self.phase, [1.0, 0.5, 0.3, 0.5])[:, None]
        base = sensors["joint_pos"][:, :4]
        left = np.concatenate([goal - base[:, :3], (self._yaw - base[:, 3])[:, None]], axis=1)
        limit = self._step[:4] * speed
        wanted[:, :4] = joints[:, :4] + np.clip(
            np.concatenate([goal, self._yaw[:, None]], axis=1) - joints[:, :4], -limit, limit
        )

        near = rotations.norm(left[:, :3])
        flat = np.sqrt(left[:, 0] * left[:, 0] + left[:, 1] * left[:, 1])
        turned = np.abs(left[:, 3])
        down = (self.phase == self.DOWN) & (self._clock > 0)
        self._enter(high & (((flat < 0.004) & (turned < 0.03) & (left[:, 2] < 0.01)) | (self._clock > 60)), self.DOWN)
        self._enter(down & ((near < 0.003) | (self._clock > 30)), self.CLOSE)
        gripped = (force[:, 0] > 1.0) & ((force[:, 1:] > 0.5).sum(axis=1) >= 2)
        self._enter(closing & (self._clock > 1) & ((gripped & (self._clock > 10)) | (self._clock > 25)), self.UP)
        lost = (self.phase == self.UP) & (self._clock > 6) & (wrist[:, 2] < base[:, 2] - 0.04)
        self._enter(lost, self.ABOVE)
        return wanted

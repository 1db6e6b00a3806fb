"""Lift: from above, between the pads."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ...envs import rotations
from ...envs.grasps import APPROACH, grasp_frame
from ...envs.tasks.lift import Lift
from ...errors import TaskError
from .expert import ArmExpert, Array


class LiftExpert(ArmExpert):
    """Above the grasp, down, close, up, hold; tries again when the object slips away."""

    ABOVE, DOWN, CLOSE, UP = range(4)

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        if not isinstance(self._env.task, Lift):
            raise TaskError(f"LiftExpert solves task='lift', not {self._env.task.name!r}")
        self._task: Lift = self._env.task
        self._held = np.zeros((self._env.num_envs, 3))
        self._frame = np.zeros((self._env.num_envs, 3, 3))

    def _decide(self) -> Array:
        sensors, task = self._env.sensors(), self._task
        grip = sensors["grip_pos"]
        point, axis = task.grasp_point(sensors)
        frame = self._easier(grasp_frame(axis), point)
        coming = self.phase <= self.DOWN
        self._frame[coming] = frame[coming]
        self._held[coming] = point[coming]
        goal = self._held.copy()
        above = self.phase == self.ABOVE
        high = point + np.array([0, 0, APPROACH * 0.6])
        goal[above] = self._detour(high)[above]
        rising = self.phase == self.UP
        goal[rising, 2] += float(task.settings["height"]) + 0.025
        speed = np.choose(self.phase, [1.0, 0.4, 0.3, 0.4])
        action, distance, angle = self._towards(goal, self._frame, speed=speed)
        opening = task.look("grasp_opening", task.target)
        shut = np.where(self.phase >= self.CLOSE, -1.0, self._grip(opening))

        left = rotations.norm(high - grip)
        settled = (distance < 0.003) & (angle < 0.02)
        self._enter(above & (((left < 0.004) & (angle < 0.03)) | (self._clock > 90)), self.DOWN)
        down = self.phase == self.DOWN
        self._enter(down & (self._clock > 0) & (settled | (self._clock > 30)), self.CLOSE)
        closing = (self.phase == self.CLOSE) & (self._clock > 0)
        gripped = (sensors["pad_force"] > 2.0).all(axis=1) & (self._clock >= 5)
        self._enter(closing & (gripped | (self._clock > 14)), self.UP)
        lost = rising & (self._clock > 3) & (rotations.norm(point - grip) > 0.05)
        self._enter(lost, self.ABOVE)
        return np.concatenate([action, shut[:, None]], axis=1)

"""PickPlace, Stack, Insert, TidyTable: take from above, carry over everything, lower, let go."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ...envs import rotations
from ...envs.grasps import APPROACH, grasp_frame
from ...envs.tasks.place import RELEASE, PlaceTask
from ...errors import TaskError
from .expert import ArmExpert, Array

_CLEAR = 0.03  # height [m] of what is carried above everything in reach
_STRAIGHT = 0.002  # it comes straight down: no farther [m] to the side
_AWAY = 0.08  # how far [m] the hand draws back upwards


class PlaceExpert(ArmExpert):
    """Above, down, close, up, across, lower, open, back; and again with what is still to be done."""

    ABOVE, DOWN, CLOSE, UP, ACROSS, LOWER, OPEN, BACK, REST = range(9)

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        if not isinstance(self._env.task, PlaceTask):
            raise TaskError(f"PlaceExpert solves tasks of placing, not {self._env.task.name!r}")
        self._task: PlaceTask = self._env.task
        count = self._env.num_envs
        self._rows = np.arange(count)
        self._target = np.zeros(count, dtype=np.int64)
        self._held, self._frame = np.zeros((count, 3)), np.zeros((count, 3, 3))
        self._offset = np.zeros((count, 3))

    def _decide(self) -> Array:
        sensors, task = self._env.sensors(), self._task
        above, down, closing, up, across, lower, opening, back, rest = (self.phase == p for p in range(9))
        # What is taken stays the same until it is let go of, whatever the task asks for next.
        choosing = above | rest
        self._target[choosing] = task.target[choosing]
        target = self._target
        grip, position = sensors["grip_pos"], sensors["object_pos"][self._rows, target]
        point, axis = task.grasp_point(sensors, target)
        frame = self._easier(grasp_frame(axis), point)
        coming = self.phase <= self.DOWN
        self._frame[coming], self._held[coming] = frame[coming], point[coming]
        carried = up | across | lower
        self._offset[carried] = (grip - position)[carried]
        aim = task.spot(sensors, target)
        aim[:, 2] += task.look("stands", target) + RELEASE
        put = aim + self._offset
        high = point + np.array([0, 0, APPROACH * 0.6])
        # Fingers that carry: the bottom of what they hold passes over everything.
        travel = task.look("top") + _CLEAR + task.look("stands", target) + self._offset[:, 2]

        goal = self._held.copy()
        goal[above] = self._detour(high)[above]
        goal[up, 2] = travel[up]
        # Whatever way it was taken, it may be put down in any: turn the hand to where the arm has most room.
        easy = self._easy_frame(put)
        self._frame[across | lower] = easy[across | lower]
        goal[across] = np.concatenate([put[:, :2], travel[:, None]], axis=1)[across]
        goal[lower] = put[lower]
        # What is caught on a rim slides off it only where it is not pressed down.
        beside = lower & (rotations.flat_norm(put - grip) > _STRAIGHT)
        goal[beside, 2] = np.maximum(put, grip)[beside, 2]
        goal[opening] = grip[opening]
        self._held[opening] = grip[opening]
        goal[back | rest, 2] += _AWAY
        speed = np.choose(self.phase, [1.0, 0.4, 0.3, 0.6, 0.8, 0.35, 0.2, 0.6, 0.3])
        action, distance, angle = self._towards(goal, self._frame, speed=speed)
        gap = task.look("grasp_opening", target)
        shut = (self.phase >= self.CLOSE) & (self.phase <= self.LOWER)

        settled = (distance < 0.003) & (angle < 0.02)
        left = rotations.norm(high - grip)
        self._enter(above & (((left < 0.004) & (angle < 0.03)) | (self._clock > 90)), self.DOWN)
        self._enter(down & (settled | (self._clock > 30)), self.CLOSE)
        gripped = (sensors["pad_force"] > 2.0).all(axis=1) & (self._clock >= 5)
        self._enter(closing & (gripped | (self._clock > 14)), self.UP)
        self._enter(up & ((np.abs(goal[:, 2] - grip[:, 2]) < 0.02) | (self._clock > 40)), self.ACROSS)
        flat = rotations.norm((goal - grip) * np.array([1.0, 1.0, 0.0]))
        self._enter(
            across & (((flat < 0.003) & (angle < 0.05) & (np.abs(goal - grip)[:, 2] < 0.02)) | (self._clock > 60)),
            self.LOWER,
        )
        self._enter(lower & (((distance < 0.003) & (self._clock > 3)) | (self._clock > 40)), self.OPEN)
        self._enter(opening & (self._clock > 6), self.BACK)
        self._enter(back & ((distance < 0.01) | (self._clock > 20)), self.REST)
        lost = (up | across | lower) & (self._clock > 3) & (rotations.norm(point - grip) > 0.05)
        again = rest & (self._clock > 4) & ~task.there(sensors, task.target, task.other)
        self._enter(lost | again, self.ABOVE)
        return np.concatenate([action, np.where(shut, -1.0, self._grip(gap))[:, None]], axis=1)

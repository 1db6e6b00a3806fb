"""Push: from behind, with the fingertips."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ...envs import rotations
from ...envs.pushes import STANDOFF, push_frame
from ...envs.tasks.push import Push
from ...errors import TaskError
from .expert import ArmExpert, Array


class PushExpert(ArmExpert):
    """Above a place behind the object, down, push with two fingers, stop at the goal; again when it slips."""

    ABOVE, DOWN, PUSH, REST = range(4)
    _STOP = 0.6  # share of the goal's radius at which pushing stops
    _BACK = 0.02  # the fingers then draw back so far [m]
    # A long thing turns away when it is not pushed at its centre of friction, which nobody knows: push so far [m] to
    # the side for each radian it has turned.
    _STEER = 0.12
    _LONG = 1.25

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        if not isinstance(self._env.task, Push):
            raise TaskError(f"PushExpert solves task='push', not {self._env.task.name!r}")
        self._task: Push = self._env.task
        self._way = np.tile([1.0, 0.0], (self._env.num_envs, 1))
        self._rest = np.zeros((self._env.num_envs, 3))
        self._heading = np.zeros(self._env.num_envs)
        self._radius = float(self._task.settings["radius"])

    def _decide(self) -> Array:
        sensors, task = self._env.sensors(), self._task
        grip, position, target = sensors["grip_pos"], task.place(sensors), task.target
        left, way = rotations.flat_norm(task.goal - position), task.way(sensors)
        # Close to the goal the direction says little: keep the last one.
        turning = (self.phase <= self.DOWN) | (left > 0.03)
        self._way[turning] = way[turning]
        way = self._way
        half, lean = task.look("push_half", target), task.look("push_lean", target)
        sides, low = task.sides(sensors), task.low(position)
        reach = task.extent(sides, way)
        behind = np.concatenate([position[:, :2] - way * (reach + STANDOFF)[:, None], low[:, None]], axis=1)
        frame = self._easier(push_frame(way, lean), behind)
        above, down, pushing = (self.phase == p for p in (self.ABOVE, self.DOWN, self.PUSH))

        goal = behind.copy()
        high = behind + np.array([0, 0, 0.08])
        goal[above] = self._detour(high)[above]
        # Pushing: stay on the line through the object, a little ahead of where the fingers are.
        relative = (grip - position)[:, :2]
        along = (relative * way).sum(axis=1)
        aside = relative - along[:, None] * way
        heading = np.arctan2(sides[:, 0, 1], sides[:, 0, 0])
        self._heading[~pushing] = heading[~pushing]
        turned = (heading - self._heading[:] + np.pi) % (2 * np.pi) - np.pi
        long = half[:, 0] > self._LONG * half[:, 1]
        across = np.stack([-way[:, 1], way[:, 0]], axis=1)
        width = task.extent(sides, across)
        steer = np.clip(np.where(long, self._STEER * turned, 0.0), -0.5 * width, 0.5 * width)
        aside = aside - steer[:, None] * across
        # Fingers that press on the support would stick to it: lift them first.
        free = grip[:, 2] > low - 0.003
        ahead = np.where(free, np.clip(left * 0.5, 0.010, 0.018), 0.0)[:, None] * way
        goal[pushing, :2] = (grip[:, :2] + ahead - 0.6 * aside)[pushing]
        resting = self.phase == self.REST
        goal[resting] = self._rest[resting]
        speed = np.choose(self.phase, [1.0, 0.4, 0.3, 0.3])
        action, distance, angle = self._towards(goal, frame, speed=speed)

        arrived = rotations.norm(high - grip) < 0.012
        self._enter(above & ((arrived & (angle < 0.08)) | (self._clock > 90)), self.DOWN)
        self._enter(down & ((distance < 0.006) | (self._clock > 30)), self.PUSH)
        slipped = (np.hypot(aside[:, 0], aside[:, 1]) > np.maximum(0.035, 0.7 * reach)) | (along > -0.2 * reach)
        self._enter(pushing & slipped, self.ABOVE)
        there = pushing & (left < self._STOP * self._radius)
        self._rest[there] = (grip - np.concatenate([way * self._BACK, np.zeros((len(way), 1))], axis=1))[there]
        self._enter(there, self.REST)
        self._enter(resting & (left > self._radius), self.ABOVE)
        return np.concatenate([action, self._grip(task.look("push_opening", target))[:, None]], axis=1)

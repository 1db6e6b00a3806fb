"""Drawers, doors and buttons: taken by the handle and pulled, or pushed with closed fingers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ...envs import rotations
from ...envs.tasks.part_task import PartTask
from ...errors import TaskError
from .expert import ArmExpert, Array

_BEFORE = 0.10  # distance [m] in front of the handle at which the hand turns to it
_LEAD = {"slide": 0.02, "hinge": 0.06}  # how far [m], [rad] ahead of the part the hand is sent


class PartExpert(ArmExpert):
    """Base: comes to the handle from outside."""

    BEFORE, IN, CLOSE, MOVE = range(4)

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        if not isinstance(self._env.task, PartTask):
            raise TaskError(f"{type(self).__name__} solves tasks with doors, drawers and buttons")
        self._task: PartTask = self._env.task
        self._frame = np.zeros((self._env.num_envs, 3, 3))

    def _ahead(self, position: Array) -> tuple[Array, Array]:
        """Where (n, 3) the handle will be, and the hand's frame there, at joint positions (n,)."""
        place, frame = self._task.handle_at(position)
        flip = self._task.look("flip", self._task.part_index())
        return place, np.where(flip[:, None, None], rotations.half_turned(frame), frame)

    def _lead(self) -> Array:
        """(n,) how far ahead of the part [rad] or [m] the hand is sent."""
        slides = self._task.look("handle_slides", self._task.part_index())
        way = np.sign(self._task.goal[:, 0] - self._task.goal[:, 1])
        return way * np.where(slides, _LEAD["slide"], _LEAD["hinge"])


class PullExpert(PartExpert):
    """To the handle, close, pull it along its path, hold; again when it slips."""

    def _decide(self) -> Array:
        sensors, task = self._env.sensors(), self._task
        handle, frame = task.place(sensors), task.frame(sensors)
        before, inside, closing, moving = (self.phase == p for p in range(4))
        goal = handle.copy()
        goal[before] = (handle - _BEFORE * frame[:, :, 2])[before]
        now, last = task.position(sensors), task.goal[:, 0]
        to = now + self._lead()
        over = np.sign(last - task.goal[:, 1]) * (to - last) > 0
        ahead, turned = self._ahead(np.where(over, last + 0.25 * self._lead(), to))
        goal[moving] = ahead[moving]
        self._frame[~moving] = frame[~moving]
        self._frame[moving] = turned[moving]
        speed = np.choose(self.phase, [1.0, 0.4, 0.3, 0.5])
        action, distance, angle = self._towards(goal, self._frame, speed=speed)
        shut = np.where(self.phase >= self.CLOSE, -1.0, self._grip(np.full(len(goal), 0.06)))

        self._enter(before & (((distance < 0.012) & (angle < 0.05)) | (self._clock > 90)), self.IN)
        self._enter(
            inside & (self._clock > 0) & (((distance < 0.004) & (angle < 0.04)) | (self._clock > 40)), self.CLOSE
        )
        gripped = (sensors["pad_force"] > 2.0).all(axis=1) & (self._clock >= 5)
        self._enter(closing & (self._clock > 0) & (gripped | (self._clock > 14)), self.MOVE)
        lost = moving & (self._clock > 3) & (rotations.norm(handle - sensors["grip_pos"]) > 0.04)
        self._enter(lost, self.BEFORE)
        return np.concatenate([action, shut[:, None]], axis=1)


class PressExpert(PartExpert):
    """In front of it with closed fingers, then push it along its path."""

    def _decide(self) -> Array:
        sensors, task = self._env.sensors(), self._task
        handle, frame = task.place(sensors), task.frame(sensors)
        tip = self._env.world.arm.pad_tip
        before = self.phase == self.BEFORE
        moving = ~before
        goal = handle - (_BEFORE * 0.6 + tip) * frame[:, :, 2]
        ahead, turned = self._ahead(task.position(sensors) + self._lead())
        goal[moving] = (ahead - tip * turned[:, :, 2])[moving]
        speed = np.where(before, 1.0, 0.4)
        action, distance, angle = self._towards(goal, np.where(moving[:, None, None], turned, frame), speed=speed)
        self._enter(before & (((distance < 0.01) & (angle < 0.06)) | (self._clock > 90)), self.MOVE)
        return np.concatenate([action, np.full((len(action), 1), -1.0)], axis=1)

"""What the scripted experts of the hand share.

Each places the five fingertips in the palm's frame, lets inverse kinematics find the finger joints, and asks for the
motion from what the servos were told last.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from ...envs import rotations
from ...envs.simulator import Sensors
from .expert import Array, Expert
from .fingertips import FingertipSolver


class HandExpert(Expert):
    """Base: the way from wanted joints to an action."""

    control_mode: ClassVar[str] = "joint_delta"

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        self._hand = self._env.world.hand
        self._solver = FingertipSolver(self._hand, self._env.num_envs)
        self._radius = np.array(self._hand.tip_radius)
        self._step, self._lead = np.array(self._hand.steps), np.array(self._hand.leads)

    @abstractmethod
    def _joints(self, sensors: Sensors, joints: Array) -> Array:
        """Wanted joints (n, 26); `joints` is what the servos follow now."""

    def _decide(self) -> Array:
        """See `Expert`."""
        sensors = self._env.sensors()
        told, measured = sensors["joint_target"], sensors["joint_pos"]
        wanted = self._joints(sensors, np.clip(told, measured - self._lead, measured + self._lead))
        return np.asarray((wanted - told) / self._step)

    def _in_palm(self, sensors: Sensors, point: Array) -> Array:
        """World points (n, 3) in the palm's frame."""
        offset = rotations.rotate(sensors["palm_mat"].transpose(0, 2, 1), point - sensors["palm_pos"])
        return np.asarray(offset + np.array(self._hand.palm_center))

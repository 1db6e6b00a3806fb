"""Reach: straight to the goal."""

from __future__ import annotations

import numpy as np

from ...envs.grasps import grasp_frame
from .expert import ArmExpert, Array


class ReachExpert(ArmExpert):
    """Towards the goal, pointing down."""

    def _decide(self) -> Array:
        count = self._env.num_envs
        frame = grasp_frame(self._env.task.look("base_mat")[:, :, 1])
        action, _, _ = self._towards(self._env.task.goal, frame, speed=np.full(count, 1.0))
        return np.concatenate([action, np.ones((count, 1))], axis=1)

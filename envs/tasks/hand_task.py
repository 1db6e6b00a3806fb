"""What tasks of the hand share: the state observation and who touches what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..simulator import Array, Sensors
from .task import Task

TOUCH = 0.1
"""Force [N] from which a fingertip counts as touching."""


class HandTask(Task):
    """Base of the tasks of the hand.

    Sensors beside those of the objects (n worlds, world frame): `joint_pos`, `joint_vel` (n, 26), base first; `tip_pos`
    (n, 5, 3) and `tip_force` (n, 5), thumb first; `palm_pos` (n, 3) and `palm_mat` (n, 3, 3): X along the fingers, Y
    towards the thumb, Z out of the back.
    """

    def parts(self, sensors: Sensors) -> dict[str, Array]:
        """See `Task`; positions of tips and target also in the palm's frame."""
        world, rows = self.world, self._rows
        inverse = np.ascontiguousarray(world.base_mat.T)
        palm = sensors["palm_mat"].transpose(0, 2, 1)
        position = self.object_pos(sensors)
        matrix = rotations.from_quaternion(sensors["object_quat"][rows, self.target])
        tips = [rotations.rotate(palm, sensors["tip_pos"][:, k] - sensors["palm_pos"]) for k in range(5)]
        velocity = sensors["object_vel"][rows, self.target]
        return {
            "joint_pos": sensors["joint_pos"],
            "joint_vel": sensors["joint_vel"],
            "tip_contact": (sensors["tip_force"] > TOUCH).astype(np.float64),
            "tip_from_palm": np.concatenate(tips, axis=1),
            "palm_pos": rotations.rotate(inverse, sensors["palm_pos"] - world.base_pos),
            "palm_axes": _two_axes(inverse @ sensors["palm_mat"]),
            "object_from_palm": rotations.rotate(palm, position - sensors["palm_pos"]),
            "object_axes": _two_axes(inverse @ matrix),
            "object_vel": rotations.rotate(inverse, velocity[:, :3]),
            "object_spin": velocity[:, 3:],
            "object_size": self._sizes[self.target],
            "goal": self.goal_part(sensors),
        }

    def goal_part(self, sensors: Sensors) -> Array:
        """What is left to do (n, size), as part of the observation."""
        inverse = np.ascontiguousarray(self.world.base_mat.T)
        return rotations.rotate(inverse, self.goal - self.object_pos(sensors))

    def pinched(self, sensors: Sensors) -> NDArray[np.bool_]:
        """Whether (n,) the thumb and another finger touch something."""
        touching = sensors["tip_force"] > TOUCH
        return np.asarray(touching[:, 0] & touching[:, 1:].any(axis=1))

    def object_matrix(self, sensors: Sensors) -> Array:
        """Orientation (n, 3, 3) of each world's target."""
        return rotations.from_quaternion(sensors["object_quat"][self._rows, self.target])

    def object_size(self) -> Array:
        """Edges (n, 3) of each world's target [m]."""
        return np.asarray(self._sizes[self.target])

    def object_spin(self, sensors: Sensors) -> Array:
        """Angular speed (n,) of each world's target [rad/s]."""
        return rotations.norm(sensors["object_vel"][self._rows, self.target, 3:])


def _two_axes(matrix: Array) -> Array:
    return np.concatenate([matrix[:, :, 0], matrix[:, :, 1]], axis=1)

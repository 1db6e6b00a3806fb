"""What tasks of the hand share: the state observation and who touches what."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..simulator import Array, Sensors
from .object_task import ObjectTask

TOUCH = 0.1
"""Force [N] from which a fingertip counts as touching."""


class HandTask(ObjectTask):
    """Base of the tasks of the hand."""

    robots: ClassVar[str] = "hand"

    def observe(self, sensors: Sensors) -> dict[str, Array]:
        """See `Task`; positions of tips and target also in the palm's frame."""
        palm = sensors["palm_mat"].transpose(0, 2, 1)
        tips = [rotations.rotate(palm, sensors["tip_pos"][:, k] - sensors["palm_pos"]) for k in range(5)]
        velocity = sensors["object_vel"][self._rows, self.target]
        return {
            "joint_pos": sensors["joint_pos"],
            "joint_vel": sensors["joint_vel"],
            "tip_contact": (sensors["tip_force"] > TOUCH).astype(np.float64),
            "tip_from_palm": np.concatenate(tips, axis=1),
            "palm_pos": self.in_base(sensors["palm_pos"]),
            "palm_axes": self.axes_in_base(sensors["palm_mat"]),
            "object_from_palm": rotations.rotate(palm, self.place(sensors) - sensors["palm_pos"]),
            "object_axes": self.axes_in_base(self.frame(sensors)),
            "object_vel": self.turned_to_base(velocity[:, :3]),
            "object_spin": velocity[:, 3:],
            "object_size": self.look("size", self.target),
            "goal": self.goal_part(sensors),
        }

    def goal_part(self, sensors: Sensors) -> Array:
        """What is left to do (n, size), as part of the observation."""
        return self.turned_to_base(self.goal - self.place(sensors))

    def pinched(self, sensors: Sensors) -> NDArray[np.bool_]:
        """Whether (n,) the thumb and another finger touch something."""
        touching = sensors["tip_force"] > TOUCH
        return np.asarray(touching[:, 0] & touching[:, 1:].any(axis=1))

    def object_size(self) -> Array:
        """Edges (n, 3) of each world's target [m]."""
        return np.asarray(self.look("size", self.target))

    def object_spin(self, sensors: Sensors) -> Array:
        """Angular speed (n,) of each world's target [rad/s]."""
        return rotations.norm(sensors["object_vel"][self._rows, self.target, 3:])

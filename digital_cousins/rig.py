"""The `Rig`: what varies around a scene and not in it: camera, robot, delays and noise. Environments apply it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Vec3 = tuple[Finite, Finite, Finite]


MOST_LATENCY = 0.05
"""Longest latency [s]: a control period."""


class Rig(BaseModel):
    """Differences to the rig of the twin; the defaults are none.

    Attributes:
        camera_shift: of the scene's camera, along its own axes [m]. camera_turn: rotation vector in its axes [rad].
        camera_zoom: factor of the tangent of half its field of view.
        mount_shift: of the robot's base along its own X and Y [m], mount_yaw: its turn [rad].
        calibration_shift: what the robot believes of its base is wrong by so much, in its axes [m]; calibration_yaw
            [rad]. Everything that a camera or a tracker tells in its base's frame is off by that.
        stiffness, damping, strength: factors of the gains and of the force limits of the arm's servos.
        latency: actions reach the servos so much later [s], at most a control period.
        joint_noise: standard deviation of measured joint positions [rad]. pose_noise: of measured positions of objects
            and handles [m].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera_shift: Vec3 = (0.0, 0.0, 0.0)
    camera_turn: Vec3 = (0.0, 0.0, 0.0)
    camera_zoom: Positive = 1.0
    mount_shift: tuple[Finite, Finite] = (0.0, 0.0)
    mount_yaw: Finite = 0.0
    calibration_shift: Vec3 = (0.0, 0.0, 0.0)
    calibration_yaw: Finite = 0.0
    stiffness: Positive = 1.0
    damping: Positive = 1.0
    strength: Positive = 1.0
    latency: Annotated[float, Field(ge=0, le=MOST_LATENCY)] = 0.0
    joint_noise: NotNegative = 0.0
    pose_noise: NotNegative = 0.0

    def with_servos_apart(self, times: float) -> Rig:
        """The same with servos that differ from the twin's by so many times as much, their factors as logarithms."""
        gains = {name: getattr(self, name) ** times for name in ("stiffness", "damping", "strength")}
        return self.model_copy(update={**gains, "latency": min(self.latency * times, MOST_LATENCY)})


NO_DIFFERENCE = Rig()
"""That of the twin."""

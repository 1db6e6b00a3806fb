"""What an environment must know of a robot: its model, its named parts, its limits and its home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import mujoco

PREFIX = "robot/"
"""Put before every name of the robot's model when it is attached to a scene; scene names cannot hold a slash."""


PANDA_REACH = 0.68
"""Farthest top-down reach [m] of the Panda: distances chosen for it are scaled by `Robot.scale` for others."""


@dataclass(frozen=True)
class GripTable:
    """How control, opening and finger joints of a gripper belong together, as measured on its model.

    Attributes:
        openings: (m,) distances between the pads [m], rising.
        controls: (m,) what the actuator is told for each, in its own units.
        joints: (m, k) positions of the k finger joints there [rad] or [m].
        gap: distance [m] between the pads' sites along the closing direction when the pads touch.
    """

    openings: tuple[float, ...]
    controls: tuple[float, ...]
    joints: tuple[tuple[float, ...], ...]
    gap: float


@dataclass(frozen=True)
class Robot:
    """A fixed-base arm with a parallel gripper, as an MJCF model with documented sites.

    Two sites are required. `base` is the mounting point: Z up, X forward. `grip` is the point midway between the finger
    pads: Z is the approach direction (out of the hand), Y the closing direction. Position servos drive the arm's joints
    and one actuator drives the fingers. Without a `grip_table` there are two sliding fingers, and the control is their
    mean position [m], half the opening; with one, fingers and control may be of any kind.

    Attributes:
        name: word used in keywords.
        build: makes a fresh editable model whose only top-level body is the base, called `root`.
        arm_joints, finger_joints, arm_actuators, grip_actuator, pads: names in that model (pads: the two pads' geoms).
        home: arm joint positions [rad] an episode starts near, gripper pointing down.
        joint_low, joint_high: position limits [rad]. joint_velocity: speed limits [rad/s].
        max_opening: distance [m] between the open pads.
        grip_control: controls (closed, open) of the gripper's actuator.
        pad_half_width, pad_tip: half the pads' width [m] across the closing direction, and how far [m] the fingertips
            reach beyond the grip site.
        finger_thickness: thickness [m] of a finger along the closing direction.
        base_radius: radius [m] of a vertical cylinder that holds the base and the shoulder.
        reach: horizontal distances (nearest, farthest) [m] from the base's axis where a top-down grasp is easy.
        camera: name of the camera on the wrist.
        root: name of the body that is put in the scene; its frame is that of the site `base`.
        pad_sites, pad_sensors: names of the two pads' sites and of their touch sensors.
        home_reach, home_heights: how far [m] forward the arm reaches at home, and at which heights [m] it is there.
        ceiling: height [m] above the base at which the hand can travel anywhere in its reach.
        grip_table: measured openings, for grippers other than two fingers that slide by half the opening.
    """

    name: str
    build: Callable[[], mujoco.MjSpec]
    arm_joints: tuple[str, ...]
    finger_joints: tuple[str, ...]
    arm_actuators: tuple[str, ...]
    grip_actuator: str
    pads: tuple[str, str]
    home: tuple[float, ...]
    joint_low: tuple[float, ...]
    joint_high: tuple[float, ...]
    joint_velocity: tuple[float, ...]
    max_opening: float
    grip_control: tuple[float, float]
    pad_half_width: float
    pad_tip: float
    finger_thickness: float
    base_radius: float
    reach: tuple[float, float]
    camera: str = "wrist"
    root: str = "base"
    pad_sites: tuple[str, str] = ("left_pad", "right_pad")
    pad_sensors: tuple[str, str] = ("left_pad", "right_pad")
    home_reach: float = 0.45
    home_heights: tuple[float, float] = (0.30, 0.95)
    ceiling: float = 0.45
    grip_table: GripTable | None = None

    @property
    def scale(self) -> float:
        """Size of the arm against the Panda's: distances that were chosen for that one are multiplied by it."""
        return self.reach[1] / PANDA_REACH

    def finger_positions(self, opening: float) -> NDArray[np.float64]:
        """Positions (k,) of the finger joints at a distance [m] between the pads."""
        if self.grip_table is None:
            return np.full(len(self.finger_joints), opening / 2)
        joints = np.array(self.grip_table.joints)
        return np.array([np.interp(opening, self.grip_table.openings, column) for column in joints.T])

    def control_for(self, opening: ArrayLike) -> NDArray[np.float64]:
        """What the gripper's actuator is told for distances [m] between the pads, same shape."""
        wanted = np.asarray(opening, dtype=np.float64)
        if self.grip_table is None:
            return wanted / 2
        return np.asarray(np.interp(wanted, self.grip_table.openings, self.grip_table.controls))

"""What an environment must know of a robot: its model, its named parts, its limits and its home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mujoco

PREFIX = "robot/"
"""Put before every name of the robot's model when it is attached to a scene; scene names cannot hold a slash."""


@dataclass(frozen=True)
class Robot:
    """A fixed-base arm with a parallel gripper, as an MJCF model with documented sites.

    Two sites are required. `base` is the mounting point: Z up, X forward. `grip` is the point midway between the finger
    pads: Z is the approach direction (out of the hand), Y the closing direction. Position servos drive the arm's joints
    and one actuator drives both fingers; its control is the mean finger position [m], half the opening.

    Attributes:
        name: word used in keywords.
        build: makes a fresh editable model whose only top-level body is the base.
        arm_joints, finger_joints, arm_actuators, grip_actuator, pads: names in that model (pads: the two pads' geoms).
        home: arm joint positions [rad] an episode starts near, gripper pointing down.
        joint_low, joint_high: position limits [rad]. joint_velocity: speed limits [rad/s].
        max_opening: distance [m] between the open pads.
        grip_control: control range (closed, open) of the gripper's actuator [m].
        pad_half_width, pad_tip: half the pads' width [m] across the closing direction, and how far [m] the fingertips
            reach beyond the grip site.
        finger_thickness: thickness [m] of a finger along the closing direction.
        base_radius: radius [m] of a vertical cylinder that holds the base and the shoulder.
        reach: horizontal distances (nearest, farthest) [m] from the base's axis where a top-down grasp is easy.
        camera: name of the camera on the wrist.
    """

    name: str
    build: Callable[[], mujoco.MjSpec]
    arm_joints: tuple[str, ...]
    finger_joints: tuple[str, str]
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

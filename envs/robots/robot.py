"""What an environment must know of a robot: its model, its named parts, its limits and its home."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import TaskError

if TYPE_CHECKING:
    import mujoco

PREFIX = "robot/"
"""Put before every name of the robot's model when it is attached to a scene; scene names cannot hold a slash."""


PANDA_REACH = 0.68
"""Farthest top-down reach [m] of the Panda: distances chosen for it are scaled by `Arm.scale` for others."""

JOINT_STEP = 0.1
"""Motion [rad] of an arm's joint per control period of a full action: 2 rad/s at 20 Hz, within every joint's limit."""
JOINT_LEAD = 0.2
"""The target of an arm's servo leads the measured position by so much [rad] at most."""


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
class Posture:
    """How a robot is mounted and waits, where that is the task's choice and not the robot's own.

    Attributes:
        joints: (J,) positions of its joints [m, rad] an episode starts near.
        flipped: whether the base is upside down (turned by pi about its X).
        held: names of joints that stay where they are, whatever the action.
    """

    joints: tuple[float, ...]
    flipped: bool = False
    held: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Robot(ABC):
    """What every robot is to an environment: an MJCF model on a fixed base, joints with a servo each, and a home.

    The site `base` is required: the mounting point, Z up, X forward.

    Class attributes:
        kind: "arm" or "hand"; tasks are for one of them. control_modes: those it takes, the default first.
        sleep: whether objects at rest sleep, or the solver starts warm, which pays for many lasting contacts: see
            `envs.backends.resting`.
        servo_time: time constant [s] of the low-pass filter through which servos follow their targets, which jump once
            a control period.

    Attributes:
        name: word used in keywords.
        build: makes a fresh editable model whose only top-level body is the base, called `root`.
        home: positions of `joints` [rad], of slides [m], an episode starts near.
        joint_low, joint_high: their limits.
        reach: horizontal distances (nearest, farthest) [m] from the base's axis where it works easily.
        camera: name of the camera that moves with the hand.
        root: name of the body that is put in the scene; its frame is that of the site `base`.
    """

    kind: ClassVar[str]
    control_modes: ClassVar[tuple[str, ...]]
    sleep: ClassVar[bool]
    servo_time: ClassVar[float]

    name: str
    build: Callable[[], mujoco.MjSpec]
    home: tuple[float, ...]
    joint_low: tuple[float, ...]
    joint_high: tuple[float, ...]
    reach: tuple[float, float]
    camera: str = "wrist"
    root: str = "base"

    @property
    @abstractmethod
    def joints(self) -> tuple[str, ...]:
        """Names (J,) of the joints that actions move one by one."""

    @property
    @abstractmethod
    def actuators(self) -> tuple[str, ...]:
        """Names (J,) of their position servos."""

    @property
    @abstractmethod
    def steps(self) -> tuple[float, ...]:
        """Motion (J,) of each joint per control period of a full action of `joint_delta`."""

    @property
    @abstractmethod
    def leads(self) -> tuple[float, ...]:
        """How far (J,) each servo's target may lead the measured position."""

    @property
    def other_joints(self) -> dict[str, float]:
        """Joints that no action moves one by one, a gripper's fingers, and where they start."""
        return {}

    @property
    def other_actuators(self) -> dict[str, float]:
        """Actuators beside the joints' servos, a gripper's, each with an action of its own, and what they are told at
        the start."""
        return {}

    def other_targets(self, action: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the other actuators (A,) are told, in their own units, for actions (m, A) in [-1, 1]."""
        return action


@dataclass(frozen=True, kw_only=True)
class Arm(Robot):
    """An arm with a parallel gripper.

    Beside the site `base` it has the site `grip`, the point midway between the finger
    pads: Z is the approach direction (out of the hand), Y the closing direction. Position servos drive the arm's joints
    and one actuator drives the fingers. Without a `grip_table` there are two sliding fingers, and the control is their
    mean position [m], half the opening; with one, fingers and control may be of any kind.

    Attributes:
        arm_joints, finger_joints, arm_actuators, grip_actuator, pads: names in the model (pads: the two pads' geoms).
        joint_velocity: speed limits [rad/s]. At `home` the gripper points down; in `reach` a top-down grasp is easy.
        max_opening: distance [m] between the open pads.
        grip_control: controls (closed, open) of the gripper's actuator.
        pad_half_width, pad_tip: half the pads' width [m] across the closing direction, and how far [m] the fingertips
            reach beyond the grip site.
        finger_thickness: thickness [m] of a finger along the closing direction.
        base_radius: radius [m] of a vertical cylinder that holds the base and the shoulder.
        pad_sites, pad_sensors: names of the two pads' sites and of their touch sensors.
        home_reach, home_heights: how far [m] forward the arm reaches at home, and at which heights [m] it is there.
        ceiling: height [m] above the base at which the hand can travel anywhere in its reach.
        grip_table: measured openings, for grippers other than two fingers that slide by half the opening.
    """

    kind: ClassVar[str] = "arm"
    control_modes: ClassVar[tuple[str, ...]] = ("ee_delta", "ee_delta_pos", "joint_delta", "joint_pos")
    sleep: ClassVar[bool] = True
    servo_time: ClassVar[float] = 0.02

    arm_joints: tuple[str, ...]
    finger_joints: tuple[str, ...]
    arm_actuators: tuple[str, ...]
    grip_actuator: str
    pads: tuple[str, str]
    joint_velocity: tuple[float, ...]
    max_opening: float
    grip_control: tuple[float, float]
    pad_half_width: float
    pad_tip: float
    finger_thickness: float
    base_radius: float
    pad_sites: tuple[str, str] = ("left_pad", "right_pad")
    pad_sensors: tuple[str, str] = ("left_pad", "right_pad")
    home_reach: float = 0.45
    home_heights: tuple[float, float] = (0.30, 0.95)
    ceiling: float = 0.45
    grip_table: GripTable | None = None

    @property
    def joints(self) -> tuple[str, ...]:
        """See `Robot`."""
        return self.arm_joints

    @property
    def actuators(self) -> tuple[str, ...]:
        """See `Robot`."""
        return self.arm_actuators

    @property
    def steps(self) -> tuple[float, ...]:
        """See `Robot`."""
        return (JOINT_STEP,) * len(self.arm_joints)

    @property
    def leads(self) -> tuple[float, ...]:
        """See `Robot`."""
        return (JOINT_LEAD,) * len(self.arm_joints)

    @property
    def other_joints(self) -> dict[str, float]:
        """See `Robot`: the fingers, open."""
        return dict(zip(self.finger_joints, self.finger_positions(self.max_opening).tolist(), strict=True))

    @property
    def other_actuators(self) -> dict[str, float]:
        """See `Robot`: the gripper's, open."""
        return {self.grip_actuator: self.grip_control[1]}

    def other_targets(self, action: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Robot`: -1 closes the gripper, +1 opens it."""
        closed, opened = self.grip_control
        return np.asarray(closed + (opened - closed) * (action + 1) / 2)

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


def need_arm(robot: Robot) -> Arm:
    """The robot as an arm.

    Raises:
        TaskError: it is none.
    """
    if not isinstance(robot, Arm):
        raise TaskError(
            f"robot={robot.name!r} is a {robot.kind}; here an arm with a gripper is needed, such as 'panda'"
        )
    return robot

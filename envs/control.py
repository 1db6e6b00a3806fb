"""Control modes: what an action means, and the servo targets it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import TaskError
from . import rotations
from .kinematics import InverseKinematics
from .simulator import Sensors
from .world import World

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

CONTROL_MODES = ("ee_delta", "ee_delta_pos", "joint_delta", "joint_pos")
"""All there are; `Robot.control_modes` says which a robot takes."""

POSITION_STEP = 0.025
"""Translation [m] per control period of a full action: 0.5 m/s at 20 Hz."""
ROTATION_STEP = 0.15
"""Rotation [rad] per control period of a full action: 3 rad/s at 20 Hz."""

LOAD = 20.0
"""Weight [N] whose effect on a resting arm the targets make up for."""
_LEVER = 0.15  # [m] at which it may hang beside the grip
_SHIFT, _TURN = 0.002, 0.3  # how far [m], [rad] the target pose may be from where the joint targets would bring the arm


class Controller(Protocol):
    """Turns actions into servo targets for joints and gripper; keeps its targets between steps."""

    action_size: int

    def reset(self, ids: Ids, sensors: Sensors) -> None:
        """Starts worlds `ids` (m,) from what their sensors say."""

    def assign(self, ids: Ids, members: Ids) -> None:
        """Gives worlds `ids` (m,), which are about to be reset, the scenes `members` (m,)."""

    def target(self, ids: Ids, action: Array, sensors: Sensors) -> Array:
        """Targets (m, J + A), joints then other actuators, for actions (m, action_size) and all worlds' sensors."""

    def get_state(self) -> dict[str, Array]:
        """The live arrays that carry over between steps, one row a world."""


def make_controller(mode: str, worlds: Sequence[World], num_envs: int, num_threads: int) -> Controller:
    """The controller of `mode`, of worlds that may have any of several scenes.

    Raises:
        TaskError: there is no such mode; the message lists those there are.
    """
    if mode == "ee_delta":
        return EndEffectorDelta(worlds, num_envs, num_threads)
    if mode == "ee_delta_pos":
        return EndEffectorDeltaPosition(worlds, num_envs, num_threads)
    if mode == "joint_delta":
        return JointDelta(worlds[0], num_envs)
    if mode == "joint_pos":
        return JointPosition(worlds[0])
    raise TaskError(f"control_mode={mode!r} is not known; choose one of {list(CONTROL_MODES)}")


class JointDelta:
    """`joint_delta`: a motion of each joint, each in [-1, 1], then the gripper, if there is one.

    The target moves by `Robot.steps` times the action and stays within `Robot.leads` of the measured position: a
    blocked joint neither winds up nor presses without bound. The gripper's action is absolute: -1 closes, +1 opens.
    Joints that the task holds stay where they are.
    """

    def __init__(self, world: World, num_envs: int) -> None:
        self._world = world
        self._low, self._high = np.array(world.robot.joint_low), np.array(world.robot.joint_high)
        self._step, self._lead = np.array(world.robot.steps), np.array(world.robot.leads)
        self._joints = np.zeros((num_envs, len(world.home)))
        self.action_size = len(world.joint_ctrl) + len(world.other_ctrl)

    def reset(self, ids: Ids, sensors: Sensors) -> None:
        """See `Controller`."""
        self._joints[ids] = sensors["joint_pos"][ids]

    def assign(self, ids: Ids, members: Ids) -> None:
        """See `Controller`: the robot is the same in all scenes."""

    def target(self, ids: Ids, action: Array, sensors: Sensors) -> Array:
        """See `Controller`."""
        count, measured = len(self._step), sensors["joint_pos"][ids]
        joints = self._joints[ids] + self._step * action[:, :count]
        joints = np.clip(joints, measured - self._lead, measured + self._lead)
        joints = np.clip(joints, self._low, self._high)
        joints = np.where(self._world.held, self._world.home, joints)
        self._joints[ids] = joints
        return np.concatenate([joints, self._world.robot.other_targets(action[:, count:])], axis=1)

    def get_state(self) -> dict[str, Array]:
        """See `Controller`."""
        return {"joints": self._joints}


class JointPosition:
    """`joint_pos`: a position of each joint, each in [-1, 1] between the joint's limits, then the gripper, if any.

    The target stays within `Robot.leads` of the measured position, which limits the speed. The gripper's action is
    absolute: -1 closes, +1 opens. Joints that the task holds stay where they are.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._low, self._high = np.array(world.robot.joint_low), np.array(world.robot.joint_high)
        self._lead = np.array(world.robot.leads)
        self.action_size = len(world.joint_ctrl) + len(world.other_ctrl)

    def reset(self, ids: Ids, sensors: Sensors) -> None:
        """See `Controller`: nothing carries over."""

    def assign(self, ids: Ids, members: Ids) -> None:
        """See `Controller`: the robot is the same in all scenes."""

    def target(self, ids: Ids, action: Array, sensors: Sensors) -> Array:
        """See `Controller`."""
        count, measured = len(self._lead), sensors["joint_pos"][ids]
        joints = self._low + (self._high - self._low) * (action[:, :count] + 1) / 2
        joints = np.clip(joints, measured - self._lead, measured + self._lead)
        joints = np.where(self._world.held, self._world.home, joints)
        return np.concatenate([joints, self._world.robot.other_targets(action[:, count:])], axis=1)

    def get_state(self) -> dict[str, Array]:
        """See `Controller`: nothing carries over."""
        return {}


class EndEffectorDelta:
    """`ee_delta`: (dx, dy, dz, drx, dry, drz, gripper), each in [-1, 1], in the axes of the robot's base.

    The target pose moves by `POSITION_STEP` and turns by a rotation vector of `ROTATION_STEP` times the action. Joint
    targets follow it by damped least squares on the kinematics of the *target*, not of the measured arm, so that load
    and lag do not make it drift. The gripper's action is absolute: -1 closes, +1 opens.

    The target of a servo leads its joint by the servo's lag times the joint's speed, and by as much as a load of `LOAD`
    bends it. Where it leads by more at the end of a control period, something is in the way, and the target comes back:
    a blocked arm does not wind up, and once it is told to stay it presses with about `LOAD`.
    """

    action_size = 7

    def __init__(self, worlds: Sequence[World], num_envs: int, num_threads: int) -> None:
        self._world = world = worlds[0]
        self._solver = InverseKinematics(world.arm, num_envs, num_threads)
        self._places = np.stack([each.base_pos for each in worlds])
        self._bases = np.stack([each.base_mat.T for each in worlds])
        self._place, self._base = (np.repeat(each[:1], num_envs, axis=0) for each in (self._places, self._bases))
        self._joints = np.zeros((num_envs, len(world.home)))
        self._position = np.zeros((num_envs, 3))
        self._rotation = np.zeros((num_envs, 3, 3))
        self._lag, stiffness = _servos(world)
        self._slack = LOAD * (self._solver.levers() + _LEVER) / stiffness

    def reset(self, ids: Ids, sensors: Sensors) -> None:
        """See `Controller`."""
        self._joints[ids] = sensors["joint_pos"][ids]
        self._position[ids] = rotations.rotate(self._base[ids], sensors["grip_pos"][ids] - self._place[ids])
        self._rotation[ids] = self._base[ids] @ sensors["grip_mat"][ids]

    def assign(self, ids: Ids, members: Ids) -> None:
        """See `Controller`."""
        self._place[ids], self._base[ids] = self._places[members], self._bases[members]

    def target(self, ids: Ids, action: Array, sensors: Sensors) -> Array:
        """See `Controller`."""
        led = sensors["joint_pos"][ids] + self._lag * sensors["joint_vel"][ids]
        joints = np.minimum(np.maximum(self._joints[ids], led - self._slack), led + self._slack)
        at, turned = self._solver.pose(ids, joints)
        position, rotation = self._position[ids] - at, self._rotation[ids]
        shift = position * _shrink(position, _SHIFT)
        turn = rotations.to_vector(rotation @ turned.transpose(0, 2, 1))
        kept = _shrink(turn, _TURN)
        turn = turn * kept
        far = np.flatnonzero(kept < 1.0)
        if len(far):
            rotation[far] = rotations.from_vector(turn[far]) @ turned[far]
        shift += POSITION_STEP * action[:, :3]
        more = ROTATION_STEP * action[:, 3:6]
        joints = self._solver.step(ids, joints, at, np.concatenate([shift, turn + more], axis=1))
        self._joints[ids], self._position[ids] = joints, at + shift
        self._rotation[ids] = rotations.orthonormal(rotations.from_vector(more) @ rotation)
        return np.concatenate([joints, self._world.robot.other_targets(action[:, 6:])], axis=1)

    def get_state(self) -> dict[str, Array]:
        """See `Controller`."""
        return {"joints": self._joints, "position": self._position, "rotation": self._rotation}


class EndEffectorDeltaPosition(EndEffectorDelta):
    """`ee_delta_pos`: (dx, dy, dz, gripper) as in `ee_delta`; the hand keeps the orientation that it starts with."""

    action_size = 4

    def __init__(self, worlds: Sequence[World], num_envs: int, num_threads: int) -> None:
        super().__init__(worlds, num_envs, num_threads)
        self._kept = np.zeros((num_envs, 3, 3))

    def reset(self, ids: Ids, sensors: Sensors) -> None:
        """See `Controller`."""
        super().reset(ids, sensors)
        self._kept[ids] = self._rotation[ids]

    def target(self, ids: Ids, action: Array, sensors: Sensors) -> Array:
        """See `Controller`."""
        self._rotation[ids] = self._kept[ids]
        return super().target(ids, np.insert(action, [3, 3, 3], 0.0, axis=1), sensors)

    def get_state(self) -> dict[str, Array]:
        """See `Controller`."""
        return {**super().get_state(), "kept": self._kept}


def _servos(world: World) -> tuple[Array, Array]:
    """Of each of the robot's joints, its servo's lag (J,) [s] at constant speed, and its stiffness (J,) [N m / rad].

    As the data sheet says: that a cousin's arm has other gains, nobody tells the controller. The servo's filter is left
    out: targets jump at the start of a control period, on average half of one early, and that is about as much.
    """
    model, servos, rig = world.model, world.joint_ctrl, world.rig
    stiffness = model.actuator_gainprm[servos, 0] / rig.stiffness
    damping = model.dof_damping[world.joint_dof] - model.actuator_biasprm[servos, 2] / rig.damping
    return damping / stiffness, stiffness


def _shrink(vector: Array, longest: float) -> Array:
    """Factors (m, 1) that bring vectors (m, 3) to at most `longest`."""
    return np.asarray((longest / np.maximum(rotations.norm(vector), longest))[:, None])

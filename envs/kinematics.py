"""Inverse kinematics of many arms at once, by damped least squares on a model of the robot alone.

All poses are in the frame of the robot's base: wherever arms stand, one model serves them all.
"""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from . import rotations
from .columns import columns
from .robots.robot import Arm

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

_DAMPING = 0.04
_POSTURE_GAIN = 0.05
_LIMIT_MARGIN = 0.01
_MANY = 128
_CONVERGED = 1e-8  # [m], [rad]


class InverseKinematics:
    """Damped least squares for `num_envs` arms.

    dq = z + J'(J J' + d^2 I)^-1 (e - J z), z pulling the free elbow towards home (Nakamura and Hanafusa, "Inverse
    kinematic solutions with singularity robustness", 1986).
    """

    def __init__(self, robot: Arm, num_envs: int, num_threads: int = 1) -> None:
        """Makes the model.

        Args:
            robot: the arm. num_envs, num_threads: of the batch.
        """
        model = _arm_model(robot)
        # Little work: waking threads for it pays for many arms only.
        self._batch = Batch(model, num_envs, nthread=num_threads if num_envs >= _MANY else 1)
        self._qpos = self._batch.bind("qpos")
        self._site_pos, self._site_mat = self._batch.bind("site_xpos"), self._batch.bind("site_xmat")
        self._site = model.site("grip").id
        self._anchors, self._axes = self._batch.bind("xanchor"), self._batch.bind("xaxis")
        self._hinges = columns(np.array([int(model.joint(name).id) for name in robot.arm_joints]))
        self._places = np.array([int(model.joint(name).qposadr[0]) for name in robot.arm_joints])
        self._low = np.array(robot.joint_low) + _LIMIT_MARGIN
        self._high = np.array(robot.joint_high) - _LIMIT_MARGIN
        self._step = np.array(robot.joint_velocity) * 0.05
        self._home = np.array(robot.home)
        self._damping = _DAMPING**2 * np.eye(6)

    def pose(self, ids: Ids, joints: Array) -> tuple[Array, Array]:
        """Grip positions (m, 3) and frames (m, 3, 3) at joint positions (m, joints)."""
        self._qpos[ids[:, None], self._places] = joints
        self._batch.forward(ids, stage=int(mujoco.mjtStage.mjSTAGE_POS))
        return self._site_pos[ids, self._site], self._site_mat[ids, self._site].reshape(-1, 3, 3)

    def levers(self) -> Array:
        """How far (joints,) the grip is from each joint's axis at home [m]."""
        first = np.zeros(1, dtype=np.int64)
        at, _ = self.pose(first, self._home[None])
        return np.asarray(np.linalg.norm(self._transposed(first, at)[0, :, :3], axis=1))

    def step(self, ids: Ids, joints: Array, at: Array, error: Array, *, posture: float = _POSTURE_GAIN) -> Array:
        """One step of joint positions (m, joints), whose `pose` is just computed, within limits and speed.

        Args:
            ids, joints: what `pose` was called with. at: grip positions (m, 3) that it gave.
            error: (m, 6) wanted shift [m] and rotation vector [rad] of the grip.
            posture: share of the way home that the free elbow goes.
        """
        transposed = self._transposed(ids, at)
        jacobian = np.ascontiguousarray(transposed.transpose(0, 2, 1))
        pull = posture * (self._home - joints)
        normal = jacobian @ transposed + self._damping
        rest = error[:, :, None] - jacobian @ pull[:, :, None]
        change = pull + (transposed @ np.linalg.solve(normal, rest))[:, :, 0]
        excess = np.max(np.abs(change) / self._step, axis=1)
        change = change / np.maximum(excess, 1.0)[:, None]
        return np.asarray(np.minimum(np.maximum(joints + change, self._low), self._high))

    def _transposed(self, ids: Ids, at: Array) -> Array:
        """J' (m, joints, 6) of the grip at points (m, 3): all joints are hinges."""
        axis, apart = self._axes[ids][:, self._hinges], at[:, None] - self._anchors[ids][:, self._hinges]
        (x, y, z), (a, b, c) = axis.transpose(2, 0, 1), apart.transpose(2, 0, 1)
        found = np.empty((*axis.shape[:2], 6))
        found[:, :, 0], found[:, :, 1], found[:, :, 2] = y * c - z * b, z * a - x * c, x * b - y * a
        found[:, :, 3:] = axis
        return found

    def solve(
        self, joints: Array, position: Array, rotation: Array, *, iterations: int = 80
    ) -> tuple[Array, Array, Array]:
        """Joint positions (m, joints) reaching grip poses, and the errors left, [m] and [rad] (m,); m <= num_envs."""
        ids, half = np.arange(len(joints)), iterations // 2
        for count in range(iterations):
            at, turned = self.pose(ids, joints)
            turn = rotations.to_vector(rotation @ turned.transpose(0, 2, 1))
            error = np.concatenate([position - at, turn], axis=1)
            if count > half and np.abs(error).max() < _CONVERGED:
                break
            joints = self.step(ids, joints, at, error, posture=0.02 if count < half else 0.0)
        at, turned = self.pose(ids, joints)
        angle = rotations.norm(rotations.to_vector(rotation @ turned.transpose(0, 2, 1)))
        return joints, rotations.norm(position - at), angle


def _arm_model(robot: Arm) -> mujoco.MjModel:
    """The robot alone, its base at the origin, with nothing that kinematics do not need."""
    spec = robot.build()
    spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    for parts in (spec.geoms, spec.actuators, spec.sensors, spec.tendons, spec.equalities, spec.excludes, spec.keys):
        for part in list(parts):
            spec.delete(part)
    for joint in list(spec.joints):
        if joint.name not in robot.arm_joints:
            spec.delete(joint)
    base = spec.body(robot.root)
    base.pos, base.quat = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    return spec.compile()

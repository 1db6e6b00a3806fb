"""Inverse kinematics of the hand's five fingertips, all worlds at once."""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from ...envs.robots import Hand

Array = NDArray[np.float64]

_DAMPING = 0.006  # [m]
_POSTURE_GAIN = 0.05
_MAX_STEP = 0.15  # [rad] per iteration


class FingertipSolver:
    """Damped least squares in the palm's frame, on a model of the hand alone.

    For each finger dq = z + W J'(J J' + d^2 I)^-1 (e - J z) with rows and columns of the Jacobian weighed, z pulling
    free motion towards a posture (Nakamura and Hanafusa, "Inverse kinematic solutions with singularity robustness",
    1986).
    """

    def __init__(self, hand: Hand, num_envs: int) -> None:
        spec = hand.build()
        spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
        model = spec.compile()
        self._batch = Batch(model, num_envs, nthread=1)
        self._qpos, self._site_pos = self._batch.bind("qpos"), self._batch.bind("site_xpos")
        self._sites = [model.site(tip).id for tip in hand.tips]
        self._bodies = [int(model.site_bodyid[site]) for site in self._sites]
        names = [tip.removesuffix("tip") for tip in hand.tips]
        self._columns = [np.array([i for i, j in enumerate(hand.joints) if j.startswith(name)]) for name in names]
        self._low, self._high = np.array(hand.joint_low), np.array(hand.joint_high)
        self._base = len(hand.base_joints)
        self._rows = np.arange(num_envs)

    def tips(self, joints: Array) -> Array:
        """Positions (n, 5, 3) of the fingertips in the palm's frame [m] at joints (n, 26)."""
        self._qpos[:] = joints
        self._qpos[:, : self._base] = 0.0
        self._batch.forward(stage=int(mujoco.mjtStage.mjSTAGE_POS))
        return np.array(self._site_pos[:, self._sites])

    def step(
        self, joints: Array, goal: Array, posture: Array, *, task: Array, mobility: Array, iterations: int = 3
    ) -> Array:
        """Joints (n, 26) nearer to fingertip goals.

        Args:
            joints: (n, 26) to start from. goal: (n, 5, 3) in the palm's frame [m].
            posture: (26,) that free motion tends to.
            task: (5, 3) weight of each coordinate of each tip. mobility: (26,) weight of each joint, 0 holds it.
            iterations: how often to linearise.
        """
        joints = joints.copy()
        for _ in range(iterations):
            tips = self.tips(joints)
            for finger, columns in enumerate(self._columns):
                weight = mobility[columns]
                jacobian = self._batch.jac(self._bodies[finger], tips[:, finger], self._rows)[0][:, :, columns]
                # In one order of memory for any number of worlds: products then agree bit for bit.
                jacobian = np.ascontiguousarray(jacobian * task[finger][:, None] * weight)
                error = (goal[:, finger] - tips[:, finger]) * task[finger]
                pull = _POSTURE_GAIN * (posture[columns] - joints[:, columns]) * (weight > 0)
                transposed = np.ascontiguousarray(jacobian.transpose(0, 2, 1))
                normal = jacobian @ transposed + _DAMPING**2 * np.eye(3)
                rest = error[:, :, None] - jacobian @ pull[:, :, None]
                change = pull + (transposed @ np.linalg.solve(normal, rest))[:, :, 0] * weight
                excess = np.abs(change).max(axis=1) / _MAX_STEP
                moved = joints[:, columns] + change / np.maximum(excess, 1.0)[:, None]
                joints[:, columns] = np.clip(moved, self._low[columns], self._high[columns])
        return joints

"""Control of a hand on a gantry: `joint_delta` for its 26 joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .robots.hand import Hand

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


class HandDelta:
    """`joint_delta` of a hand: one motion a joint, base first, each in [-1, 1].

    The target moves by `Hand.joint_step` times the action and stays within `Hand.joint_lead` of the measured position:
    a blocked finger neither winds up nor presses without bound. With `hold_base` the base stays where it started and
    its four actions do nothing.
    """

    def __init__(self, hand: Hand, num_envs: int, *, hold_base: bool = False) -> None:
        self.action_size = len(hand.joints)
        self._held = len(hand.base_joints) if hold_base else 0
        self._low, self._high = np.array(hand.joint_low), np.array(hand.joint_high)
        self.step, self.lead = np.array(hand.joint_step), np.array(hand.joint_lead)
        self.joints = np.zeros((num_envs, self.action_size))

    def reset(self, ids: Ids, joint_pos: Array) -> None:
        """Starts worlds `ids` from measured joints (m, 26)."""
        self.joints[ids] = joint_pos

    def target(self, ids: Ids, action: Array, joint_pos: Array) -> Array:
        """Servo targets (m, 26) for actions (m, 26) and measured joints (m, 26)."""
        before = self.joints[ids]
        joints = np.clip(before + self.step * action, joint_pos - self.lead, joint_pos + self.lead)
        joints = np.clip(joints, self._low, self._high)
        joints[:, : self._held] = before[:, : self._held]
        self.joints[ids] = joints
        return joints

    def get_state(self) -> dict[str, Array]:
        """The live arrays that carry over between steps, one row a world."""
        return {"joints": self.joints}

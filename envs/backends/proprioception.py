"""What a robot feels of itself in a batch of MuJoCo worlds: the sensors that depend on the kind of robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from ..robots import PREFIX
from ..simulator import Array, Ids
from ..world import World


class Proprioception(Protocol):
    """Reads the sensors of one kind of robot; see the tables of `envs.simulator`."""

    def arrays(self, num_envs: int) -> dict[str, Array]:
        """New arrays for these sensors, one row a world."""

    def read(self, rows: Ids, qpos: Array, sensors: dict[str, Array]) -> None:
        """Writes worlds `rows` (m,) into the arrays, from their positions (m, nq) and the batch's derived fields."""


def make_proprioception(world: World, batch: Batch) -> Proprioception:
    """That of the world's robot."""
    return _KINDS[world.robot.kind](world, batch)


class ArmProprioception:
    """The gripper's opening, its pads and its pose."""

    def __init__(self, world: World, batch: Batch) -> None:
        self._table, self._gripper = world.arm.grip_table, world.gripper
        self._site_pos, self._site_mat = batch.bind("site_xpos"), batch.bind("site_xmat")
        self._sensordata = batch.bind("sensordata")

    def arrays(self, num_envs: int) -> dict[str, Array]:
        """See `Proprioception`."""
        return {
            "gripper_width": np.zeros(num_envs),
            "pad_force": np.zeros((num_envs, 2)),
            "grip_pos": np.zeros((num_envs, 3)),
            "grip_mat": np.zeros((num_envs, 3, 3)),
        }

    def read(self, rows: Ids, qpos: Array, sensors: dict[str, Array]) -> None:
        """See `Proprioception`."""
        s, at = sensors, self._gripper
        if self._table is None:
            fingers = qpos[:, at.finger_qpos]
            s["gripper_width"][rows] = fingers[:, 0] + fingers[:, 1]
        s["pad_force"][rows] = self._sensordata[rows[:, None], at.pad_sensors]
        s["grip_pos"][rows] = self._site_pos[rows, at.site]
        s["grip_mat"][rows] = self._site_mat[rows, at.site].reshape(-1, 3, 3)
        if self._table is not None:
            left, right = (self._site_pos[rows, site] for site in at.pad_sites)
            apart = ((left - right) * s["grip_mat"][rows][:, :, 1]).sum(axis=1)
            s["gripper_width"][rows] = np.maximum(apart - self._table.gap, 0.0)


class HandProprioception:
    """What the servos were told, the fingertips and the palm."""

    def __init__(self, world: World, batch: Batch) -> None:
        hand, model = world.hand, world.model
        self._columns = world.joint_ctrl
        self._tips = _ints(model.site(PREFIX + name).id for name in hand.tips)
        self._touch = _ints(model.sensor(PREFIX + name).adr[0] for name in hand.tips)
        self._palm = model.site(PREFIX + "palm").id
        self._site_pos, self._site_mat = batch.bind("site_xpos"), batch.bind("site_xmat")
        self._sensordata, self._ctrl = batch.bind("sensordata"), batch.bind("ctrl")

    def arrays(self, num_envs: int) -> dict[str, Array]:
        """See `Proprioception`."""
        tips = len(self._tips)
        return {
            "joint_target": np.zeros((num_envs, len(self._columns))),
            "tip_pos": np.zeros((num_envs, tips, 3)),
            "tip_force": np.zeros((num_envs, tips)),
            "palm_pos": np.zeros((num_envs, 3)),
            "palm_mat": np.zeros((num_envs, 3, 3)),
        }

    def read(self, rows: Ids, qpos: Array, sensors: dict[str, Array]) -> None:
        """See `Proprioception`."""
        s, row = sensors, rows[:, None]
        s["joint_target"][rows] = self._ctrl[row, self._columns]
        s["tip_pos"][rows] = self._site_pos[row, self._tips]
        s["tip_force"][rows] = self._sensordata[row, self._touch]
        s["palm_pos"][rows] = self._site_pos[rows, self._palm]
        s["palm_mat"][rows] = self._site_mat[rows, self._palm].reshape(-1, 3, 3)


_KINDS: dict[str, Callable[[World, Batch], Proprioception]] = {"arm": ArmProprioception, "hand": HandProprioception}


def _ints(values: Iterable[int]) -> NDArray[np.int64]:
    return np.array([int(value) for value in values], dtype=np.int64)

"""The `physics` backend: MuJoCo worlds on `mujoco.batch.Batch`, bit-identical at any batch size and thread count."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import SimulationError
from numpy.typing import NDArray

from ...workers import processors
from .. import rotations
from ..columns import columns
from ..control import make_controller
from ..marks import Mark
from ..pictures import Pictures
from ..simulator import Array, Episodes, Ids, Images, RendererInfo, Sensors, SimulatorState
from ..world import World
from .proprioception import make_proprioception
from .resting import make_rest

SUBSTEPS = 25
"""Physics steps (2 ms each) in one control period: 20 Hz."""

_METERED = 5
"""Physics steps between two looks at the motors, where their work is counted."""

_BAD = [
    int(w)
    for w in (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
]
_VEL, _ACC = int(mujoco.mjtStage.mjSTAGE_VEL), int(mujoco.mjtStage.mjSTAGE_ACC)


class PhysicsSimulator:
    """`num_envs` worlds, each of one of a few scenes; see `Simulator`."""

    def __init__(
        self,
        worlds: Sequence[World],
        num_envs: int,
        *,
        control_mode: str = "ee_delta",
        num_threads: int = 0,
        renderer: str = "gl",
    ) -> None:
        """Allocates the batch.

        Args:
            worlds: the compiled scenes with their robot, of one layout. num_envs: number of worlds.
            control_mode: see `envs.control`.
            num_threads: threads to step on, 0 for all processors this process may use.
            renderer: "gl" or "warp", see `envs.rendering`.
        """
        threads = min(num_threads or processors(), num_envs)
        _stop_timers()
        self.world = world = worlds[0]
        self._worlds = tuple(worlds)
        self._member = np.zeros(num_envs, dtype=np.int64)
        self.num_envs = num_envs
        self.control_period = SUBSTEPS * float(world.model.opt.timestep)
        self._controller = make_controller(control_mode, worlds, num_envs, threads)
        self.action_size = self._controller.action_size
        self._rest = make_rest([each.model for each in worlds], num_envs, threads, sleep=world.robot.sleep)
        self.batch = self._rest.batch
        self._qpos, self._qvel, self._ctrl, self._act = (self.batch.bind(n) for n in ("qpos", "qvel", "ctrl", "act"))
        self._before = np.empty_like(self.batch.state)
        self._work: Array | None = None
        self._site_pos, self._site_mat = self.batch.bind("site_xpos"), self.batch.bind("site_xmat")
        self._own = make_proprioception(world, self.batch)
        self._home = np.stack([each.home_qpos for each in worlds])
        self._part_qpos, self._part_dof, self._handle_sites = (
            np.stack([getattr(each, name) for each in worlds]) for name in ("part_qpos", "part_dof", "handle_sites")
        )
        self._columns = np.r_[world.joint_ctrl, world.other_ctrl]
        self._late = world.model.nhistory > 0
        self._joint_qpos, self._joint_dof = columns(world.joint_qpos), columns(world.joint_dof)
        self._object_qpos, self._object_dof = columns(world.object_qpos.ravel()), columns(world.object_dof.ravel())
        self._pictures = Pictures(worlds, self._qpos, self._member, renderer=renderer, period=self.control_period)
        self.segmentation_names = self._pictures.segmentation_names
        self._all = np.arange(num_envs)
        joints, objects, parts = len(world.home), len(world.object_qpos), len(world.part_qpos)
        self._sensors: dict[str, Array] = {
            "joint_pos": np.zeros((num_envs, joints)),
            "joint_vel": np.zeros((num_envs, joints)),
            **self._own.arrays(num_envs),
            "object_pos": np.zeros((num_envs, objects, 3)),
            "object_mat": np.zeros((num_envs, objects, 3, 3)),
            "object_vel": np.zeros((num_envs, objects, 6)),
            "part_pos": np.zeros((num_envs, parts)),
            "part_vel": np.zeros((num_envs, parts)),
            "handle_pos": np.zeros((num_envs, parts, 3)),
            "handle_mat": np.zeros((num_envs, parts, 3, 3)),
        }

    def reset(self, ids: Ids, episodes: Episodes) -> None:
        """See `Simulator`."""
        world = self.world
        self._assign(ids, episodes.member)
        self.batch.reset(ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        rows = ids[:, None]
        qpos = self._home[episodes.member]
        qpos[:, world.joint_qpos] = episodes.joint_pos
        qpos[:, world.object_qpos[:, :3]] = episodes.object_pos
        qpos[:, world.object_qpos[:, 3:]] = episodes.object_quat
        np.put_along_axis(qpos, self._part_qpos[episodes.member], episodes.part_pos, axis=1)
        self._qpos[ids] = qpos
        self._ctrl[rows, world.joint_ctrl] = episodes.joint_pos
        self._ctrl[rows, world.other_ctrl] = world.other_start
        self._act[ids] = self._ctrl[ids]
        if self._late:
            # Each actuator's history: two numbers, times, and the commands given then.
            history = self.batch.history[ids].reshape(len(ids), self._ctrl.shape[1], -1)
            history[:, :, history.shape[2] // 2 + 1 :] = self._ctrl[ids, :, None]
            self.batch.history[ids] = history.reshape(len(ids), -1)
        self.batch.forward(ids, stage=_ACC)
        if self._work is not None:
            self._work[ids], self._power[ids] = 0.0, self._powers()[ids]
        self._read(ids)
        self._controller.reset(ids, self._sensors)

    def step(self, action: Array, ids: Ids | None = None) -> NDArray[np.bool_]:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        batch = self.batch
        self._ctrl[rows[:, None], self._columns] = self._controller.target(rows, action[rows], self._sensors)
        np.copyto(self._before, batch.state)
        warned = batch.warning[:, _BAD, 1].copy()
        failed = np.zeros(self.num_envs, dtype=np.bool_)
        try:
            # As nothing changes from a control period's last step to the next one's first, MuJoCo goes on from what it
            # computes here for the sensors.
            self._advance(ids, rows)
        except SimulationError as error:
            failed[error.ids] = True
        failed |= (batch.warning[:, _BAD, 1] > warned).any(axis=1)
        failed |= ~np.isfinite(batch.state.sum(axis=1))  # a NaN or infinity anywhere spoils the sum
        if failed.any():
            moved = np.zeros(self.num_envs, dtype=np.bool_)
            moved[rows] = True
            failed &= moved
            batch.state[failed] = self._before[failed]
            rows = np.flatnonzero(moved & ~failed)
        self._read(rows)
        return failed

    @property
    def members(self) -> Ids:
        """(num_envs,) which of the scenes each world has, live."""
        return self._member

    def diagnostics(self) -> dict[str, NDArray[Any]]:
        """See `Simulator`."""
        return {}

    def audited(self, env_id: str) -> None:
        """See `Simulator`."""
        return None

    def sensors(self) -> Sensors:
        """See `Simulator`."""
        return self._sensors

    def meter(self) -> Array:
        """See `Simulator`: the sum of |force x velocity| of the actuators, as of motors that cannot store what they
        brake, by the trapezoidal rule at 100 Hz; the current that holds a load still is not counted."""
        if self._work is None:
            self._work, self._power = np.zeros(self.num_envs), self._powers()
        return self._work

    def get_state(self, ids: Ids | None = None) -> SimulatorState:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        return SimulatorState(
            member=self._member[rows].copy(),
            physics=self._rest.save(rows),
            controller={name: values[rows].copy() for name, values in self._controller.get_state().items()},
            sensors={name: values[rows].copy() for name, values in self._sensors.items()},
        )

    def set_state(self, state: SimulatorState, ids: Ids | None = None) -> None:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        self._assign(rows, state.member)
        self._rest.restore(rows, state.physics)
        for name, values in self._controller.get_state().items():
            values[rows] = state.controller[name]
        for name, values in self._sensors.items():
            values[rows] = state.sensors[name]

    def mark(self, mark: Mark | None) -> None:
        """See `Simulator`."""
        self._pictures.mark = mark

    def images(
        self, ids: Ids, camera: str, kinds: Sequence[str], *, width: int, height: int, fine: bool = False
    ) -> Images:
        """See `Simulator`."""
        return self._pictures.draw(ids, camera, kinds, width=width, height=height, fine=fine)

    def show(self, world: int, camera: str) -> None:
        """See `Simulator`."""
        self._pictures.show(world, camera)

    def renderer_info(self, *, width: int, height: int) -> RendererInfo:
        """See `Simulator`."""
        return self._pictures.info(width=width, height=height)

    def close(self) -> None:
        """See `Simulator`."""
        self._pictures.close()

    def _advance(self, ids: Ids | None, rows: Ids) -> None:
        """A control period of worlds `ids`, which are `rows`; in parts, if work is counted."""
        if self._work is None:
            self.batch.step(ids, nstep=SUBSTEPS, stage=_VEL)
            return
        period = _METERED * self.control_period / SUBSTEPS
        for _ in range(SUBSTEPS // _METERED):
            self.batch.step(ids, nstep=_METERED, stage=_VEL)
            power = self._powers()
            self._work[rows] += (period * (self._power + power) / 2)[rows]
            self._power = power

    def _powers(self) -> Array:
        """(num_envs,) of all motors [W]."""
        force, velocity = (self.batch.bind(f"actuator_{name}") for name in ("force", "velocity"))
        return np.asarray(np.abs(force * velocity).sum(axis=1))

    def _assign(self, ids: Ids, member: Ids) -> None:
        """Gives worlds `ids` (m,), which are about to be reset or restored, their scenes (m,)."""
        self._member[ids] = member
        if len(self._worlds) > 1:
            self._rest.assign(ids, member)
            self._controller.assign(ids, member)

    def _read(self, rows: Ids) -> None:
        """Refreshes the sensors of worlds `rows` from the state and the derived fields."""
        s = self._sensors
        qpos, qvel = self._qpos[rows], self._qvel[rows]
        s["joint_pos"][rows] = qpos[:, self._joint_qpos]
        s["joint_vel"][rows] = qvel[:, self._joint_dof]
        self._own.read(rows, qpos, s)
        pose = qpos[:, self._object_qpos].reshape(len(rows), -1, 7)
        s["object_pos"][rows] = pose[:, :, :3]
        s["object_mat"][rows] = rotations.from_quaternion(pose[:, :, 3:])
        s["object_vel"][rows] = qvel[:, self._object_dof].reshape(len(rows), -1, 6)
        if self._part_qpos.shape[1]:
            member = self._member[rows]
            s["part_pos"][rows] = np.take_along_axis(qpos, self._part_qpos[member], axis=1)
            s["part_vel"][rows] = np.take_along_axis(qvel, self._part_dof[member], axis=1)
            sites = (rows[:, None], self._handle_sites[member])
            s["handle_pos"][rows] = self._site_pos[sites]
            s["handle_mat"][rows] = self._site_mat[sites].reshape(len(rows), -1, 3, 3)


def _stop_timers() -> None:
    """Spares MuJoCo from asking the clock at every stage of a step: 8 % of it, for timers that nothing here reads.

    Its Python package sets the callback in a way that `mujoco.set_mjcb_time` cannot undo; in C it is a public variable.
    From then on `mjData.timer` counts no time in this process.
    """
    for library in Path(mujoco.__file__).parent.glob("*mujoco*.*"):
        if library.suffix in {".dylib", ".dll"} or ".so" in library.suffixes:
            try:
                ctypes.c_void_p.in_dll(ctypes.CDLL(str(library)), "mjcb_time").value = None
            except (OSError, ValueError):
                continue
            return

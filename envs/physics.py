"""The `physics` backend: MuJoCo worlds on `mujoco.batch.Batch`, bit-identical at any batch size and thread count."""

from __future__ import annotations

import os
from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import SimulationError
from numpy.typing import NDArray

from .control import make_controller
from .rendering import Renderer, make_renderer
from .resting import Sleep
from .segmentation import segmentation
from .simulator import Array, Episodes, Ids, Images, RendererInfo, Sensors, SimulatorState
from .window import Window
from .world import World

SUBSTEPS = 25
"""Physics steps (2 ms each) in one control period: 20 Hz."""
RAMP = 5
"""The servo targets move to their new place in so many equal steps within a control period, instead of jumping."""

# The share of the way that servo targets have gone at each substep of all but the first and last of these steps. Then
# objects may fall asleep: not at the ends of a control period, see `envs.resting`. And as nothing changes from its last
# step to the next one's first, MuJoCo goes on from what it computed for the sensors.
_MIDDLE = np.repeat(np.arange(2, RAMP), SUBSTEPS // RAMP) / RAMP

_BAD = [
    int(w)
    for w in (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
]
_VEL, _ACC = int(mujoco.mjtStage.mjSTAGE_VEL), int(mujoco.mjtStage.mjSTAGE_ACC)


class PhysicsSimulator:
    """`num_envs` copies of one world; see `Simulator`."""

    def __init__(
        self,
        world: World,
        num_envs: int,
        *,
        control_mode: str = "ee_delta",
        num_threads: int = 0,
        renderer: str = "gl",
    ) -> None:
        """Allocates the batch.

        Args:
            world: the compiled scene with its robot. num_envs: number of worlds.
            control_mode: see `envs.control`.
            num_threads: threads to step on, 0 for all processors this process may use.
            renderer: "gl" or "warp", see `envs.rendering`.
        """
        threads = min(num_threads or processors(), num_envs)
        self.world = world
        self.num_envs = num_envs
        self.control_period = SUBSTEPS * float(world.model.opt.timestep)
        self._controller = make_controller(control_mode, world, num_envs, threads)
        self.action_size = self._controller.action_size
        self._sleep = Sleep(world.model, num_envs, threads)
        self.batch = self._sleep.batch
        self._qpos, self._qvel, self._ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self._site_pos, self._site_mat = self.batch.bind("site_xpos"), self.batch.bind("site_xmat")
        self._sensordata = self.batch.bind("sensordata")
        self._columns = np.r_[world.arm_ctrl, world.grip_ctrl]
        self._before = np.empty_like(self.batch.state)
        self.segmentation_names = segmentation(world).names
        self._renderer_name = renderer
        self._renderers: dict[tuple[int, int, bool], Renderer] = {}
        self._window: Window | None = None
        self._all = np.arange(num_envs)
        arm, objects, parts = len(world.arm_qpos), len(world.objects), len(world.parts)
        self._sensors: dict[str, Array] = {
            "joint_pos": np.zeros((num_envs, arm)),
            "joint_vel": np.zeros((num_envs, arm)),
            "gripper_width": np.zeros(num_envs),
            "pad_force": np.zeros((num_envs, 2)),
            "grip_pos": np.zeros((num_envs, 3)),
            "grip_mat": np.zeros((num_envs, 3, 3)),
            "object_pos": np.zeros((num_envs, objects, 3)),
            "object_quat": np.zeros((num_envs, objects, 4)),
            "object_vel": np.zeros((num_envs, objects, 6)),
            "part_pos": np.zeros((num_envs, parts)),
            "part_vel": np.zeros((num_envs, parts)),
            "handle_pos": np.zeros((num_envs, parts, 3)),
            "handle_mat": np.zeros((num_envs, parts, 3, 3)),
        }

    def reset(self, ids: Ids, episodes: Episodes) -> None:
        """See `Simulator`."""
        world = self.world
        self.batch.reset(ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        rows = ids[:, None]
        qpos = np.repeat(world.home_qpos[None], len(ids), axis=0)
        qpos[:, world.arm_qpos] = episodes.joint_pos
        qpos[:, world.object_qpos[:, :3]] = episodes.object_pos
        qpos[:, world.object_qpos[:, 3:]] = episodes.object_quat
        qpos[:, world.part_qpos] = episodes.part_pos
        self._qpos[ids] = qpos
        self._ctrl[rows, world.arm_ctrl] = episodes.joint_pos
        self._ctrl[ids, world.grip_ctrl] = world.robot.grip_control[1]
        self.batch.forward(ids, stage=_ACC)
        self._read(ids)
        s = self._sensors
        self._controller.reset(ids, s["joint_pos"][ids], s["grip_pos"][ids], s["grip_mat"][ids])

    def step(self, action: Array, ids: Ids | None = None) -> NDArray[np.bool_]:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        s, batch = self._sensors, self.batch
        goal = self._controller.target(
            rows, action[rows], s["joint_pos"][rows], s["grip_pos"][rows], s["grip_mat"][rows]
        )
        np.copyto(self._before, batch.state)
        warned = batch.warning[:, _BAD, 1].copy()
        failed = np.zeros(self.num_envs, dtype=np.bool_)
        start = self._ctrl[rows].copy()
        change = np.zeros_like(start)
        change[:, self._columns] = goal - start[:, self._columns]
        # Three calls and not one a piece: each costs as much as a substep.
        middle = start[:, None] + change[:, None] * _MIDDLE[:, None]
        for part in range(3):
            self._sleep.allow(part == 1)
            try:
                if part == 1:
                    batch.rollout(len(_MIDDLE), middle, record=(), ids=ids)
                else:
                    self._ctrl[rows] = start + change * ((RAMP if part else 1) / RAMP)
                    batch.step(ids, nstep=SUBSTEPS // RAMP, stage=_VEL if part else 0)
            except SimulationError as error:
                failed[error.ids] = True
        moved = np.zeros(self.num_envs, dtype=np.bool_)
        moved[rows] = True
        failed |= moved & (batch.warning[:, _BAD, 1] > warned).any(axis=1)
        failed |= moved & ~np.isfinite(batch.state).all(axis=1)
        if failed.any():
            batch.state[failed] = self._before[failed]
            rows = np.flatnonzero(moved & ~failed)
        self._read(rows)
        return failed

    def sensors(self) -> Sensors:
        """See `Simulator`."""
        return self._sensors

    def get_state(self, ids: Ids | None = None) -> SimulatorState:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        return SimulatorState(
            physics=self._sleep.save(rows),
            controller={name: values[rows].copy() for name, values in self._controller.get_state().items()},
            sensors={name: values[rows].copy() for name, values in self._sensors.items()},
        )

    def set_state(self, state: SimulatorState, ids: Ids | None = None) -> None:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        self._sleep.restore(rows, state.physics)
        for name, values in self._controller.get_state().items():
            values[rows] = state.controller[name]
        for name, values in self._sensors.items():
            values[rows] = state.sensors[name]

    def images(
        self, ids: Ids, camera: str, kinds: Sequence[str], *, width: int, height: int, fine: bool = False
    ) -> Images:
        """See `Simulator`."""
        return self._renderer(width, height, fine).draw(ids, self.world.camera(camera), kinds)

    def show(self, world: int, camera: str) -> None:
        """See `Simulator`."""
        if self._window is None:
            name = self.world.camera(camera)
            self._window = Window(self.world.model, self.batch, camera=name, period=self.control_period)
        self._window.show(world)

    def renderer_info(self, *, width: int, height: int) -> RendererInfo:
        """See `Simulator`."""
        return self._renderer(width, height, fine=False).info

    def close(self) -> None:
        """See `Simulator`."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        if self._window is not None:
            self._window.close()
            self._window = None

    def _renderer(self, width: int, height: int, fine: bool) -> Renderer:
        key = (width, height, fine)
        if key not in self._renderers:
            self._renderers[key] = make_renderer(
                self._renderer_name, self.world, self.batch, width=width, height=height, fine=fine
            )
        return self._renderers[key]

    def _read(self, rows: Ids) -> None:
        """Refreshes the sensors of worlds `rows` from the state and the derived fields."""
        world, s = self.world, self._sensors
        qpos, qvel = self._qpos[rows], self._qvel[rows]
        s["joint_pos"][rows] = qpos[:, world.arm_qpos]
        s["joint_vel"][rows] = qvel[:, world.arm_dof]
        fingers = qpos[:, world.finger_qpos]
        if world.robot.grip_table is None:
            s["gripper_width"][rows] = fingers[:, 0] + fingers[:, 1]
        s["pad_force"][rows] = self._sensordata[rows[:, None], world.pad_sensors]
        s["grip_pos"][rows] = self._site_pos[rows, world.grip_site]
        s["grip_mat"][rows] = self._site_mat[rows, world.grip_site].reshape(-1, 3, 3)
        if world.robot.grip_table is not None:
            left, right = (self._site_pos[rows, site] for site in world.pad_sites)
            apart = ((left - right) * s["grip_mat"][rows][:, :, 1]).sum(axis=1)
            s["gripper_width"][rows] = np.maximum(apart - world.robot.grip_table.gap, 0.0)
        pose = qpos[:, world.object_qpos]
        s["object_pos"][rows] = pose[:, :, :3]
        s["object_quat"][rows] = pose[:, :, 3:]
        s["object_vel"][rows] = qvel[:, world.object_dof]
        if world.parts:
            s["part_pos"][rows] = qpos[:, world.part_qpos]
            s["part_vel"][rows] = qvel[:, world.part_dof]
            sites = (rows[:, None], world.handle_sites)
            s["handle_pos"][rows] = self._site_pos[sites]
            s["handle_mat"][rows] = self._site_mat[sites].reshape(len(rows), -1, 3, 3)


def processors() -> int:
    """Processors this process may run on: more threads than these only get in each other's way."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

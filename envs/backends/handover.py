"""States of one backend as states of another: so that what happened in one goes on in the other.

Both simulators are of the same scenes, robot and control mode. What the robot's software remembers and what was sensed
last are the same on every backend and go over as they are; where things are and how fast is put into the other's terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from mujoco.batch import Batch

from ...errors import TaskError
from ..simulator import Array, Simulator, SimulatorState
from ..world import World
from .physics import PhysicsSimulator

if TYPE_CHECKING:
    from ...world_models.hybrid.geometry import State
    from .places import Places

_AWAKE = -(1 + int(mujoco.mjMINAWAKE))  # what `tree_asleep` says of something that just moved


class Handover:
    """Turns states of `source` into states that `target` takes.

    From physics to physics everything at rest is woken: putting sleepers to sleep again costs more than a few steps of
    all worlds, and moves nothing by more than a micrometre.
    """

    def __init__(self, source: Simulator, target: Simulator, worlds: Sequence[World]) -> None:
        """Takes two simulators of the scenes `worlds`.

        Raises:
            TaskError: there is no way from one to the other.
        """
        self._worlds = tuple(worlds)
        self._source, self._target = source, target
        self._physical = tuple(_is_physical(each) for each in (source, target))
        self._places: Places | None = None
        self._blank: Array | None = None
        if not all(self._physical):
            from .places import Places  # torch takes its time

            self._places = Places(self._worlds)
        if self._physical[0] != self._physical[1]:
            self._blank = target.get_state(np.zeros(1, dtype=np.int64)).physics

    def __call__(self, state: SimulatorState) -> SimulatorState:
        """The same m worlds as the other backend has them; `state` from `get_state` of the source."""
        if self._physical == (True, True):
            return replace(state, physics=self._woken(state.physics))
        if self._physical == (True, False):
            return replace(state, physics=self._row(self._learned(state)))
        if self._physical == (False, True):
            return replace(state, physics=self._simulated(state))
        return state

    def _woken(self, physics: Array) -> Array:
        batch = _batch(self._source)
        rows = physics.copy()
        rows[:, batch.nstate :] = _AWAKE  # nothing, where nothing ever sleeps
        return rows

    def _learned(self, state: SimulatorState) -> State:
        """What MuJoCo's states say in a model's terms; as good as still is still, as in what it has learned from."""
        import torch

        from ...world_models.hybrid.experience import Experience

        assert self._places is not None
        batch, count = _batch(self._source), len(state.member)
        qpos, qvel, act, ctrl = (state.physics[:, _columns(batch, name)] for name in ("qpos", "qvel", "act", "ctrl"))
        found = self._places.recorded(state.member, qpos[:, None], qvel[:, None])
        force = state.sensors["pad_force"] if "pad_force" in state.sensors else state.sensors["tip_force"]
        moment = Experience(
            scene=torch.from_numpy(state.member.copy()),
            left=torch.zeros(count, dtype=torch.int64),
            filtered=torch.from_numpy(act.astype(np.float32)),
            targets=torch.from_numpy(ctrl.astype(np.float32)),
            force=torch.from_numpy(force.astype(np.float32)),
            **{name: torch.from_numpy(values[:, 0]) for name, values in found.items()},
        )
        return replace(moment.state(torch.arange(count)), told=moment.targets)

    def _row(self, learned: State) -> Array:
        """Rows of the target's `SimulatorState.physics`, where it is a hybrid model."""
        assert self._blank is not None
        parts = [getattr(learned, item.name).flatten(1).numpy() for item in fields(learned)[1:]]
        flat = np.concatenate(parts, axis=1)
        found = np.repeat(self._blank, len(flat), axis=0)
        found[:, : flat.shape[1]] = flat
        found[:, flat.shape[1] :] = 0.0  # nothing was predicted yet that could be wrong
        return found

    def _state(self, state: SimulatorState) -> State:
        """The source's worlds, where it is a hybrid model."""
        import torch

        from ...world_models.hybrid.geometry import State
        from .forms import part_joints, robot_joints

        world, start = self._worlds[0], 0
        links, objects = len(robot_joints(world)), len(world.object_qpos)
        parts = max(len(part_joints(each)) for each in self._worlds)
        shapes = {
            "joints": (links,),
            "speeds": (links,),
            "filtered": (int(world.model.nu),),
            "told": (int(world.model.nu),),
            "position": (objects, 3),
            "rotation": (objects, 3, 3),
            "velocity": (objects, 6),
            "part": (parts,),
            "part_speed": (parts,),
            "force": (2 if world.robot.kind == "arm" else 5,),
        }
        found = {}
        for name in (item.name for item in fields(State)[1:]):
            size = int(np.prod(shapes[name]))
            values = state.physics[:, start : start + size].astype(np.float32)
            found[name] = torch.from_numpy(values.reshape(len(values), *shapes[name]))
            start += size
        return State(scene=torch.from_numpy(state.member.copy()), **found)

    def _simulated(self, state: SimulatorState) -> Array:
        """What a model's states say in MuJoCo's terms: rows of the target's `SimulatorState.physics`."""
        from .forms import part_joints, robot_joints

        assert self._places is not None
        assert self._blank is not None
        batch, count, world = _batch(self._target), len(state.member), self._worlds[0]
        learned = self._state(state)
        qvel = np.zeros((count, world.model.nv))
        qvel[:, world.model.jnt_dofadr[robot_joints(world)]] = learned.speeds.numpy()
        qvel[:, world.object_dof] = state.sensors["object_vel"]
        for k in np.unique(state.member):
            rows, each = np.flatnonzero(state.member == k), self._worlds[k]
            columns = each.model.jnt_dofadr[part_joints(each)]
            qvel[rows[:, None], columns] = learned.part_speed.numpy()[rows, : len(columns)]
        filtered, told = (np.asarray(x.numpy(), dtype=np.float64) for x in (learned.filtered, learned.told))
        found = np.repeat(self._blank, count, axis=0)
        found[:, batch.nstate :] = _AWAKE
        values = {"qpos": self._places.qpos(learned), "qvel": qvel, "act": filtered, "ctrl": told}
        for name, given in values.items():
            found[:, _columns(batch, name)] = given
        if world.model.nhistory:
            # Each actuator's history: two numbers, times, and the commands given then.
            columns = _columns(batch, "history")
            history = found[:, columns].reshape(count, told.shape[1], -1)
            history[:, :, history.shape[2] // 2 + 1 :] = told[:, :, None]
            found[:, columns] = history.reshape(count, -1)
        return found


def _is_physical(simulator: Simulator) -> bool:
    """Whether a simulator is MuJoCo; if not, it is a hybrid model.

    Raises:
        TaskError: it is neither.
    """
    if isinstance(simulator, PhysicsSimulator):
        return True
    from .neural import NeuralSimulator  # torch takes its time

    if not isinstance(simulator, NeuralSimulator):
        raise TaskError(
            f"states of {type(simulator).__name__} cannot be handed over; use backend='physics' or backend='neural'"
        )
    return False


def _batch(simulator: Simulator) -> Batch:
    assert isinstance(simulator, PhysicsSimulator)
    return simulator.batch


def _columns(batch: Batch, name: str) -> slice:
    """Where a field lies in the rows of `batch.state`."""
    field, state = batch.bind(name), batch.state
    first = (field.ctypes.data - state.ctypes.data) // state.itemsize
    return slice(first, first + field.shape[1])

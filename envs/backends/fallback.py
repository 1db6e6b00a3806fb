"""A neural simulator that gives up in time: worlds that it is less sure of than usual go on in physics.

From the step after the model's networks disagreed more than usual until the episode ends, MuJoCo has the world. Infos
say which ones it has: `neural/fallback`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..marks import Mark
from ..simulator import Array, Episodes, Ids, Images, RendererInfo, Sensors, Simulator, SimulatorState
from ..world import World
from .handover import Handover
from .neural import NeuralSimulator
from .physics import PhysicsSimulator


class FallbackSimulator:
    """`num_envs` worlds that begin in the model; see `Simulator`."""

    def __init__(self, neural: NeuralSimulator, physics: PhysicsSimulator, worlds: Sequence[World]) -> None:
        """Takes two simulators of the scenes `worlds`, with as many worlds and one control mode."""
        self._neural, self._physics = neural, physics
        self._give = Handover(neural, physics, worlds)
        self.num_envs, self.action_size = neural.num_envs, neural.action_size
        self.control_period, self.segmentation_names = neural.control_period, neural.segmentation_names
        self._all = np.arange(self.num_envs)
        self._real = np.zeros(self.num_envs, dtype=np.bool_)
        self._sensors: dict[str, Array] = {name: values.copy() for name, values in neural.sensors().items()}
        self._width = neural.get_state(self._all[:1]).physics.shape[1]

    def reset(self, ids: Ids, episodes: Episodes) -> None:
        """See `Simulator`."""
        self._neural.reset(ids, episodes)
        self._real[ids] = False
        self._read(self._neural, ids)

    def step(self, action: Array, ids: Ids | None = None) -> NDArray[np.bool_]:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        failed = np.zeros(self.num_envs, dtype=np.bool_)
        for simulator, mine in self._apart(rows):
            if len(mine):
                failed |= simulator.step(action, mine)
                self._read(simulator, mine[~failed[mine]])
        lost = rows[~self._real[rows] & ~failed[rows] & self._neural.diagnostics()["neural/ood"][rows]]
        if len(lost):
            self._physics.set_state(self._give(self._neural.get_state(lost)), lost)
            self._real[lost] = True
        return failed

    def diagnostics(self) -> dict[str, NDArray[Any]]:
        """See `Simulator`."""
        return {**self._neural.diagnostics(), "neural/fallback": self._real}

    def meter(self) -> None:
        """See `Simulator`: models do not tell it."""
        return None

    def audited(self, env_id: str) -> int:
        """See `Simulator`."""
        return self._neural.audited(env_id)

    def sensors(self) -> Sensors:
        """See `Simulator`."""
        return self._sensors

    def get_state(self, ids: Ids | None = None) -> SimulatorState:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        dreamt, real = self._neural.get_state(rows), self._physics.get_state(rows)
        return SimulatorState(
            member=dreamt.member,
            physics=np.concatenate([self._real[rows, None], dreamt.physics, real.physics], axis=1),
            controller={
                **{f"neural/{name}": values for name, values in dreamt.controller.items()},
                **{f"physics/{name}": values for name, values in real.controller.items()},
            },
            sensors={name: values[rows].copy() for name, values in self._sensors.items()},
        )

    def set_state(self, state: SimulatorState, ids: Ids | None = None) -> None:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        self._real[rows] = state.physics[:, 0] != 0
        parts = {"neural": state.physics[:, 1 : 1 + self._width], "physics": state.physics[:, 1 + self._width :]}
        for name, simulator in (("neural", self._neural), ("physics", self._physics)):
            controller = {
                key.removeprefix(f"{name}/"): values
                for key, values in state.controller.items()
                if key.startswith(f"{name}/")
            }
            simulator.set_state(SimulatorState(state.member, parts[name], controller, state.sensors), rows)
        self._read(self._neural, rows)  # the same in both

    def mark(self, mark: Mark | None) -> None:
        """See `Simulator`."""
        self._neural.mark(mark)
        self._physics.mark(mark)

    def images(
        self, ids: Ids, camera: str, kinds: Sequence[str], *, width: int, height: int, fine: bool = False
    ) -> Images:
        """See `Simulator`."""
        found: Images = {}
        for simulator, mine in self._apart(ids):
            if len(mine):
                drawn = simulator.images(mine, camera, kinds, width=width, height=height, fine=fine)
                for kind, values in drawn.items():
                    whole = found.setdefault(kind, np.zeros((len(ids), *values.shape[1:]), dtype=values.dtype))
                    whole[np.isin(ids, mine)] = values
        return found

    def show(self, world: int, camera: str) -> None:
        """See `Simulator`."""
        (self._physics if self._real[world] else self._neural).show(world, camera)

    def renderer_info(self, *, width: int, height: int) -> RendererInfo:
        """See `Simulator`."""
        return self._neural.renderer_info(width=width, height=height)

    def close(self) -> None:
        """See `Simulator`."""
        self._neural.close()
        self._physics.close()

    def _apart(self, ids: Ids) -> tuple[tuple[Simulator, Ids], ...]:
        return (self._neural, ids[~self._real[ids]]), (self._physics, ids[self._real[ids]])

    def _read(self, simulator: Simulator, ids: Ids) -> None:
        sensed = simulator.sensors()
        for name, values in self._sensors.items():
            values[ids] = sensed[name][ids]

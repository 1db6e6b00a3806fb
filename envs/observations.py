"""Observations of a batch: their space, and their arrays from sensors and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .config import Config
from .simulator import Ids, Sensors, Simulator
from .tasks import Task

Observation = NDArray[Any] | dict[str, NDArray[Any]]


class Observer:
    """What worlds look like to an agent, in the kinds that `obs_mode` asks for.

    Attributes:
        space: of one world; a Box for one kind, a Dict of them for several.
    """

    def __init__(self, config: Config, task: Task, simulator: Simulator, measured: Callable[[], Sensors]) -> None:
        """Reads off the space; draws nothing yet. `measured` gives the sensors as the robot measures them."""
        self._measured = measured
        self._task, self._simulator = task, simulator
        self._camera, (self._width, self._height) = config.camera, config.image_size
        self._kinds = config.observations
        self._pictures = tuple(kind for kind in self._kinds if kind != "state")
        self._drawing = True
        size = sum(part.shape[1] for part in task.observe(simulator.sensors()).values())
        last = len(simulator.segmentation_names) - 1
        spaces: dict[str, gym.Space[Any]] = {
            "state": gym.spaces.Box(-np.inf, np.inf, (size,), np.float32),
            "rgb": gym.spaces.Box(0, 255, (self._height, self._width, 3), np.uint8),
            "depth": gym.spaces.Box(0, np.inf, (self._height, self._width, 1), np.float32),
            "segmentation": gym.spaces.Box(0, last, (self._height, self._width, 1), np.int32),
        }
        self._spaces = {kind: spaces[kind] for kind in self._kinds}
        self.space = next(iter(self._spaces.values())) if len(self._spaces) == 1 else gym.spaces.Dict(self._spaces)

    def observe(self, ids: Ids) -> Observation:
        """Fresh arrays of worlds `ids` (m,), each (m, ...)."""
        found: dict[str, NDArray[Any]] = {}
        if "state" in self._kinds:
            parts = list(self._task.observe(self._measured()).values())
            found["state"] = np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind")
            if len(ids) < len(found["state"]):
                found["state"] = found["state"][ids]
        if self._pictures and self._drawing:
            found |= self._simulator.images(ids, self._camera, self._pictures, width=self._width, height=self._height)
        elif self._pictures:
            found |= {k: np.zeros((len(ids), *self._spaces[k].shape), self._spaces[k].dtype) for k in self._pictures}  # type: ignore[misc]
        return found[self._kinds[0]] if len(found) == 1 else {kind: found[kind] for kind in self._kinds}

    @contextmanager
    def without_pictures(self) -> Iterator[None]:
        """Inside, pictures are not drawn: they are zero."""
        self._drawing = False
        try:
            yield
        finally:
            self._drawing = True


def copy_rows(observation: Observation, ids: Ids) -> NDArray[np.object_]:
    """Copies of what worlds `ids` see in a batch's observation, one a world: an object array, None elsewhere."""
    parts = observation if isinstance(observation, dict) else {"": observation}
    found = np.full(len(next(iter(parts.values()))), None, dtype=object)
    for j in ids:
        copies = {name: values[j].copy() for name, values in parts.items()}
        found[j] = copies if isinstance(observation, dict) else copies[""]
    return found


def put_rows(observation: Observation, ids: Ids, rows: Observation) -> None:
    """Replaces what worlds `ids` (m,) see in a batch's observation by the m rows of another."""
    if isinstance(observation, dict) and isinstance(rows, dict):
        for name, values in rows.items():
            observation[name][ids] = values
    elif not isinstance(observation, dict):
        observation[ids] = rows

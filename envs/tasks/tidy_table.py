"""TidyTable: put several things, one after another, into one receptacle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import TaskError
from ..receptacles import Receptacle
from ..simulator import Array, Ids, Sensors
from ..world import World
from .place import PlaceTask
from .task import Draw, Start


class TidyTable(PlaceTask):
    """Put `count` things into the largest receptacle of the scene; their order does not matter.

    `object` chooses what they go into. `target` is always the first thing that is not there yet, so that state
    observations speak of what is to be done next, and `left` of them are still to be done.

    Settings: `count`; `scales`.

    Reward terms: `reach` (grip near the next thing's grasp point), `upright` (hand pointing down), `grasp` (of the next
    thing), `lift` (of it over the rim), `carry` (share of its way across), `lower` (it is near its place), `release`
    (pads pressing little there), `tidy` (share of the things in their place), `success`.
    """

    name: ClassVar[str] = "tidy_table"
    noun: ClassVar[str] = "receptacle"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "count": 3,
            "scales": MappingProxyType(
                {
                    **{name: 0.2 * scale for name, scale in PlaceTask.scales.items() if name != "success"},
                    "tidy": 0.5,
                    "success": 0.34,
                }
            ),
        }
    )

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        self._things: dict[str, tuple[int, ...]] = {}
        super().__init__(world, num_envs, object=object, config=config)
        self._ring = 0.0 if self.settings["count"] == 1 else 0.5
        self.left = np.zeros((num_envs, len(world.object_qpos)), dtype=np.bool_)

    def candidates(self) -> tuple[str, ...]:
        """See `Task`: what things can be put into."""
        return tuple(place.name for place in self.receptacles if place.depth > 0)

    def fits(self, name: str, place: Receptacle) -> bool:
        """See `PlaceTask`: into it, beside others."""
        return self.world.outlines[name].radius + 0.004 < place.radius

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: at least `count` things that can be taken fit in at the same time."""
        count = self.settings["count"]
        if not isinstance(count, int) or count < 1:
            raise TaskError(f"task {self.name!r}: setting count must be a whole number from 1, got {count!r}")
        place = next(p for p in self.receptacles if p.name == name)
        things = []
        for other in self.world.objects:
            hollow = other == name or not self.fits(other, place)
            if not hollow and super(PlaceTask, self).unsuitable(other) is None:
                things.append(other)
        if len(things) < count:
            return f"only {len(things)} things that can be taken fit into it, {count} are asked for"
        chosen = sorted(things, key=lambda n: self.world.outlines[n].radius)[:count]
        if sum(self.world.outlines[n].radius ** 2 for n in chosen) > 0.6 * place.radius**2:
            return f"too small for {count} things at once"
        self._things[name] = tuple(self.world.objects.index(n) for n in chosen)
        return None

    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """See `Task`."""
        chosen = self.names[int(self.targets[rng.integers(len(self.targets))])]
        place = next(k for k, p in enumerate(self.receptacles) if p.name == chosen)
        things = self._things[chosen]
        return Draw(things[0], np.zeros(3), place, things)

    def choose(self, ids: Ids, draws: Sequence[Draw]) -> None:
        """See `Task`."""
        self.left[ids] = False
        for row, draw in zip(ids, draws, strict=True):
            self.left[row, list(draw.things)] = True
        super().choose(ids, draws)

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        inside = self._inside(sensors)
        todo = self.left & ~inside
        following = np.where(todo.any(axis=1), todo.argmax(axis=1), self.target)
        changed = following != self.target
        self.target[changed] = following[changed]
        self.start[changed] = self.place(sensors)[changed]
        count = np.maximum(self.left.sum(axis=1), 1)
        done = (self.left & inside).sum(axis=1) / count
        over = done == 1.0
        return {**self.staged(sensors, over), "tidy": done}, over

    def spot(self, sensors: Sensors, target: NDArray[np.int64]) -> Array:
        """See `PlaceTask`: things go side by side, each to its place on a circle about the middle."""
        rank = np.take_along_axis(np.cumsum(self.left, axis=1), target[:, None], axis=1)[:, 0]
        angle = 2 * np.pi * rank / np.maximum(self.left.sum(axis=1), 1)
        away = self._ring * np.stack([np.cos(angle), np.sin(angle), np.zeros(len(angle))], axis=1)
        return self.floor(sensors, self.other) + self.look("place_radius", self.other)[:, None] * away

    def describe(self, sensors: Sensors) -> dict[str, Array]:
        """See `Task`: the next thing, and the share that is done."""
        todo = (self.left & ~self._inside(sensors)).sum(axis=1) / np.maximum(self.left.sum(axis=1), 1)
        return {**super().describe(sensors), "share_left": todo[:, None]}

    def drawn(self, row: int) -> Draw:
        """See `Task`."""
        return dataclasses.replace(super().drawn(row), things=tuple(int(k) for k in np.flatnonzero(self.left[row])))

    def get_state(self) -> dict[str, NDArray[Any]]:
        """See `Task`."""
        return {**super().get_state(), "left": self.left}

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        things = [self.world.objects[k] for k in sorted(draw.things)]
        listed = (
            ", ".join(f"the {thing}" for thing in things[:-1]) + f" and the {things[-1]}" if things[1:] else things[0]
        )
        return f"tidy up: put {listed} into the {self.receptacle(draw)}"

    def _inside(self, sensors: Sensors) -> NDArray[np.bool_]:
        """Whether (n, K) each object rests in the receptacle."""
        inside = np.zeros(self.left.shape, dtype=np.bool_)
        for k in np.flatnonzero(self.left.any(axis=0)):
            inside[:, k] = self.there(sensors, np.full(len(self.left), k), self.other)
        return inside

    def allowed(self, target: NDArray[np.int64], place: NDArray[np.int64]) -> Array:
        """See `PlaceTask`: anywhere in it."""
        return self.look("place_radius", place)

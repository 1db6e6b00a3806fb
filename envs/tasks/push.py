"""Push: move object k along its support to a goal, without taking it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..pushes import PushPlan, plan_push
from ..rewards import tolerance
from ..simulator import Array, Sensors
from ..world import World
from .object_task import ObjectTask
from .task import Draw

_PLANNED = ("height", "lean", "opening", "bottom")


class Push(ObjectTask):
    """Bring the target's centre to within `radius` of a goal 6 to 19 cm away on the same support.

    Reward terms: `reach` (grip near the target), `progress` (share of the way done), `success`.

    Settings: `radius` [m]; `scales`.
    """

    name: ClassVar[str] = "push"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"radius": 0.03, "scales": MappingProxyType({"reach": 0.2, "progress": 0.5, "success": 0.3})}
    )

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        self.plans: dict[str, PushPlan] = {}
        super().__init__(world, num_envs, object=object, config=config)

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: the target must be light and small enough, with a free way to push it within reach."""
        plan, reason = plan_push(self.world, self.planner, name)
        if plan is None:
            return reason
        self.plans[name] = plan
        return None

    def tables(self) -> dict[str, NDArray[Any]]:
        """See `Task`; of every object how it is pushed, see `PushPlan`, and where its sides look in its own frame."""
        count = len(self.world.objects)
        found: dict[str, NDArray[Any]] = {f"push_{name}": np.zeros(count) for name in _PLANNED}
        half, sides = np.zeros((count, 2)), np.zeros((count, 2, 3))
        for index, name in enumerate(self.world.objects):
            plan = self.plans.get(name)
            if plan is None:
                continue
            for word in _PLANNED:
                found[f"push_{word}"][index] = getattr(plan, word)
            half[index] = plan.outline.half
            scanned = rotations.from_quaternion(self.world.home_qpos[self.world.object_qpos[index, 3:]])
            sides[index] = np.c_[plan.outline.axes, [0, 0]] @ scanned
        return {**super().tables(), **found, "push_half": half, "push_sides": sides}

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """See `ObjectTask`: one of the free ways, drawn evenly, with up to a centimetre more or less."""
        offsets = self.plans[self.world.objects[target]].offsets
        offset = offsets[rng.integers(len(offsets))] * (1 + rng.uniform(-0.05, 0.05))
        return np.asarray(position + np.array([*offset, 0.0]))

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        position = self.place(sensors)
        left = _flat(self.goal - position)
        whole = np.maximum(_flat(self.goal - self.start), 1e-6)
        grip = sensors["grip_pos"] - position
        apart = np.sqrt(grip[:, 0] * grip[:, 0] + grip[:, 1] * grip[:, 1] + grip[:, 2] * grip[:, 2])
        success = left < float(self.settings["radius"])
        terms = {
            "reach": tolerance(apart, bounds=(0.0, 0.06), margin=0.25),
            "progress": np.clip(1 - left / whole, 0.0, 1.0),
        }
        return terms, success

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"push the {self.names[draw.target]} to the goal"


def _flat(v: Array) -> Array:
    """Horizontal length (n,) of vectors (n, 3)."""
    return np.asarray(np.sqrt(v[:, 0] * v[:, 0] + v[:, 1] * v[:, 1]))

"""Push: move object k along its support to a goal, without taking it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..pushes import PushPlan, plan_push
from ..rewards import reaching
from ..simulator import Array, Sensors
from ..world import World
from .object_task import ObjectTask
from .task import Draw, touching, upright

_PLANNED = ("height", "lean", "opening", "bottom")
_DEEP = 0.03  # fingers reach at most so far [m] below the top of what they move
_CLEAR = 0.02  # they pass so far [m] over its top
_IN_HAND = 0.05  # nearer [m] than this to the grip, what both pads touch may be the target


class Push(ObjectTask):
    """Bring the target's centre to within `radius` of a goal 6 to 19 cm away on the same support.

    Any way of moving it will do: from behind, between the fingers, or from inside if it is hollow.

    Reward terms: `reach` (grip near the middle of the target, in a tall one below its top, by the way over the top),
    `upright` (hand pointing down), `hold` (both pads on something, the target between them), `progress` (share of the
    way done), `success`. All but `progress` are 1 when the target is there.

    Settings: `radius` [m]; `scales`.
    """

    name: ClassVar[str] = "push"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "radius": 0.03,
            "scales": MappingProxyType(
                {"reach": 0.25, "upright": 0.05, "hold": 0.15, "progress": 0.35, "success": 0.2}
            ),
        }
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
        """See `Task`; of every object how it is pushed, see `PushPlan`, where its sides look in its own frame, and how
        high [m] above its frame its top is, and the middle that `reach` leads to.
        """
        shapes = [self.world.outlines[name] for name in self.world.objects]
        count = len(shapes)
        frame = self.world.home_qpos[self.world.object_qpos[:count, 2]]
        top = np.array([shape.high for shape in shapes]) - frame
        middle = np.array([(shape.high + shape.low) / 2 for shape in shapes]) - frame
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
        inside = np.maximum(middle, top - _DEEP)
        return {
            **super().tables(),
            **found,
            "push_half": half,
            "push_sides": sides,
            "push_top": top,
            "push_inside": inside,
        }

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """See `ObjectTask`: one of the free ways, drawn evenly, with up to a centimetre more or less."""
        offsets = self.plans[self.world.objects[target]].offsets
        offset = offsets[rng.integers(len(offsets))] * (1 + rng.uniform(-0.05, 0.05))
        return np.asarray(position + np.array([*offset, 0.0]))

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        position = self.place(sensors)
        left = rotations.flat_norm(self.goal - position)
        whole = np.maximum(rotations.flat_norm(self.goal - self.start), 1e-6)
        success = left < float(self.settings["radius"])
        apart = sensors["grip_pos"] - position
        inside = self.look("push_inside", self.target)
        apart[:, 2] -= inside
        distance, flat = rotations.norm(apart), rotations.flat_norm(apart)
        held = touching(sensors).all(axis=1) & (distance < _IN_HAND)
        # Beside the target the way leads over its top.
        down = self.look("push_top", self.target) + _CLEAR - inside
        beside = (flat > _IN_HAND) & (apart[:, 2] < down)
        way = np.where(beside, flat + 2 * down - apart[:, 2], distance)
        terms = {
            "reach": np.where(success, 1.0, reaching(way)),
            "upright": np.where(success, 1.0, upright(sensors)),
            "hold": np.where(success | held, 1.0, 0.0),
            "progress": np.clip(1 - left / whole, 0.0, 1.0),
        }
        return terms, success

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"push the {self.names[draw.target]} to the goal"

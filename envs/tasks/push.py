"""Push: move object k along its support to a goal, without taking it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..marks import Mark
from ..pushes import PushPlan, plan_push
from ..rewards import reaching
from ..simulator import Array, Ids, Sensors
from ..world import World
from .object_task import ObjectTask
from .task import Draw, upright

_PLANNED = ("height", "lean", "opening", "bottom")
_GAP = 0.012  # behind the target: so far [m] between its side and the grip


class Push(ObjectTask):
    """Bring the target's centre to within `radius` of a goal 8 to 19 cm away on the same support.

    Pictures mark the goal as a green disc of that radius.

    Any way of moving it will do: from behind, between the fingers, or from inside if it is hollow.

    Reward terms: `reach` (grip near the place behind the target, by the way around it), `upright` (hand pointing
    down), `near` (target near its goal), `success`. All but `near` are 1 when the target is there.

    Settings: `radius` [m]; `scales`.
    """

    name: ClassVar[str] = "push"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "radius": 0.05,
            "scales": MappingProxyType({"reach": 0.25, "upright": 0.05, "near": 0.5, "success": 0.2}),
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
        high [m] above its frame its top is.
        """
        shapes = [self.world.outlines[name] for name in self.world.objects]
        count = len(shapes)
        frame = self.world.home_qpos[self.world.object_qpos[:count, 2]]
        top = np.array([shape.high for shape in shapes]) - frame
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
        return {
            **super().tables(),
            **found,
            "push_half": half,
            "push_sides": sides,
            "push_top": top,
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
        success = left < float(self.settings["radius"])
        terms = {
            "reach": np.where(success, 1.0, reaching(self.left_to_behind(sensors))),
            "upright": np.where(success, 1.0, upright(sensors)),
            "near": reaching(left),
        }
        return terms, success

    def mark(self) -> Mark:
        """See `Task`: where the target's centre is to be, on its support."""
        return Mark(self._below, float(self.settings["radius"]), flat=True)

    def way(self, sensors: Sensors) -> Array:
        """Horizontal unit vectors (n, 2) from each target to its goal."""
        apart = (self.goal - self.place(sensors))[:, :2]
        return np.asarray(apart / np.maximum(rotations.flat_norm(apart), 1e-6)[:, None])

    def sides(self, sensors: Sensors) -> Array:
        """Where (n, 2, 2) the long and the short side of each target look now: horizontal unit vectors."""
        matrix, edges = self.frame(sensors), self.look("push_sides", self.target)
        return np.stack([rotations.rotate(matrix, edges[:, k]) for k in (0, 1)], axis=1)[:, :, :2]

    def extent(self, sides: Array, way: Array) -> Array:
        """How far (n,) [m] each target with `sides` (n, 2, 2) reaches from its middle along unit vectors (n, 2)."""
        along = np.abs((sides * way[:, None]).sum(axis=2))
        return np.asarray((along * self.look("push_half", self.target)).sum(axis=1))

    def low(self, position: Array) -> Array:
        """Height (n,) [m] at which targets at positions (n, 3) are pushed."""
        return np.asarray(
            position[:, 2] - self.look("push_bottom", self.target) + self.look("push_height", self.target)
        )

    def left_to_behind(self, sensors: Sensors) -> Array:
        """Way (n,) of the grip to where it touches the target from behind, around what is in between [m]."""
        position, grip, way = self.place(sensors), sensors["grip_pos"], self.way(sensors)
        extent, low = self.extent(self.sides(sensors), way), self.low(position)
        behind = np.concatenate([position[:, :2] - way * (extent + _GAP)[:, None], low[:, None]], axis=1)
        apart = (grip - position)[:, :2]
        away, height = rotations.flat_norm(apart), grip[:, 2] - low
        # Around a circle: straight until a tangent touches it, along it, and straight again.
        angle = np.arccos(np.clip(-(apart * way).sum(axis=1) / np.maximum(away, 1e-6), -1.0, 1.0))
        far, near = np.maximum(away, extent), extent + _GAP
        bend = angle - np.arccos(np.clip(extent / far, 0.0, 1.0)) - np.arccos(extent / near)
        around = np.sqrt(far**2 - extent**2) + np.sqrt(near**2 - extent**2) + extent * bend
        under = grip[:, 2] < position[:, 2] + self.look("push_top", self.target)
        flat = np.where(under & (bend > 0), around, rotations.flat_norm(grip - behind))
        return np.asarray(np.sqrt(flat * flat + height * height))

    def _below(self, ids: Ids) -> Array:
        """Where (m, 3) the goals of worlds (m,) lie on the support."""
        bottom = self.look("push_bottom", self.target)[ids]
        return np.asarray(self.goal[ids] - bottom[:, None] * [0, 0, 1])

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"push the {self.names[draw.target]} to the goal"

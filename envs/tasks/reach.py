"""Reach: bring the point between the pads to a goal in the air."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..grasps import GraspPlanner, grasp_frame
from ..marks import Mark
from ..rewards import tolerance
from ..simulator import Array, Sensors
from ..world import World
from .task import Draw, Start, Task

_TRIED = 64


class Reach(Task):
    """Hold the grip within `radius` of a goal above the support, anywhere the arm can point down.

    Pictures mark the goal as a green ball of that radius.

    Settings: `radius` [m]; `low`, `high`: heights [m] of goals above everything in reach; `scales`.

    Reward terms: `reach` (grip near the goal, felt from half a metre), `near` (the same, felt from ten centimetres),
    `success`.
    """

    name: ClassVar[str] = "reach"
    noun: ClassVar[str] = "robot"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "radius": 0.02,
            "low": 0.06,
            "high": 0.30,
            "scales": MappingProxyType({"reach": 0.3, "near": 0.4, "success": 0.3}),
        }
    )

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(world, num_envs, object=object, config=config or {})
        tops = [world.outlines[name].high for name in world.mount.in_reach if name in world.outlines]
        self._base = max(tops, default=float(world.base_pos[2]))
        self._goals = self._reachable()

    def candidates(self) -> tuple[str, ...]:
        """See `Task`: the robot's hand is all there is."""
        return ("gripper",)

    def unsuitable(self, name: str) -> str | None:
        """See `Task`."""
        return None

    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """See `Task`: between two points of the reachable set, near the first."""
        goal = self._goals[rng.integers(len(self._goals))] + rng.uniform(-0.02, 0.02, 3)
        return Draw(0, goal)

    def place(self, sensors: Sensors) -> Array:
        """See `Task`."""
        return sensors["grip_pos"]

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        distance = rotations.norm(self.goal - sensors["grip_pos"])
        success = distance < float(self.settings["radius"])
        near = tolerance(distance, bounds=(0.0, float(self.settings["radius"])), margin=0.08)
        return {"reach": tolerance(distance, bounds=(0.0, 0.005), margin=0.4), "near": near}, success

    def mark(self) -> Mark:
        """See `Task`: the goal."""
        return Mark(lambda ids: self.goal[ids], float(self.settings["radius"]), flat=False)

    def describe(self, sensors: Sensors) -> dict[str, Array]:
        """See `Task`."""
        return {
            "goal_pos": self.in_base(self.goal),
            "goal_from_grip": self.turned_to_base(self.goal - sensors["grip_pos"]),
        }

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        x, y, z = 100 * self.world.base_mat.T @ (draw.goal - self.world.base_pos)
        side = "left" if y >= 0 else "right"
        return f"reach the point {x:.0f} cm ahead, {abs(y):.0f} cm to the {side} and {z:.0f} cm up"

    def _reachable(self) -> Array:
        """Points (m, 3) above the support that the arm reaches pointing down, touching nothing: a fixed set."""
        rng = np.random.default_rng(0)
        near, far = self.world.arm.reach
        angle, distance = rng.uniform(-0.7, 0.7, _TRIED), rng.uniform(near + 0.05, far, _TRIED)
        height = rng.uniform(float(self.settings["low"]), float(self.settings["high"]), _TRIED)
        local = np.stack([distance * np.cos(angle), distance * np.sin(angle), np.zeros(_TRIED)], axis=1)
        points = self.world.base_pos + rotations.rotate(self.world.base_mat, local)
        points[:, 2] = self._base + height
        closing = np.tile(self.world.base_mat[:, 1], (_TRIED, 1))
        found = GraspPlanner(self.world).reaches(points[:, None], grasp_frame(closing), self.world.arm.max_opening)
        return points[found]

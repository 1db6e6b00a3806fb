"""Lift: take object k from above and hold it above its start."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..grasps import Grasp, GraspPlanner
from ..rewards import tolerance
from ..simulator import Array, Sensors
from ..world import World
from .task import Task


class Lift(Task):
    """Raise the target by `height` and hold it still between the pads.

    Reward terms: `reach` (grip near the grasp point), `grasp` (both pads on something, the target between them), `lift`
    (share of the height, while grasped), `success`.

    Settings: `height` [m]; `still` [m/s], the speed below which the target counts as held; `scales`.
    """

    name: ClassVar[str] = "lift"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "height": 0.10,
            "still": 0.15,
            "scales": MappingProxyType({"reach": 0.15, "grasp": 0.2, "lift": 0.45, "success": 0.2}),
        }
    )

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        self._planner: GraspPlanner | None = None
        self.grasps: dict[str, Grasp] = {}
        super().__init__(world, num_envs, object=object, config=config or {})
        none = np.zeros(3)
        self.grasp_position = np.array([self.grasps[n].position if n in self.grasps else none for n in world.objects])
        self.grasp_axis = np.array([self.grasps[n].axis if n in self.grasps else none for n in world.objects])
        self.grasp_opening = np.array([self.grasps[n].opening if n in self.grasps else 0.0 for n in world.objects])
        self._planner = None

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: the target must be light and narrow enough and graspable from above within reach."""
        if self._planner is None:
            self._planner = GraspPlanner(self.world)
        grasp, reason = self._planner.plan(name, lift=float(self.settings["height"]) + 0.02)
        if grasp is None:
            return reason
        self.grasps[name] = grasp
        return None

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """See `Task`: straight above the start."""
        return np.asarray(position + np.array([0, 0, float(self.settings["height"])]))

    def grasp_point(self, sensors: Sensors) -> tuple[Array, Array]:
        """Where (n, 3) to grasp each target now [m], and the closing direction (n, 3)."""
        rotation = rotations.from_quaternion(sensors["object_quat"][self._rows, self.target])
        point = self.object_pos(sensors) + rotations.rotate(rotation, self.grasp_position[self.target])
        return point, rotations.rotate(rotation, self.grasp_axis[self.target])

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        height = float(self.settings["height"])
        point, _ = self.grasp_point(sensors)
        distance = rotations.norm(point - sensors["grip_pos"])
        touching = (sensors["pad_force"] > 0.1).all(axis=1)
        grasped = touching & (distance < 0.03)
        raised = self.object_pos(sensors)[:, 2] - self.start[:, 2]
        success = grasped & (raised >= height) & (self.object_speed(sensors) < float(self.settings["still"]))
        terms = {
            "reach": tolerance(distance, bounds=(0.0, 0.01), margin=0.25),
            "grasp": grasped.astype(np.float64),
            "lift": np.where(grasped, np.clip(raised / height, 0.0, 1.0), 0.0),
        }
        return terms, success

    def sentence(self, name: str) -> str:
        """See `Task`."""
        return f"lift the {name} and hold it {100 * float(self.settings['height']):.0f} cm above its place"

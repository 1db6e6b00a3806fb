"""Tasks whose targets are free objects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..grasps import Grasp, GraspPlanner
from ..simulator import Array, Sensors
from ..world import World
from .task import Draw, Start, Task, touching


class ObjectTask(Task):
    """Base of tasks that move one free object of the scene."""

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        self._planner: GraspPlanner | None = None
        super().__init__(world, num_envs, object=object, config=config or {})
        self._planner = None  # plans are made; a planner holds a model of its own

    @property
    def planner(self) -> GraspPlanner:
        """Plans grasps and pushes while targets are chosen."""
        if self._planner is None:
            self._planner = GraspPlanner(self.world)
        return self._planner

    @abstractmethod
    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """A goal (3,) for an episode whose target starts at `position` (3,)."""

    def candidates(self) -> tuple[str, ...]:
        """See `Task`: the free objects."""
        return self.world.objects

    def tables(self) -> dict[str, NDArray[Any]]:
        """See `Task`."""
        sizes = [self.world.scene.object(name).size for name in self.world.objects]
        return {**super().tables(), "size": np.array(sizes).reshape(-1, 3)}

    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """See `Task`."""
        target = int(self.targets[rng.integers(len(self.targets))])
        return Draw(target, self.draw_goal(rng, target, start.object_pos[target]))

    def place(self, sensors: Sensors) -> Array:
        """See `Task`."""
        return sensors["object_pos"][self._rows, self.target]

    def frame(self, sensors: Sensors) -> Array:
        """Frame (n, 3, 3) of each world's target."""
        return sensors["object_mat"][self._rows, self.target]

    def speed(self, sensors: Sensors) -> Array:
        """Linear speed (n,) of each world's target [m/s]."""
        return rotations.norm(sensors["object_vel"][self._rows, self.target, :3])

    def aim(self, sensors: Sensors) -> Array:
        """Where (n, 3) the target is to be [m]: the goal, if it does not move."""
        return self.goal

    def describe(self, sensors: Sensors) -> dict[str, Array]:
        """See `Task`."""
        position = self.place(sensors)
        return {
            "object_pos": self.in_base(position),
            "object_axes": self.axes_in_base(self.frame(sensors)),
            "object_vel": self.turned_to_base(sensors["object_vel"][self._rows, self.target, :3]),
            "object_size": self.look("size", self.target),
            "object_from_grip": self.turned_to_base(position - sensors["grip_pos"]),
            "goal_from_object": self.turned_to_base(self.aim(sensors) - position),
        }


class GraspTask(ObjectTask):
    """Base of tasks that take their target from above.

    Attributes:
        grasps: how each suitable object is taken.
    """

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        self.grasps: dict[str, Grasp] = {}
        super().__init__(world, num_envs, object=object, config=config)

    def tables(self) -> dict[str, NDArray[Any]]:
        """See `Task`; of every object, `grasp_opening` is that of the hand while approaching [m]."""
        found, none = [self.grasps.get(name) for name in self.world.objects], np.zeros(3)
        return {
            **super().tables(),
            "grasp_position": np.array([none if grasp is None else grasp.position for grasp in found]),
            "grasp_axis": np.array([none if grasp is None else grasp.axis for grasp in found]),
            "grasp_opening": np.array([0.0 if grasp is None else grasp.opening for grasp in found]),
        }

    @property
    def rise(self) -> float:
        """How high [m] the target is lifted at least."""
        return 0.12

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: the target must be light and narrow enough and graspable from above within reach."""
        if name not in self.grasps:
            grasp, reason = self.planner.plan(name, lift=self.rise)
            if grasp is None:
                return reason
            self.grasps[name] = grasp
        return None

    def grasp_point(self, sensors: Sensors, target: NDArray[np.int64] | None = None) -> tuple[Array, Array]:
        """Where (n, 3) to grasp each target (or objects (n,)) now [m], and the closing direction (n, 3)."""
        index = self.target if target is None else target
        rotation = sensors["object_mat"][self._rows, index]
        position, axis = self.look("grasp_position", index), self.look("grasp_axis", index)
        point = sensors["object_pos"][self._rows, index] + rotations.rotate(rotation, position)
        return point, rotations.rotate(rotation, axis)

    def holding(self, sensors: Sensors) -> tuple[Array, NDArray[np.bool_]]:
        """Distance (n,) of the grip from the grasp point [m], and whether (n,) both pads hold the target there."""
        point, _ = self.grasp_point(sensors)
        distance = rotations.norm(point - sensors["grip_pos"])
        return distance, touching(sensors).all(axis=1) & (distance < 0.03)

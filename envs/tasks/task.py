"""What a task is: suitable objects, an episode's draw, observation, reward and success, all from sensors."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import TaskError
from .. import rotations
from ..simulator import Array, Ids, Sensors
from ..world import World


@dataclass(frozen=True)
class Draw:
    """What the task chose for one episode: the target (index into `World.objects`) and a goal (3,) [m]."""

    target: int
    goal: Array


@dataclass(frozen=True)
class Evaluation:
    """One step of n worlds: raw reward terms in [0, 1], the dense and the sparse reward in [0, 1], and success."""

    terms: dict[str, Array]
    dense: Array
    success: NDArray[np.bool_]


class Task:
    """Base of all tasks; a subclass holds one task's decision process and nothing of the simulator.

    Class attributes:
        name: the keyword. config: default configuration; `scales` weighs the reward terms and sums to 1.
    """

    name: ClassVar[str]
    config: ClassVar[Mapping[str, Any]]

    def __init__(self, world: World, num_envs: int, *, object: str | int | None, config: Mapping[str, Any]) -> None:
        """Chooses the objects.

        Raises:
            TaskError: the named object does not suit, or none of the scene does; the message gives the reasons.
        """
        self.world = world
        self.settings = _merged(self.name, self.config, config)
        self.targets = self._select(object)
        self.target = np.zeros(num_envs, dtype=np.int64)
        self.start = np.zeros((num_envs, 3))
        self.goal = np.zeros((num_envs, 3))
        self._rows = np.arange(num_envs)
        self._sizes = np.array([world.scene.object(name).size for name in world.objects])

    # -- what a subclass says --------------------------------------------------------------------------------------

    def unsuitable(self, name: str) -> str | None:
        """Why a free object cannot be this task's target, in plain words; None if it can. May keep plans of its own."""
        raise NotImplementedError

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """A goal (3,) for an episode whose target starts at `position` (3,)."""
        raise NotImplementedError

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """Named reward terms (n,) in [0, 1], and success (n,)."""
        raise NotImplementedError

    def sentence(self, name: str) -> str:
        """The instruction in words for a target."""
        raise NotImplementedError

    # -- what all tasks share --------------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator, object_pos: Array) -> Draw:
        """Chooses target and goal of one episode; `object_pos` (K, 3) are the initial positions."""
        target = int(self.targets[rng.integers(len(self.targets))])
        return Draw(target, self.draw_goal(rng, target, object_pos[target]))

    def begin(self, ids: Ids, draws: Sequence[Draw], sensors: Sensors) -> None:
        """Starts episodes in worlds `ids` that the simulator has just reset."""
        self.target[ids] = [draw.target for draw in draws]
        self.goal[ids] = [draw.goal for draw in draws]
        self.start[ids] = sensors["object_pos"][ids, self.target[ids]]

    def evaluate(self, sensors: Sensors) -> Evaluation:
        """Reward terms and success of all worlds."""
        terms, success = self.terms(sensors)
        terms = {**terms, "success": success.astype(np.float64)}
        scales = self.settings["scales"]
        dense = np.zeros(len(success))
        for name, scale in scales.items():
            dense = dense + scale * terms[name]
        return Evaluation(terms, dense, success)

    def instruction(self, row: int) -> str:
        """The instruction of world `row`."""
        return self.sentence(self.world.objects[int(self.target[row])])

    def parts(self, sensors: Sensors) -> dict[str, Array]:
        """The parts of a state observation in their order, each (n, size), in the frame of the robot's base."""
        world, rows = self.world, self._rows
        position = self.object_pos(sensors)
        matrix = rotations.from_quaternion(sensors["object_quat"][rows, self.target])
        inverse = np.ascontiguousarray(world.base_mat.T)
        grip = sensors["grip_pos"]
        return {
            "joint_pos": sensors["joint_pos"],
            "joint_vel": sensors["joint_vel"],
            "gripper_width": sensors["gripper_width"][:, None],
            "pad_contact": (sensors["pad_force"] > 0.1).astype(np.float64),
            "grip_pos": rotations.rotate(inverse, grip - world.base_pos),
            "grip_axes": _two_axes(inverse @ sensors["grip_mat"]),
            "object_pos": rotations.rotate(inverse, position - world.base_pos),
            "object_axes": _two_axes(inverse @ matrix),
            "object_vel": rotations.rotate(inverse, sensors["object_vel"][rows, self.target, :3]),
            "object_size": self._sizes[self.target],
            "object_from_grip": rotations.rotate(inverse, position - grip),
            "goal_from_object": rotations.rotate(inverse, self.goal - position),
        }

    def object_pos(self, sensors: Sensors) -> Array:
        """Position (n, 3) of each world's target [m]."""
        return sensors["object_pos"][self._rows, self.target]

    def object_speed(self, sensors: Sensors) -> Array:
        """Linear speed (n,) of each world's target [m/s]."""
        return rotations.norm(sensors["object_vel"][self._rows, self.target, :3])

    def get_state(self) -> dict[str, NDArray[Any]]:
        """The live arrays that belong to an episode, one row a world."""
        return {"target": self.target, "start": self.start, "goal": self.goal}

    def _select(self, chosen: str | int | None) -> list[int]:
        objects = self.world.objects
        if chosen is None:
            reasons = {name: self.unsuitable(name) for name in objects}
            suitable = [objects.index(name) for name, reason in reasons.items() if reason is None]
            if not suitable:
                told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
                raise TaskError(f"task {self.name!r}: no object of scene {self.world.scene.name!r} suits ({told})")
            return suitable
        name = self._named(chosen)
        reason = self.unsuitable(name)
        if reason is not None:
            raise TaskError(f"task {self.name!r}: object {name!r} does not suit: {reason}")
        return [objects.index(name)]

    def _named(self, chosen: str | int) -> str:
        objects = self.world.objects
        if isinstance(chosen, str):
            if chosen in objects:
                return chosen
            fixed = [item.name for item in self.world.scene.objects if item.mobility == "fixed"]
            if chosen in fixed:
                raise TaskError(f"object={chosen!r} is fixed in the scene; choose a free one: {list(objects)}")
            close = difflib.get_close_matches(chosen, objects, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise TaskError(f"object={chosen!r} is not in the scene{hint}; choose one of {list(objects)}")
        if isinstance(chosen, bool) or not isinstance(chosen, (int, np.integer)):
            raise TaskError(f"object must be a name, an index or None, got {chosen!r}")
        if not 0 <= chosen < len(objects):
            raise TaskError(
                f"object={chosen} is out of range: the scene has {len(objects)} free objects {list(objects)}"
            )
        return objects[int(chosen)]


def _two_axes(matrix: Array) -> Array:
    """The first two columns (n, 6) of rotation matrices: a continuous description (Zhou et al., CVPR 2019)."""
    return np.concatenate([matrix[:, :, 0], matrix[:, :, 1]], axis=1)


def _merged(name: str, default: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(default))
    if unknown:
        raise TaskError(f"task {name!r} has no setting {unknown[0]!r}; it has {sorted(default)}")
    merged = {**default, **given}
    scales = {**default["scales"], **given.get("scales", {})}
    unknown = sorted(set(scales) - set(default["scales"]))
    if unknown:
        raise TaskError(f"task {name!r} has no reward term {unknown[0]!r}; it has {sorted(default['scales'])}")
    merged["scales"] = scales
    return merged

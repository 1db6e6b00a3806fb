"""What a task is: its targets, an episode's draw, observation, reward and success, all from sensors."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import TaskError
from ...scenes import Scene
from .. import rotations
from ..marks import Mark
from ..rewards import nearness
from ..robots.mount import BesideSupport, Mounting
from ..simulator import Array, Ids, Sensors
from ..world import World


@dataclass(frozen=True)
class Start:
    """The initial state of one episode before the task has its say; a task may move things by writing to the arrays.

    Attributes:
        joint_pos: (J,) [rad], of slides [m]. object_pos: (K, 3) [m]. object_quat: (K, 4). part_pos: (P,) [rad] or [m].
    """

    joint_pos: Array
    object_pos: Array
    object_quat: Array
    part_pos: Array


@dataclass(frozen=True)
class Draw:
    """What the task chose for one episode.

    Attributes:
        target: index into the task's `names`. goal: (3,) its meaning is the task's.
        other: index of what the target goes to, for tasks that have such a thing.
        things: indices of all objects that are to be moved, for tasks with several.
    """

    target: int
    goal: Array
    other: int = 0
    things: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """One step of n worlds: raw reward terms in [0, 1], the dense and the sparse reward in [0, 1], and success."""

    terms: dict[str, Array]
    dense: Array
    success: NDArray[np.bool_]


class Task(ABC):
    """Base of all tasks; a subclass holds one task's decision process and nothing of the simulator.

    A task is made for one scene: it chooses targets, draws episodes and finds words. Rewards and observations are of
    all worlds of a batch at once, which may be of several scenes: so they read what they need of a scene through
    `look`, row by row, and `join` and `assign` say which scene a world has.

    Class attributes:
        name: the keyword. config: default configuration; `scales` weighs the reward terms and sums to 1.
        noun: what a target is called in messages. robots: the kind of robot it is for, "arm" or "hand".

    Attributes:
        names: what may be a target at all (objects or parts of the world). targets: those that suit, as indices.
    """

    name: ClassVar[str]
    config: ClassVar[Mapping[str, Any]]
    noun: ClassVar[str] = "object"
    robots: ClassVar[str] = "arm"

    def __init__(self, world: World, num_envs: int, *, object: str | int | None, config: Mapping[str, Any]) -> None:
        """Chooses the targets.

        Raises:
            TaskError: the named target does not suit, or none of the scene does; the message gives the reasons.
        """
        self.world = world
        self.settings = _merged(self.name, self.config, config)
        self.names = self.candidates()
        self._rows = np.arange(num_envs)
        self._stacked: dict[str, NDArray[Any]] = {}
        self._spread: dict[str, NDArray[Any]] = {}
        self.target = np.zeros(num_envs, dtype=np.int64)
        self.other = np.zeros(num_envs, dtype=np.int64)
        self.start = np.zeros((num_envs, 3))
        self.goal = np.zeros((num_envs, 3))
        self.targets = self._select(object)

    # -- what a subclass says --------------------------------------------------------------------------------------

    @classmethod
    def mounting(cls, scene: Scene) -> Mounting:
        """How a place for the robot is found: beside the objects, unless a subclass says otherwise.

        Raises:
            TaskError: the scene has nothing of what the task is about.
        """
        return BesideSupport()

    @abstractmethod
    def candidates(self) -> tuple[str, ...]:
        """What may be a target at all."""

    @abstractmethod
    def unsuitable(self, name: str) -> str | None:
        """Why a candidate cannot be this task's target, in plain words; None if it can. May keep plans of its own."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """Chooses one episode's target and goal; may change `start`."""

    @abstractmethod
    def place(self, sensors: Sensors) -> Array:
        """Position (n, 3) of each world's target [m]."""

    @abstractmethod
    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """Named reward terms (n,) in [0, 1], and success (n,)."""

    @abstractmethod
    def sentence(self, draw: Draw) -> str:
        """The instruction of an episode in words."""

    @abstractmethod
    def describe(self, sensors: Sensors) -> dict[str, Array]:
        """What a state observation says of target and goal, each (n, size), in the frame of the robot's base."""

    def tables(self) -> dict[str, NDArray[Any]]:
        """What rewards, observations and experts read of this scene: constants, or arrays over its things."""
        tops = [self.world.outlines[name].high for name in self.world.mount.in_reach if name in self.world.outlines]
        return {
            "base_pos": self.world.base_pos,
            "base_mat": self.world.base_mat,
            "base_inverse": np.ascontiguousarray(self.world.base_mat.T),
            "top": np.array(max(tops, default=float(self.world.base_pos[2]))),
        }

    # -- worlds of several scenes ----------------------------------------------------------------------------------

    def join(self, tasks: Sequence[Task]) -> None:
        """Speaks for the tasks of several scenes from now on, itself the first; all worlds have the first scene."""
        tables = [task.tables() for task in tasks]
        for name in tables[0]:
            shapes = [table[name].shape for table in tables]
            largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
            stacked = np.zeros((len(tasks), *largest), dtype=tables[0][name].dtype)
            for row, table in enumerate(tables):
                part = (slice(row, row + 1), *(slice(size) for size in shapes[row]))
                stacked[part] = table[name]
            self._stacked[name] = stacked
            self._spread[name] = np.repeat(stacked[:1], len(self._rows), axis=0)

    def assign(self, ids: Ids, members: NDArray[np.int64]) -> None:
        """Gives worlds `ids` (m,) the scenes `members` (m,), as indices of the joined tasks."""
        for name, stacked in self._stacked.items():
            self._spread[name][ids] = stacked[members]

    def look(self, name: str, index: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Row by row, a table (n, ...) of each world's scene, or its entry number `index` (n,)."""
        if not self._spread:
            self.join([self])
        table = self._spread[name]
        return table if index is None else table[self._rows, index]

    # -- what all tasks share --------------------------------------------------------------------------------------

    def mark(self) -> Mark | None:
        """What pictures mark; None where what the task asks for can be seen, or is in its instruction."""
        return None

    def choose(self, ids: Ids, draws: Sequence[Draw]) -> None:
        """Takes what is to be done in worlds `ids` in the episodes that are about to begin there."""
        self.target[ids] = [draw.target for draw in draws]
        self.other[ids] = [draw.other for draw in draws]
        self.goal[ids] = [draw.goal for draw in draws]

    def begin(self, ids: Ids, sensors: Sensors) -> None:
        """Starts episodes in worlds `ids` that the simulator has just reset."""
        self.start[ids] = self.place(sensors)[ids]

    def evaluate(self, sensors: Sensors) -> Evaluation:
        """Reward terms and success of all worlds."""
        terms, success = self.terms(sensors)
        terms = {**terms, "success": success.astype(np.float64)}
        scales = self.settings["scales"]
        dense = np.zeros(len(success))
        for name, scale in scales.items():
            dense = dense + scale * terms[name]
        return Evaluation(terms, dense, success)

    def observe(self, sensors: Sensors) -> dict[str, Array]:
        """The parts of a state observation in their order, each (n, size), in the frame of the robot's base."""
        return {
            "joint_pos": sensors["joint_pos"],
            "joint_vel": sensors["joint_vel"],
            "gripper_width": sensors["gripper_width"][:, None],
            "pad_contact": touching(sensors).astype(np.float64),
            "grip_pos": self.in_base(sensors["grip_pos"]),
            "grip_axes": self.axes_in_base(sensors["grip_mat"]),
            **self.describe(sensors),
        }

    def in_base(self, point: Array) -> Array:
        """World points (n, 3) in the frame of the robot's base [m]."""
        return rotations.rotate(self.look("base_inverse"), point - self.look("base_pos"))

    def turned_to_base(self, vector: Array) -> Array:
        """World vectors (n, 3) in the axes of the robot's base."""
        return rotations.rotate(self.look("base_inverse"), vector)

    def axes_in_base(self, matrix: Array) -> Array:
        """First two columns (n, 6) of frames (n, 3, 3): a continuous description (Zhou et al., CVPR 2019)."""
        turned = self.look("base_inverse") @ matrix
        return np.concatenate([turned[:, :, 0], turned[:, :, 1]], axis=1)

    def drawn(self, row: int) -> Draw:
        """What was chosen for the present episode of world `row`."""
        return Draw(int(self.target[row]), self.goal[row], int(self.other[row]))

    def get_state(self) -> dict[str, NDArray[Any]]:
        """The live arrays that belong to an episode, one row a world."""
        return {"target": self.target, "other": self.other, "start": self.start, "goal": self.goal}

    def _select(self, chosen: str | int | None) -> list[int]:
        if chosen is not None:
            name = self._named(chosen)
            reason = self.unsuitable(name)
            if reason is not None:
                raise TaskError(f"task {self.name!r}: {self.noun} {name!r} does not suit: {reason}")
            return [self.names.index(name)]
        reasons = {name: self.unsuitable(name) for name in self.names}
        suitable = [self.names.index(name) for name, reason in reasons.items() if reason is None]
        if not suitable:
            told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or f"it has no {self.noun}"
            raise TaskError(f"task {self.name!r}: no {self.noun} of scene {self.world.scene.name!r} suits ({told})")
        return suitable

    def _named(self, chosen: str | int) -> str:
        names = self.names
        if isinstance(chosen, str):
            if chosen in names:
                return chosen
            fixed = [item.name for item in self.world.scene.objects if item.mobility == "fixed"]
            if chosen in fixed:
                raise TaskError(f"object={chosen!r} is fixed in the scene; choose one of {list(names)}")
            close = difflib.get_close_matches(chosen, names, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise TaskError(f"object={chosen!r} is no {self.noun} of the scene{hint}; choose one of {list(names)}")
        if isinstance(chosen, bool) or not isinstance(chosen, (int, np.integer)):
            raise TaskError(f"object must be a name, an index or None, got {chosen!r}")
        if not 0 <= chosen < len(names):
            raise TaskError(f"object={chosen} is out of range: the scene has {len(names)}: {list(names)}")
        return names[int(chosen)]


def upright(sensors: Sensors) -> Array:
    """(n,) 1 where the hand points straight down, 0.1 where it is tilted by 1.5 rad: the reward term of this name."""
    return nearness(np.arccos(np.clip(-sensors["grip_mat"][:, 2, 2], -1.0, 1.0)), margin=1.5)


def touching(sensors: Sensors) -> NDArray[np.bool_]:
    """(n, 2) whether each pad touches something."""
    return sensors["pad_force"] > 0.1


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

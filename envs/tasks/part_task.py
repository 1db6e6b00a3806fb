"""Tasks whose targets are doors, drawers and buttons."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...errors import TaskError
from ...scenes import Scene
from .. import rotations
from ..grasps import GraspPlanner
from ..rewards import tolerance
from ..robots.mount import Mounting
from ..robots.part_mount import APPROACH, InFrontOfParts
from ..simulator import Array, Sensors
from ..world import World
from .task import Draw, Start, Task

PATH_POINTS = 5
"""Points of a handle's path that the arm must reach."""
CLOSE_ENOUGH = 0.02
"""Share of the joint's range within which the goal counts as reached."""


class PartTask(Task):
    """Base of tasks that bring one part of the scene to a position of its joint.

    A hand follows the handle: `handle_at` says where it is at any position of the joint, for furniture that does not
    move itself. `goal` holds the joint position to reach and the one at the start [rad] or [m].

    Reward terms: `reach` (grip near the handle), `progress` (share of the way done), `success`.

    Class attributes:
        kinds: kinds of parts it is for. approach_opening: of the hand when it comes to the handle [m].
    """

    kinds: ClassVar[tuple[str, ...]]
    approach_opening: ClassVar[float] = 0.06

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        self._handles = _handle_frames(world)
        self._planner: GraspPlanner | None = GraspPlanner(world)
        self.flip = np.zeros(len(world.parts), dtype=np.bool_)
        super().__init__(world, num_envs, object=object, config=config or {})
        self._planner = None
        self._index = np.array([world.parts.index(name) for name in self.names], dtype=np.int64)

    def tables(self) -> dict[str, NDArray[Any]]:
        """See `Task`."""
        return {
            **super().tables(),
            "part_index": self._index,
            "part_range": self.world.part_range,
            "flip": self.flip,
            **{f"handle_{name}": values for name, values in self._handles.items()},
        }

    @classmethod
    def mounting(cls, scene: Scene) -> Mounting:
        """See `Task`: in front of the parts."""
        return InFrontOfParts(cls.parts_of(scene))

    @classmethod
    def parts_of(cls, scene: Scene) -> tuple[str, ...]:
        """Doors, drawers or buttons of a scene that the task is about.

        Raises:
            TaskError: the scene has none.
        """
        parts = [part for item in scene.objects for part in item.parts]
        names = tuple(part.name for part in parts if part.kind in cls.kinds and part.handle is not None)
        if not names:
            raise TaskError(
                f"task {cls.name!r}: scene {scene.name!r} has no {cls.noun} with a handle; choose another scene or task"
            )
        return names

    def candidates(self) -> tuple[str, ...]:
        """See `Task`: the parts of the right kinds that have a handle."""
        return self.parts_of(self.world.scene)

    # -- what a subclass may change --------------------------------------------------------------------------------

    @abstractmethod
    def bounds(self, name: str) -> tuple[float, float]:
        """Joint positions at which the target starts and is to end; a hand must be able to follow from one to other."""

    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """See `Task`: any of the suitable parts, from its start to its goal."""
        target = int(self.targets[rng.integers(len(self.targets))])
        first, last = self.bounds(self.names[target])
        start.part_pos[self._index[target]] = first
        return Draw(target, np.array([last, first, 0.0]))

    # -- what they share -------------------------------------------------------------------------------------------

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: the hand must be able to take the handle and to follow it all the way."""
        assert self._planner is not None
        index = self.world.parts.index(name)
        path = np.linspace(*self.bounds(name), PATH_POINTS)
        rows = np.full(PATH_POINTS, index)
        position, frame = _follow(path, **{word: values[rows] for word, values in self._handles.items()})
        before = position[:1] - APPROACH * frame[:1, :, 2]  # the hand comes from outside
        both = []
        for turned in (False, True):
            frames = rotations.half_turned(frame) if turned else frame
            both.append((np.concatenate([before, position]), np.concatenate([frames[:1], frames])))
        paths, frames = (np.stack(values) for values in zip(*both, strict=True))
        ways, reason = self._planner.follows(paths, frames, opening=self.approach_opening, ignore=name)
        if not ways.any():
            return reason
        self.flip[index] = not ways[0]
        return None

    def place(self, sensors: Sensors) -> Array:
        """See `Task`: where the handle is."""
        return sensors["handle_pos"][self._rows, self.part_index()]

    def frame(self, sensors: Sensors) -> Array:
        """The frame (n, 3, 3) of a hand that takes each target's handle now."""
        index = self.part_index()
        frame = sensors["handle_mat"][self._rows, index]
        return np.where(self.look("flip", index)[:, None, None], rotations.half_turned(frame), frame)

    def position(self, sensors: Sensors) -> Array:
        """Joint position (n,) of each target [rad] or [m]."""
        return sensors["part_pos"][self._rows, self.part_index()]

    def limits(self) -> Array:
        """Joint limits (n, 2) of each target."""
        return self.look("part_range", self.part_index())

    def part_index(self) -> NDArray[np.int64]:
        """Each target (n,) as an index among the world's parts."""
        return self.look("part_index", self.target)

    def handle_at(self, joint: Array) -> tuple[Array, Array]:
        """Where (n, 3) each target's handle is and its frame (n, 3, 3) when the joint is at (n,) [rad] or [m]."""
        index = self.part_index()
        return _follow(joint, **{name: self.look(f"handle_{name}", index) for name in self._handles})

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        now, (goal, begun) = self.position(sensors), self.goal[:, :2].T
        apart = rotations.norm(self.place(sensors) - sensors["grip_pos"])
        slack = CLOSE_ENOUGH * np.ptp(self.limits(), axis=1)
        way = np.where(goal == begun, 1.0, goal - begun)  # before the first episode there is none
        share = np.clip((now - begun) / way, 0.0, 1.0)
        success = (goal - now) * np.sign(way) <= slack
        return {"reach": tolerance(apart, bounds=(0.0, 0.015), margin=0.3), "progress": share}, success

    def describe(self, sensors: Sensors) -> dict[str, Array]:
        """See `Task`."""
        place, now = self.place(sensors), self.position(sensors)
        low, high = self.limits().T
        return {
            "handle_pos": self.in_base(place),
            "handle_axes": self.axes_in_base(self.frame(sensors)),
            "handle_from_grip": self.turned_to_base(place - sensors["grip_pos"]),
            "part_share": ((now - low) / (high - low))[:, None],
            "part_vel": sensors["part_vel"][self._rows, self.part_index()][:, None],
            "part_left": (self.goal[:, 0] - now)[:, None],
        }


def _handle_frames(world: World) -> dict[str, NDArray[Any]]:
    """Of every part at joint position 0: its handle's place and frame, its joint's axis and anchor, if it slides."""
    model, data = world.model, mujoco.MjData(world.model)
    data.qpos[:] = world.home_qpos
    count = len(world.parts)
    data.qpos[world.part_qpos[:count]] = 0.0
    mujoco.mj_kinematics(model, data)
    joints = np.array([model.joint(f"{name}_joint").id for name in world.parts], dtype=np.int64)
    sites = world.handle_sites[:count]
    return {
        "home": data.site_xpos[sites].copy(),
        "frame": data.site_xmat[sites].reshape(-1, 3, 3).copy(),
        "axis": data.xaxis[joints].copy(),
        "anchor": data.xanchor[joints].copy(),
        "slides": model.jnt_type[joints] == mujoco.mjtJoint.mjJNT_SLIDE,
    }


def _follow(
    joint: Array, *, home: Array, frame: Array, axis: Array, anchor: Array, slides: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Places (m, 3) and frames (m, 3, 3) of handles at joint positions (m,); rows as in `_handle_frames`."""
    turn = rotations.from_vector(np.where(slides[:, None], 0.0, axis * joint[:, None]))
    moved = np.where(slides[:, None], home + axis * joint[:, None], anchor + rotations.rotate(turn, home - anchor))
    return moved, turn @ frame

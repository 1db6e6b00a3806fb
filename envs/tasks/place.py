"""What PickPlace, Stack, Insert and TidyTable share: a target that is put into or onto something else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..grasps import easy_frame, home_grip
from ..receptacles import Receptacle, find_receptacle
from ..rewards import nearness, reaching
from ..simulator import Array, Sensors
from ..world import World
from .object_task import GraspTask
from .task import Draw, Start, touching, upright

RELEASE = 0.006
"""A thing is let go with its bottom so far [m] above the place it goes to."""
TRAVEL = 0.10
"""The hand comes to a place from so far [m] above it."""
_CLEAR = 0.02  # what is carried best passes so far [m] over the rim of its place
_FIRM = 30.0  # pads that press so hard [N] hold what is between them firmly
_STILL = 0.05  # [m/s]
_IN_HAND = 0.06  # nearer [m] than this to the grip, what both pads touch may be the target
_SINK, _RISE = 0.006, 0.012  # how far [m] below and above its place a thing's frame may come to rest


class PlaceTask(GraspTask):
    """Base of tasks that take a target and let go of it in its place.

    A receptacle is an object with a level place (see `envs.receptacles`); `fits` says which goes with which target.
    Each suitable target has a list of receptacles in `goes_to`; an episode draws one of them into `other`.

    Reward terms: `reach` (grip near the grasp point), `upright` (hand pointing down), `grasp` (both pads on something,
    the target between them, or it is over its place), `lift` (target raised over the rim, while held, or over its
    place), `carry` (share of the way across, as far as it is lifted), `lower` (target over its place and near it),
    `release` (pads pressing little, when it is down), `success`. All are 1 when the target is in its place.

    Class attributes:
        limit: horizontal distance [m] from the middle of the place within which the target counts as there.
    """

    limit: ClassVar[float] = 0.03
    scales: ClassVar[Mapping[str, float]] = {
        "reach": 0.15,
        "upright": 0.05,
        "grasp": 0.1,
        "lift": 0.1,
        "carry": 0.2,
        "lower": 0.1,
        "release": 0.1,
        "success": 0.2,
    }

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        names = [item.name for item in world.scene.objects]
        found = {name: find_receptacle(world, name) for name in names}
        self.receptacles: list[Receptacle] = [place for place in found.values() if place is not None]
        self.goes_to: dict[str, list[int]] = {}
        super().__init__(world, num_envs, object=object, config=config)

    def tables(self) -> dict[str, NDArray[Any]]:
        """See `Task`; `stands` is the height of each object's frame above its lowest point, as it stands at first."""
        world, places = self.world, self.receptacles
        home = world.home_qpos[world.object_qpos[: len(world.objects), 2]]
        return {
            **super().tables(),
            "place_index": np.array([place.index for place in places], dtype=np.int64),
            "place_floor": np.array([place.floor for place in places]).reshape(-1, 3),
            "place_depth": np.array([place.depth for place in places]),
            "place_radius": np.array([place.radius for place in places]),
            "stands": home - np.array([world.outlines[name].low for name in world.objects]),
            "height": np.array([world.outlines[name].high - world.outlines[name].low for name in world.objects]),
        }

    @property
    def rise(self) -> float:
        """See `GraspTask`: over the highest rim within reach."""
        place = max((p.depth for p in self.receptacles), default=0.0)
        return 0.12 + place

    @abstractmethod
    def fits(self, name: str, place: Receptacle) -> bool:
        """Whether an object can be put into or onto a place."""

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: graspable, nothing on it, and something else to put it into or onto."""
        carrying = [item.name for item in self.world.scene.objects if item.support == name]
        if carrying:
            return f"{carrying[0]} stands on it"
        reachable = [
            k
            for k, place in enumerate(self.receptacles)
            if place.name != name and self.fits(name, place) and self._in_reach(place)
        ]
        if not reachable:
            return "nothing within reach that it fits into or onto"
        reason = super().unsuitable(name)
        if reason is not None:
            return reason
        reachable = [k for k, ok in zip(reachable, self._carried(name, reachable), strict=True) if ok]
        if not reachable:
            return "the arm cannot hold it over anything that it fits into or onto"
        self.goes_to[name] = reachable
        return None

    def _carried(self, name: str, places: Sequence[int]) -> NDArray[np.bool_]:
        """Whether (m,) the hand that holds an object as it stands reaches each place, from above."""
        world, grasp = self.world, self.grasps[name]
        pose = world.home_qpos[world.object_qpos[world.index(name)]]
        matrix = rotations.from_quaternion(pose[None, 3:])
        height = float(pose[2] + rotations.rotate(matrix, grasp.position[None])[0, 2] - world.outlines[name].low)
        at = np.array([self._scanned(self.receptacles[k]) for k in places]) + np.array([0, 0, height + RELEASE])
        paths = np.stack([at + np.array([0, 0, TRAVEL]), at], axis=1)
        return self.planner.reaches(paths, easy_frame(*home_grip(world), at - world.base_pos), grasp.width)

    def _scanned(self, place: Receptacle) -> Array:
        """Middle (3,) of a place where the scene has it [m]."""
        if place.index < 0:
            return place.floor
        pose = self.world.home_qpos[self.world.object_qpos[place.index]]
        turned = rotations.rotate(rotations.from_quaternion(pose[None, 3:]), place.floor[None])
        return np.asarray(pose[:3] + turned[0])

    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """See `Task`: any suitable target and any place it fits."""
        target = int(self.targets[rng.integers(len(self.targets))])
        places = self.goes_to[self.names[target]]
        return Draw(target, np.zeros(3), places[rng.integers(len(places))])

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """See `ObjectTask`: the goal moves with the receptacle; see `aim`."""
        return np.zeros(3)

    def floor(self, sensors: Sensors, place: NDArray[np.int64]) -> Array:
        """Middle (n, 3) of the level place number `place` (n,) in each world now [m]."""
        index, floor = self.look("place_index", place), self.look("place_floor", place)
        free = index >= 0
        turned = rotations.rotate(sensors["object_mat"][self._rows, index], floor)
        moved = sensors["object_pos"][self._rows, index] + turned
        return np.where(free[:, None], moved, floor)

    def aim(self, sensors: Sensors) -> Array:
        """See `ObjectTask`: the target's frame when it stands in its place."""
        point = self.spot(sensors, self.target)
        point[:, 2] += self.look("stands", self.target)
        return point

    def spot(self, sensors: Sensors, target: NDArray[np.int64]) -> Array:
        """Where (n, 3) the lowest point of objects `target` (n,) is best put now [m]."""
        return self.floor(sensors, self.other)

    def there(self, sensors: Sensors, target: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether (n,) objects `target` (n,) rest in or on `place` (n,), however they are turned, and are let go of."""
        position = sensors["object_pos"][self._rows, target]
        apart = position - self.floor(sensors, place)
        flat = rotations.flat_norm(apart)
        # Standing or lying: its middle is no higher than when it stands, and not below the floor of the place.
        level = (apart[:, 2] > -_SINK) & (apart[:, 2] < self.look("stands", target) + _RISE)
        speed = rotations.norm(sensors["object_vel"][self._rows, target, :3])
        near = rotations.norm(position - sensors["grip_pos"]) < _IN_HAND
        held = near & touching(sensors).all(axis=1)
        return np.asarray((flat < self.allowed(target, place)) & level & (speed < _STILL) & ~held)

    def allowed(self, target: NDArray[np.int64], place: NDArray[np.int64]) -> Array:
        """Horizontal distance (n,) from the middle of the place within which the target counts as there [m]."""
        return np.full(len(target), self.limit)

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        there = self.there(sensors, self.target, self.other)
        return self.staged(sensors, there), there

    def staged(self, sensors: Sensors, done: NDArray[np.bool_]) -> dict[str, Array]:
        """Terms (n,) that lead the target to its place; where all is `done` (n,), they are 1."""
        distance, held = self.holding(sensors)
        aim, position = self.aim(sensors), self.place(sensors)
        flat, height = rotations.flat_norm(aim - position), position[:, 2] - aim[:, 2]
        over = (flat < self.allowed(self.target, self.other)) & (height > -_SINK)
        rim = aim[:, 2] + self.look("place_depth", self.other) + _CLEAR
        raised = (position[:, 2] - self.start[:, 2]) / np.maximum(rim - self.start[:, 2], 1e-3)
        lift = np.where(over, 1.0, held * np.clip(raised, 0.0, 1.0))
        pressing = sensors["pad_force"].min(axis=1) / _FIRM
        terms = {
            "reach": reaching(distance),
            "upright": upright(sensors),
            "grasp": (held | over).astype(np.float64),
            "lift": lift,
            "carry": lift * np.clip(1 - flat / np.maximum(rotations.flat_norm(aim - self.start), 1e-3), 0.0, 1.0),
            "lower": over * nearness(np.maximum(height, 0.0), margin=0.15),
            "release": (over & (height < _RISE)) * np.clip(1 - pressing, 0.0, 1.0),
        }
        return {name: np.where(done, 1.0, term) for name, term in terms.items()}

    def receptacle(self, draw: Draw) -> str:
        """Name of what the target of an episode goes to."""
        return self.receptacles[draw.other].name

    def _in_reach(self, place: Receptacle) -> bool:
        near, far = self.world.arm.reach
        distance = float(np.hypot(*(self.world.outlines[place.name].center - self.world.base_pos[:2])))
        return near <= distance <= far

"""Initial states: that of episode i is a pure function of (environment's keywords, seed, i) and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .simulator import Array, Episodes, Ids
from .tasks import Draw, Start, Task
from .world import World

_GAP = 0.001  # free space [m] jitter leaves between objects


def episode_rng(seed: int, index: int) -> np.random.Generator:
    """The random stream of episode `index` under `seed`: independent of all others (NumPy's SeedSequence)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def scene_rng(seed: int, index: int) -> np.random.Generator:
    """The random stream that chooses the scene of episode `index` under `seed`, where there are several."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, 1)))


class EpisodeSampler:
    """Draws the initial state of episodes: arm near home, objects at (or near) their scanned poses, the task's draw."""

    def __init__(self, world: World, task: Task, *, joint_noise: float, object_jitter: float) -> None:
        self._task = task
        self._home = world.home
        self._low, self._high = np.array(world.robot.joint_low), np.array(world.robot.joint_high)
        self._noise = joint_noise
        self._position = world.home_qpos[world.object_qpos[:, :3]]
        self._quaternion = world.home_qpos[world.object_qpos[:, 3:]]
        self._part_pos = world.home_qpos[world.part_qpos]
        self._room = jitter_room(world, object_jitter)
        self._radius = np.array([world.outlines[name].radius for name in world.objects])

    def draw(self, seed: int, index: int) -> tuple[Start, Draw]:
        """The initial state of episode `index` under `seed`, and the task's choice."""
        return self._one(episode_rng(seed, index))

    def _one(self, rng: np.random.Generator) -> tuple[Start, Draw]:
        # The order of draws is part of the contract: new ones go at the end.
        joints = self._home + rng.uniform(-self._noise, self._noise, len(self._home))
        joints = np.clip(joints, self._low, self._high)
        count = len(self._room)
        angle, reach = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
        turn = rng.uniform(-1, 1, count)
        # Half of the room for moving, half for turning: a corner at `radius` moves by at most radius * |turn|.
        half = self._room / 2
        position = self._position.copy()
        position[:count, 0] += half * reach * np.cos(angle)
        position[:count, 1] += half * reach * np.sin(angle)
        yaw = turn * np.minimum(half / self._radius, np.pi)
        quaternion = self._quaternion.copy()
        quaternion[:count] = _turned(quaternion[:count], yaw)
        start = Start(joints, position, quaternion, self._part_pos.copy())
        return start, self._task.draw(rng, start)


def stacked(starts: Sequence[Start], member: Ids) -> Episodes:
    """The initial states of m worlds, of scenes `member` (m,), for a simulator."""
    return Episodes(
        joint_pos=np.stack([start.joint_pos for start in starts]),
        object_pos=np.stack([start.object_pos for start in starts]),
        object_quat=np.stack([start.object_quat for start in starts]),
        part_pos=np.stack([start.part_pos for start in starts]),
        member=member,
    )


def jitter_room(world: World, jitter: float) -> Array:
    """How far (K,) each object may move [m] so that none meets another, leaves its support or what it carries."""
    room = np.zeros(len(world.objects))
    if jitter == 0:
        return room
    carried = {item.support for item in world.scene.objects}
    for index, name in enumerate(world.objects):
        item, shape = world.scene.object(name), world.outlines[name]
        if item.support not in world.surfaces or name in carried:
            continue
        plate = world.surfaces[item.support]
        corners = shape.center + np.array([[a, b] for a in (-1, 1) for b in (-1, 1)]) * shape.half @ shape.axes
        limit = float(plate.inside(corners).min())
        for other, outline in {**world.outlines, **world.surfaces}.items():
            if other not in (name, item.support) and outline.low < shape.high and outline.high > shape.low + 1e-3:
                # A neighbour that may move too gets half of the gap; a fixed one leaves all of it.
                share = 0.5 if other in world.objects else 1.0
                limit = min(limit, share * (shape.gap(outline) - _GAP))
        room[index] = min(max(limit, 0.0), jitter)
    return room


def _turned(quaternion: Array, yaw: Array) -> Array:
    """Quaternions (K, 4) turned by angles (K,) about the world's Z."""
    c, s = np.cos(yaw / 2), np.sin(yaw / 2)
    w, x, y, z = quaternion.T
    return np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], axis=1)

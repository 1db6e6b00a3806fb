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
        w, x, y, z = self._quaternion.T
        self._across = np.stack([-z, -y, x, w], axis=1)  # the quaternions times that of half a turn about Z
        self._part_pos = world.home_qpos[world.part_qpos]
        self._room = jitter_room(world, object_jitter)
        radius = np.array([world.outlines[name].radius for name in world.objects])
        self._most = np.minimum(self._room / 2 / radius, np.pi)[:, None]  # [rad]

    def draw(self, seed: int, index: int) -> tuple[Start, Draw]:
        """The initial state of episode `index` under `seed`, and the task's choice."""
        return self._one(episode_rng(seed, index))

    def _one(self, rng: np.random.Generator) -> tuple[Start, Draw]:
        # The order of draws is part of the contract: new ones go at the end.
        joints, count = len(self._home), len(self._room)
        drawn = rng.random(joints + 3 * count)
        noise, (angle, reach, turn) = drawn[:joints], drawn[joints:].reshape(3, count)
        joint_pos = self._home + (2 * self._noise * noise - self._noise)
        joint_pos = np.minimum(np.maximum(joint_pos, self._low), self._high)
        # Half of the room for moving, half for turning: a corner at `radius` moves by at most radius * |turn|.
        away, angle = self._room / 2 * np.sqrt(reach), 2 * np.pi * angle
        position = self._position.copy()
        position[:count, 0] += away * np.cos(angle)
        position[:count, 1] += away * np.sin(angle)
        yaw = (2 * turn[:, None] - 1) * self._most / 2
        quaternion = self._quaternion.copy()
        quaternion[:count] = np.cos(yaw) * quaternion[:count] + np.sin(yaw) * self._across[:count]
        start = Start(joint_pos, position, quaternion, self._part_pos.copy())
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

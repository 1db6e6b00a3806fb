"""Grasps hold: a held object does not creep, a hard push does not tunnel."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs import rotations

from .scenes import single

ID = "PocketWorlds/Scan-v0"


@pytest.mark.parametrize("mass", [0.1, 1.0])
def test_held_object_does_not_creep_in_ten_seconds(mass: float):
    env = gym.make(ID, scene=single((0.06, 0.05, 0.08), mass=mass), max_episode_steps=1000)
    env.reset(seed=0)
    expert, vector = make_expert(env), env.unwrapped.vector

    def in_hand() -> np.ndarray:
        s = vector.sensors()
        return rotations.rotate(s["grip_mat"].transpose(0, 2, 1), s["object_pos"][:, 0] - s["grip_pos"])[0]

    info: dict = {}
    for _ in range(90):
        *_, info = env.step(expert.act())
    assert info["is_success"]
    before = in_hand()
    for _ in range(200):
        *_, info = env.step(np.array([0, 0, 0, 0, 0, 0, -1], dtype=np.float32))
    assert info["is_success"]
    assert np.abs(in_hand() - before).max() < 1e-3


@pytest.mark.parametrize("scene", ["tabletop", "blocks", "sockets", "clutter", "kitchen", "desk", "shelf"])
def test_nothing_tunnels_when_dropped_from_one_metre(scene: str):
    env = gym.make(ID, scene=scene, task="reach")
    env.reset(seed=0)
    vector = env.unwrapped.vector
    batch, world = vector.simulator.batch, vector.world
    plate = world.surfaces[world.mount.support]
    batch.qpos[0, world.object_qpos[:, 2]] += 1.0
    landed = np.zeros(len(world.objects), bool)
    for _ in range(60):
        env.step(np.array([0, 0, 0, 0, 0, 0, 1], dtype=np.float32))
        position = vector.sensors()["object_pos"][0]
        over = plate.inside(position[:, :2]) > 0.06  # further in than anything reaches from its middle to tip over
        # A blow of 4.4 m/s goes in for a moment, never through the board of 20 or 40 mm.
        assert (position[over, 2] > plate.low).all()
        assert (position[:, 2] > 0).all()
        landed |= over & (position[:, 2] < plate.high + 0.2)
    assert (position[over, 2] > plate.high).all()
    assert landed.mean() >= 0.5


def test_pressing_on_the_table_does_not_go_through():
    env = gym.make(ID, object="can")
    env.reset(seed=0)
    for _ in range(60):
        env.step(np.array([0, 0, -1, 0, 0, 0, -1], dtype=np.float32))
    grip = env.unwrapped.vector.sensors()["grip_pos"][0]
    assert grip[2] > 0.72

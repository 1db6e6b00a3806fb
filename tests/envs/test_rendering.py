"""Pictures: a batch's equal those drawn one by one, and small ones show what large ones show."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

ID = "PocketWorlds/PickPlace-v0"


@pytest.mark.parametrize("obs_mode", ["rgb", "depth"])
def test_pictures_of_a_batch_equal_those_drawn_one_by_one(obs_mode: str):
    batch = gym.make_vec(ID, num_envs=3, obs_mode=obs_mode, image_size=64)
    pictures, _ = batch.reset(seed=5)
    moves = np.random.default_rng(0).uniform(-1, 1, (4, 3, 7)).astype(np.float32)
    singles = [gym.make(ID, obs_mode=obs_mode, image_size=64) for _ in range(3)]
    for j, single in enumerate(singles):
        np.testing.assert_array_equal(single.reset(seed=5 + j)[0], pictures[j])
    for move in moves:
        pictures, *_ = batch.step(move)
        for j, single in enumerate(singles):
            np.testing.assert_array_equal(single.step(move[j])[0], pictures[j])
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_small_pictures_show_what_large_ones_show():
    env = gym.make_vec(ID, num_envs=1, obs_mode="rgb", image_size=64).unwrapped
    small = env.reset(seed=0)[0][0].astype(float)
    large = env.simulator.images(np.arange(1), "front", ("rgb",), width=256, height=256)["rgb"][0].astype(float)
    shrunk = large.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - shrunk).mean() < 6  # of 255: edges only


def test_renderers_are_made_when_needed_and_say_what_they_are():
    env = gym.make_vec(ID, num_envs=1, obs_mode="state").unwrapped
    env.reset(seed=0)
    assert env.simulator._pictures._renderers == {}
    assert env.renderer_info.renderer == "gl"
    assert env.renderer_info.backend in ("egl", "osmesa", "glfw", "cgl", "wgl")
    assert env.renderer_info.device not in ("", "unknown")
    assert gym.make(ID).unwrapped.renderer_info == env.renderer_info
    env.close()


def test_only_worlds_that_begin_an_episode_are_drawn_twice(monkeypatch: pytest.MonkeyPatch):
    keywords = {"obs_mode": "rgb", "image_size": 16, "autoreset_mode": "SameStep", "max_episode_steps": 3}
    env = gym.make_vec(ID, num_envs=3, **keywords).unwrapped
    env.reset(seed=0)
    state = env.get_state()
    state.elapsed[1] = 2
    env.set_state(state)
    drawn: list[int] = []
    draw = env.simulator.images

    def images(ids, *args, **options):
        drawn.extend(ids)
        return draw(ids, *args, **options)

    monkeypatch.setattr(env.simulator, "images", images)
    observation, _, _, truncated, info = env.step(np.zeros((3, 7), np.float32))
    assert truncated.tolist() == [False, True, False]
    assert drawn == [0, 1, 2, 1]
    assert not np.array_equal(info["final_obs"][1], observation[1])
    np.testing.assert_array_equal(observation, env.observe())

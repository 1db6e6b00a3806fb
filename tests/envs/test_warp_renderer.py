"""Pictures of MuJoCo Warp's ray-caster beside those of OpenGL: two programs, the same scene."""

from __future__ import annotations

import importlib.util

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.envs import warp_rendering
from pocketworlds.errors import MissingDependencyError

ID = "PocketWorlds/PickPlace-v0"
installed = all(importlib.util.find_spec(name) is not None for name in ("warp", "mujoco_warp"))
with_warp = pytest.mark.skipif(not installed, reason="MuJoCo Warp is not installed: pip install 'pocketworlds[warp]'")


def make(renderer: str, **keywords):
    given = {"num_envs": 3, "obs_mode": "rgbd+segmentation", "image_size": (64, 48), **keywords}
    return gym.make_vec(ID, renderer=renderer, **given).unwrapped


def played(renderer: str, **keywords):
    env = make(renderer, **keywords)
    env.reset(seed=5)
    moves = np.random.default_rng(0).uniform(-1, 1, (6, env.num_envs, 7)).astype(np.float32)
    for move in moves:
        observation, *_ = env.step(move)
    return env, observation


@with_warp
def test_both_renderers_see_the_same():
    gl, theirs = played("gl")
    warp, ours = played("warp")
    assert gl.single_observation_space == warp.single_observation_space
    assert warp.observation_space.contains(ours)
    assert warp.segmentation_names == gl.segmentation_names
    assert np.mean(ours["segmentation"] == theirs["segmentation"]) > 0.97
    same = ours["segmentation"] == theirs["segmentation"]
    shown = same & (ours["segmentation"] > 0)
    apart = np.abs(ours["depth"] - theirs["depth"])
    assert np.quantile(apart[shown], 0.5) < 0.001
    assert np.quantile(apart[shown], 0.9) < 0.005
    background = same & (ours["segmentation"] == 0)
    np.testing.assert_allclose(ours["depth"][background], theirs["depth"][background], rtol=1e-3)
    colours, reference = ours["rgb"].astype(float), theirs["rgb"].astype(float)
    assert np.corrcoef(colours.ravel(), reference.ravel())[0, 1] > 0.95
    assert np.abs(colours - reference).mean() < 6  # of 255
    assert len({picture.tobytes() for picture in ours["rgb"]}) == 3


@with_warp
def test_pictures_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch):
    env, observation = played("warp")
    some = env.simulator.images(np.array([2, 0]), "front", ("rgb", "depth"), width=64, height=48)
    for kind, pictures in some.items():
        np.testing.assert_array_equal(pictures, observation[kind][[2, 0]])
    single = gym.make(ID, renderer="warp", obs_mode="rgb", image_size=(64, 48)).unwrapped
    start, _ = make("warp", obs_mode="rgb").reset(seed=5)
    np.testing.assert_array_equal(single.reset(seed=6)[0], start[1])
    monkeypatch.setattr(warp_rendering, "PIXELS", 2 * 64 * 48)  # two worlds in one call, then the third
    _, grouped = played("warp")
    for kind, pictures in grouped.items():
        np.testing.assert_array_equal(pictures, observation[kind])


@with_warp
def test_pictures_follow_a_state_that_is_put_back():
    env, observation = played("warp", obs_mode="rgb")
    state = env.get_state()
    for _ in range(3):
        env.step(np.ones((3, 7), np.float32))
    assert not np.array_equal(env.observe(), observation)
    env.set_state(state)
    np.testing.assert_array_equal(env.observe(), observation)


@with_warp
def test_films_have_smooth_edges_and_say_what_draws_them():
    env = make("warp", obs_mode="state", render_mode="rgb_array", render_size=(64, 48))
    env.reset(seed=0)
    frames = env.render()
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    rough = env.simulator.images(np.arange(3), "front", ("rgb",), width=64, height=48)["rgb"]
    assert 0 < np.abs(np.stack(frames).astype(float) - rough).mean() < 10
    assert env.renderer_info.renderer == "warp"
    assert env.renderer_info.device
    env.close()


def test_missing_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pocketworlds\[warp\]'"):
        gym.make(ID, renderer="warp")

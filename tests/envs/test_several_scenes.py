"""Different scenes in one batch: each goes as it goes alone; batches, states and pictures know which is which."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs import check_vector_env
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.envs.goals import GoalVectorEnv
from pocketworlds.envs.synthetic import random_scene
from pocketworlds.errors import TaskError

SCENES = ["tabletop", "kitchen", "blocks"]
ID = "PocketWorlds/Scan-v0"


def make(num_envs: int, scene=SCENES, **keywords):
    options = {"task": "lift", "object_jitter": 0.02, "max_episode_steps": None, "autoreset_mode": "Disabled"}
    return gym.make_vec(ID, num_envs=num_envs, scene=scene, **{**options, **keywords}).unwrapped


@pytest.mark.parametrize("index", range(3))
def test_every_scene_goes_as_it_goes_alone(index: int):
    several, alone = make(2), make(2, SCENES[index])
    seen, info = several.reset(seed=4, options={"scene": index})
    expected, told = alone.reset(seed=4)
    assert (info["scene_index"] == index).all()
    assert (info["instruction"] == told["instruction"]).all()
    # The same start; and the same way, but for the micrometre by which centres of mass are apart.
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    actions = np.random.default_rng(0).uniform(-1, 1, (15, 2, 7))
    for action in actions:
        seen, reward, *_ = several.step(action)
        expected, other, *_ = alone.step(action)
        np.testing.assert_allclose(seen, expected, atol=2e-3)
        np.testing.assert_allclose(reward, other, atol=1e-3)


def test_experts_solve_all_of_them_at_once():
    env = make(24, [*SCENES, "shelf", random_scene(1)])
    env.reset(seed=1)
    expert = make_expert(env)
    for _ in range(110):
        *_, info = env.step(expert.act())
    assert set(info["scene_index"]) == set(range(5))
    assert info["is_success"].mean() > 0.9


def test_doors_of_some_scenes_only():
    env = make(6, ["kitchen", "desk", "shelf"], task="open_drawer")
    env.reset(seed=0, options={"scene": np.array([0, 1, 2, 0, 1, 2])})
    expert = make_expert(env)
    for _ in range(120):
        *_, info = env.step(expert.act())
    assert info["is_success"].all()


def test_vector_contract_holds():
    check_vector_env(ID, scene=SCENES, task="lift", object_jitter=0.02, max_episode_steps=9)


def test_scene_is_a_function_of_seed_and_episode():
    env, other = make(16), make(4)
    drawn = []
    for _ in range(6):
        _, info = env.reset(seed=3 if not drawn else None)
        drawn.append(info["scene_index"])
    assert set(np.concatenate(drawn)) == {0, 1, 2}
    _, info = other.reset(seed=[5, 3, 18, 10], options={"episode": np.array([3, 0, 5, 2])})
    np.testing.assert_array_equal(info["scene_index"], [drawn[3][2], drawn[0][0], drawn[5][15], drawn[2][7]])


def test_state_brings_its_scene_back():
    env = make(4)
    actions = np.random.default_rng(1).uniform(-1, 1, (12, 4, 7))
    _, first = env.reset(seed=0, options={"scene": np.array([0, 1, 2, 1])})
    for action in actions[:6]:
        env.step(action)
    state = env.get_state()
    expected = [env.step(action)[0] for action in actions[6:]]
    env.reset(seed=9, options={"scene": np.array([2, 2, 0, 0])})
    env.set_state(state)
    for action, before in zip(actions[6:], expected, strict=True):
        observation, *_, info = env.step(action)
        np.testing.assert_array_equal(observation, before)
    np.testing.assert_array_equal(info["instruction"], first["instruction"])
    np.testing.assert_array_equal(info["scene_index"], [0, 1, 2, 1])


@pytest.mark.parametrize("index", [1, 2])
def test_goals_are_seen_from_the_base_of_each_scene(index: int):
    kind = {"task": "push", "reward_mode": "sparse"}
    several, alone = GoalVectorEnv(make(2, **kind)), GoalVectorEnv(make(2, SCENES[index], **kind))
    seen, _ = several.reset(seed=4, options={"scene": index})
    expected, _ = alone.reset(seed=4)
    np.testing.assert_allclose(seen["desired_goal"], expected["desired_goal"], atol=1e-6)
    np.testing.assert_allclose(seen["achieved_goal"], expected["achieved_goal"], atol=1e-6)


def test_pictures_show_the_scene():
    several, alone = (
        make(3, obs_mode="rgb", image_size=64),
        [make(1, name, obs_mode="rgb", image_size=64) for name in SCENES],
    )
    seen, _ = several.reset(seed=4, options={"scene": np.arange(3)})
    for index, env in enumerate(alone):
        expected, _ = env.reset(seed=4 + index)
        apart = np.abs(seen[index].astype(int) - expected[0])
        assert (apart > 8).mean() < 0.01
    assert np.abs(seen[0].astype(int) - seen[1]).mean() > 5


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(TaskError, match="empty list"):
        make(2, [])
    with pytest.raises(TaskError, match=r"scene.*from 0 to 2"):
        make(2).reset(seed=0, options={"scene": 3})
    table, kitchen = builtin_scene("tabletop"), builtin_scene("kitchen")
    cabinet = next(item for item in kitchen.objects if item.parts).model_copy(update={"mobility": "free"})
    scene = table.model_copy(update={"objects": (*table.objects, cabinet)})
    with pytest.raises(TaskError, match="cannot be stepped in one batch"):
        make(2, ["tabletop", scene])

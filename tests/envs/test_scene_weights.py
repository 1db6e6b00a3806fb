"""Which scene an episode draws: by its seed and index, biased by weights, without weights as ever."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.envs.episodes import scene_rng
from pocketworlds.envs.schedule import alias_table
from pocketworlds.envs.vector import WorldVectorEnv
from pocketworlds.errors import TaskError
from scipy import stats

SCENES = ["tabletop", "one_cube", "blocks"]


def make(num_envs: int = 4, **keywords) -> WorldVectorEnv:
    options = {"scene": SCENES, "object_jitter": 0.0, "num_threads": 1, "max_episode_steps": 2, **keywords}
    return gym.make_vec("PocketWorlds/Lift-v0", num_envs=num_envs, **options).unwrapped  # type: ignore[return-value]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda w: sum(w) > 1e-6))
def test_aliases_give_every_scene_its_weight(numbers: list[float]):
    weights = np.array(numbers) / np.sum(numbers)
    keep, alias = alias_table(weights)
    share = keep.copy()
    np.add.at(share, alias, 1 - keep)
    np.testing.assert_allclose(share / len(weights), weights, atol=1e-8)
    assert ((keep >= 0) & (keep <= 1)).all()


@pytest.mark.parametrize("weights", [np.ones(3), np.full(3, 1 / 3), [7, 7, 7], np.full(3, 0.1)])
def test_equal_weights_are_the_default_draw(weights):
    env = make()
    env.scene_weights = weights
    for episode in range(20):
        _, info = env.reset(seed=5, options={"episode": episode})
        expected = [scene_rng(5 + j, episode).integers(3) for j in range(4)]
        np.testing.assert_array_equal(info["scene_index"], expected)
    np.testing.assert_allclose(env.scene_weights, np.full(3, 1 / 3))


def test_scenes_come_up_as_often_as_weighed_and_only_those():
    env, weights = make(), np.array([0.6, 0.0, 0.2])
    env.scene_weights = weights
    drawn = np.array([env._schedule._drawn(seed, episode) for seed in range(40) for episode in range(50)])
    counts = np.bincount(drawn, minlength=3)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2]], 2000 * np.array([0.75, 0.25])).pvalue > 0.01


def test_what_gains_weight_keeps_the_draws_it_had():
    env = make()
    before = np.array([env._schedule._drawn(0, episode) for episode in range(500)])
    env.scene_weights = [1.2, 1.0, 0.8]
    after = np.array([env._schedule._drawn(0, episode) for episode in range(500)])
    changed = before != after
    assert 0 < changed.mean() < 0.15  # a fifteenth of all is moved
    assert (before[changed] == 2).all()
    assert (after[changed] == 0).all()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_autoreset_draws_by_the_weights_and_as_a_chosen_episode_does(mode: str):
    env = make(autoreset_mode=mode)
    env.scene_weights = [0.1, 0.1, 0.8]
    env.reset(seed=3)
    seen: dict[tuple[int, int], int] = {}
    for _ in range(24):
        *_, info = env.step(np.zeros((4, 7)))
        seen |= {
            (j, int(e)): int(s) for j, (e, s) in enumerate(zip(info["episode_index"], info["scene_index"], strict=True))
        }
    other = make(1)
    other.scene_weights = [0.1, 0.1, 0.8]
    for (world, episode), scene in seen.items():
        _, info = other.reset(seed=[3 + world], options={"episode": episode})
        assert info["scene_index"][0] == scene
    assert len(seen) > 20
    assert np.mean([scene == 2 for scene in seen.values()]) > 0.55


def test_a_chosen_scene_is_chosen_in_spite_of_weights():
    env = make()
    env.scene_weights = [1, 0, 0]
    _, info = env.reset(seed=0, options={"scene": 1})
    assert (info["scene_index"] == 1).all()


def test_weights_are_a_part_of_the_state():
    env = make()
    env.scene_weights = [1, 1, 4]
    env.reset(seed=0)
    state = env.get_state()
    expected = [env.step(np.zeros((4, 7)))[-1]["scene_index"] for _ in range(9)]
    env.scene_weights = [4, 1, 1]
    env.set_state(state)
    np.testing.assert_array_equal([env.step(np.zeros((4, 7)))[-1]["scene_index"] for _ in range(9)], expected)
    weights = env.scene_weights
    weights[:] = 0
    assert env.scene_weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("weights", [[1, 1], [1, 1, -1], [0, 0, 0], [1, np.nan, 1], [1, np.inf, 1], "abc", 1.0, None])
def test_weights_that_make_no_sense_are_refused(weights):
    env = make()
    with pytest.raises(TaskError, match="scene_weights must"):
        env.scene_weights = weights
    np.testing.assert_allclose(env.scene_weights, np.full(3, 1 / 3))

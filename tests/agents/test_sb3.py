"""The `VecEnv` adapter: the same numbers as the vector environment, and what Stable-Baselines3 expects around them."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pocketworlds import TaskError
from pocketworlds.agents.sb3 import SB3VecEnv, make_sb3_env
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecExtractDictObs,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

ID = "PocketWorlds/Scan-v0"
SMALL = {"object": "can", "max_episode_steps": 6}


def raw(num_envs: int, **keywords: Any) -> Any:
    return gym.make_vec(ID, num_envs=num_envs, autoreset_mode="SameStep", **{**SMALL, **keywords})


def actions(steps: int, num_envs: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, num_envs, 7)).astype(np.float32)


def test_numbers_are_those_of_the_vector_environment():
    env, reference = make_sb3_env(ID, 3, **SMALL), raw(3)
    env.seed(5)
    np.testing.assert_array_equal(env.reset(), reference.reset(seed=5)[0])
    ends = 0
    for action in actions(20, 3):
        observation, reward, done, infos = env.step(action)
        expected = reference.step(action)
        np.testing.assert_array_equal(observation, expected[0])
        np.testing.assert_array_equal(reward, expected[1].astype(np.float32))
        np.testing.assert_array_equal(done, expected[2] | expected[3])
        assert [info["TimeLimit.truncated"] for info in infos] == expected[3].tolist()
        for j, info in enumerate(infos):
            assert ("terminal_observation" in info) == ("episode" in info) == done[j]
            if done[j]:
                ends += 1
                np.testing.assert_array_equal(info["terminal_observation"], expected[4]["final_obs"][j])
                assert info["episode_index"] == expected[4]["final_info"]["episode_index"][j]
                assert env.reset_infos[j]["episode_index"] == info["episode_index"] + 1
            assert isinstance(info["is_success"], bool)
    assert ends == 9


def test_same_as_sb3s_own_batch_of_single_environments():
    env = make_sb3_env(ID, 2, **SMALL)
    theirs = DummyVecEnv([lambda: Monitor(gym.make(ID, **SMALL))] * 2)
    env.seed(1)
    theirs.seed(1)
    np.testing.assert_array_equal(env.reset(), theirs.reset())
    for action in actions(14, 2):
        mine, expected = env.step(action), theirs.step(action)
        for a, b in zip(mine[:3], expected[:3], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        for a, b in zip(mine[3], expected[3], strict=True):
            assert a["is_success"] == b["is_success"]
            assert a["TimeLimit.truncated"] == b["TimeLimit.truncated"]
            assert ("episode" in a) == ("episode" in b)
            if "episode" in b:
                assert a["episode"]["r"] == pytest.approx(b["episode"]["r"], abs=1e-5)
                assert a["episode"]["l"] == b["episode"]["l"]
                assert set(a) >= set(b)
                np.testing.assert_array_equal(a["terminal_observation"], b["terminal_observation"])


def test_success_ends_are_not_truncations():
    env = make_sb3_env(ID, 2, task="push", object="box", max_episode_steps=3, terminate_on_success=True)
    env.reset()
    base = env.env.unwrapped
    base.task.goal[0] = base.task.place(base.sensors())[0]  # world 0 is there already
    _, _, done, infos = env.step(np.zeros((2, 7), np.float32))
    assert done.tolist() == [True, False]
    assert infos[0]["is_success"]
    assert not infos[0]["TimeLimit.truncated"]


@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_algorithms_learn_on_it(algorithm: Any):
    env = make_sb3_env(ID, 2, **SMALL)
    small = {"policy_kwargs": {"net_arch": [8]}, "batch_size": 16, "device": "cpu", "seed": 0}
    extra = {"n_steps": 16, "n_epochs": 1} if algorithm is PPO else {"learning_starts": 8}
    model = algorithm("MlpPolicy", env, **small, **extra).learn(64)
    assert model.num_timesteps >= 64
    assert len(model.ep_info_buffer) >= 8
    assert {info["l"] for info in model.ep_info_buffer} == {6}
    assert len(model.ep_success_buffer) == len(model.ep_info_buffer)
    model.predict(env.reset())


def test_truncated_ends_are_bootstrapped():
    """PPO adds gamma times the value of `terminal_observation` to rewards of truncated episodes; ours are all such."""
    env = make_sb3_env(ID, 1, **SMALL)
    model = PPO("MlpPolicy", env, n_steps=6, batch_size=6, n_epochs=1, device="cpu", seed=0)
    seen: list[np.ndarray] = []
    predict = model.policy.predict_values

    def spy(observation: Any) -> Any:
        seen.append(observation.numpy().copy())
        return predict(observation)

    model.policy.predict_values = spy
    model.learn(6)
    reference = raw(1)
    reference.reset(seed=0)
    for action in model.rollout_buffer.actions.reshape(6, 1, 7):
        *_, info = reference.step(np.clip(action, -1, 1))
    np.testing.assert_array_equal(seen[0][0], info["final_obs"][0])


def test_dict_and_image_observations():
    env = make_sb3_env(ID, 2, obs_mode="state+rgb", image_size=40, **SMALL)
    model = PPO("MultiInputPolicy", env, n_steps=7, batch_size=7, n_epochs=1, device="cpu")
    assert isinstance(model.env, VecTransposeImage)
    model.learn(14)
    stacked = VecFrameStack(
        VecExtractDictObs(make_sb3_env(ID, 2, obs_mode="state+rgb", image_size=40, **SMALL), "rgb"), 3
    )
    observation = stacked.reset()
    assert observation.shape == (2, 40, 40, 9)
    assert observation.dtype == np.uint8
    for action in actions(6, 2):
        *_, infos = stacked.step(action)
    assert infos[0]["terminal_observation"].shape == (40, 40, 9)


def test_sb3s_wrappers():
    env = VecCheckNan(VecNormalize(VecMonitor(make_sb3_env(ID, 3, monitor=False, **SMALL))))
    env.reset()
    for action in actions(12, 3):
        observation, _, _, infos = env.step(action)
        assert np.abs(observation).max() <= 10
    assert [info["episode"]["l"] for info in infos] == [6, 6, 6]
    mine = make_sb3_env(ID, 3, **SMALL)
    monitored = VecMonitor(make_sb3_env(ID, 3, monitor=False, **SMALL))
    for one in (mine, monitored):
        one.seed(0)
        one.reset()
    for action in actions(6, 3):
        ours, theirs = mine.step(action)[3], monitored.step(action)[3]
    for a, b in zip(ours, theirs, strict=True):
        assert a["episode"]["r"] == pytest.approx(float(b["episode"]["r"]), abs=1e-5)


def test_evaluation_takes_the_episode_statistics():
    env = make_sb3_env(ID, 2, **SMALL)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        returns, lengths = evaluate_policy(model, env, n_eval_episodes=4, return_episode_rewards=True)
    assert lengths == [6] * 4
    assert len(returns) == 4


def test_reaching_into_the_environment():
    env = make_sb3_env(ID, 3, wrapper=lambda inner: gym.wrappers.vector.ClipReward(inner, 0, 0.5), **SMALL)
    assert env.get_attr("max_episode_steps") == [6, 6, 6]
    assert env.get_attr("max_episode_steps", [0, 2]) == [6, 6]
    assert env.env_method("picture", 0, indices=[1])[0].shape == (480, 640, 3)
    assert env.env_is_wrapped(gym.wrappers.vector.ClipReward) == [True] * 3
    assert env.env_is_wrapped(Monitor, indices=0) == [True]
    assert env.env_is_wrapped(gym.wrappers.vector.ClipAction) == [False] * 3
    env.set_attr("max_episode_steps", 9)
    assert env.env.unwrapped.max_episode_steps == 9
    with pytest.raises(TaskError, match="share"):
        env.set_attr("max_episode_steps", 9, indices=[0])
    assert not env.has_attr("colour")
    with pytest.raises(AttributeError, match="colour"):
        env.get_attr("colour")


def test_seeds_and_options_are_used_once():
    env = make_sb3_env(ID, 2, **SMALL)
    assert env.seed(7) == [7, 8]
    env.set_options({"episode": 3})
    first = copy.deepcopy(env.reset())
    assert [info["episode_index"] for info in env.reset_infos] == [3, 3]
    assert not np.array_equal(env.reset(), first)
    assert [info["episode_index"] for info in env.reset_infos] == [4, 4]
    env.seed(7)
    env.set_options({"episode": 3})
    np.testing.assert_array_equal(env.reset(), first)
    env.set_options([{"episode": 1}, {"episode": 2}])
    with pytest.raises(TaskError, match="share their options"):
        env.reset()


def test_statistics_start_over_with_a_reset():
    env = make_sb3_env(ID, 1, **SMALL)
    env.reset()
    env.step(actions(1, 1)[0])
    env.reset()
    total = 0.0
    for action in actions(6, 1):
        _, reward, _, infos = env.step(action)
        total += float(reward[0])
    assert infos[0]["episode"]["l"] == 6
    assert infos[0]["episode"]["r"] == pytest.approx(total, abs=1e-5)


def test_pictures():
    env = make_sb3_env(ID, 3, render_mode="rgb_array", render_size=(48, 32), **SMALL)
    env.reset()
    assert [image.shape for image in env.get_images()] == [(32, 48, 3)] * 3
    assert env.render().shape == (64, 96, 3)
    env.close()
    blind = make_sb3_env(ID, 2, **SMALL)
    with pytest.warns(UserWarning, match="render_mode"):
        assert list(blind.get_images()) == [None, None]


def test_gymnasiums_own_batches_too():
    env = SB3VecEnv(SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 4, autoreset_mode=AutoresetMode.SAME_STEP))
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=1, device="cpu", seed=0).learn(256)
    assert len(model.ep_info_buffer) > 4


def test_unsuitable_environments_are_refused():
    with pytest.raises(TaskError, match="SameStep"):
        SB3VecEnv(gym.make_vec(ID, num_envs=2, object="can"))
    with pytest.raises(TaskError, match="make_vec"):
        SB3VecEnv(gym.make(ID, object="can"))

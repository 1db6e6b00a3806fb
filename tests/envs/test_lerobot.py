"""LeRobot's conventions, read the way its evaluation reads them (without LeRobot)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds import TaskError
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs import check_vector_env
from pocketworlds.envs.lerobot import LeRobotVectorEnv, make_env

SMALL: dict[str, Any] = {"image_size": 24, "object": "can", "render_size": 32}


def evaluate(env: Any, act: Any, seeds: list[int] | None) -> dict[str, np.ndarray]:
    """One rollout as `lerobot-eval` does it: which methods it calls, what it reads, in which order."""
    observation, info = env.reset(seed=seeds, options={"lerobot_new_rollout": True})
    done = np.zeros(env.num_envs, bool)
    found: dict[str, list] = {"success": [], "done": [], "frames": [], "task": []}
    max_steps = env.call("_max_episode_steps")[0]
    assert env.get_attr("task_description")
    assert env.get_attr("task")
    step = 0
    while not done.all() and step < max_steps:
        images = observation["pixels"] if isinstance(observation["pixels"], dict) else {"": observation["pixels"]}
        for image in images.values():
            _, height, width, channels = image.shape
            assert channels < height
            assert channels < width
            assert image.dtype == np.uint8
        assert observation["agent_pos"].shape == (env.num_envs, 8)
        found["task"].append(list(env.call("task_description")))
        observation, _, terminated, truncated, info = env.step(act())
        found["frames"].append(np.stack(env.call("render")))
        successes = info["final_info"]["is_success"] if "final_info" in info else info["is_success"]
        done = terminated | truncated | done
        found["success"].append(np.array(successes.tolist()))
        found["done"].append(done.copy())
        step += 1
    return {name: np.array(values) for name, values in found.items()}


def test_success_of_an_expert_is_counted():
    env = make_env(3, task="push", **{**SMALL, "object": "box"}, max_episode_steps=110)
    assert isinstance(env, gym.vector.VectorEnv)
    assert env.spec.id == "PocketWorlds/Scan-v0"
    assert env.unwrapped.metadata["render_fps"] == 20
    expert = make_expert(env)
    found = evaluate(env, expert.act, [5, 6, 7])
    first = found["done"].argmax(axis=0)
    steps = np.arange(len(found["done"]))[:, None]
    assert (found["success"] & (steps <= first)).any(axis=0).sum() >= 2
    assert not (found["success"] & (steps < first)).any()  # success ends the episode
    assert set(found["task"].ravel()) == {"push the box to the goal"}
    assert found["frames"].shape[1:] == (3, 32, 32, 3)
    assert len(found["done"]) < 110


def test_failure_is_not_counted():
    env = make_env(2, **SMALL, max_episode_steps=4)
    found = evaluate(env, env.action_space.sample, None)
    assert not found["success"].any()
    assert found["done"].sum(axis=0).tolist() == [1, 1]
    assert len(found["done"]) == 4


def test_pictures_and_joints_are_those_of_the_world():
    env = make_env(2, task="lift", **SMALL)
    observation, _ = env.reset(seed=0)
    for _ in range(3):
        base, sensors = env.unwrapped, env.unwrapped.sensors()
        np.testing.assert_allclose(observation["agent_pos"][:, :7], sensors["joint_pos"], atol=1e-6)
        np.testing.assert_allclose(observation["agent_pos"][:, 7], sensors["gripper_width"], atol=1e-6)
        reference = gym.make_vec(
            "PocketWorlds/Scan-v0", num_envs=2, obs_mode="rgb", camera="wrist", object="can", image_size=24
        )
        reference.reset(seed=0)
        reference.unwrapped.set_state(base.get_state())
        expected = reference.unwrapped.simulator.images(np.arange(2), "wrist", ("rgb",), width=24, height=24)["rgb"]
        np.testing.assert_array_equal(observation["pixels"]["wrist"], expected)
        assert not np.array_equal(observation["pixels"]["front"], observation["pixels"]["wrist"])
        observation, *_ = env.step(env.action_space.sample())


def test_one_camera_gives_one_array():
    env = make_env(2, cameras="wrist", **SMALL)
    observation, _ = env.reset(seed=0)
    assert observation["pixels"].shape == (2, 24, 24, 3)
    assert env.observation_space.contains(observation)


def test_the_checker_passes_it():
    def make(num_envs: int, **keywords: Any) -> Any:
        return make_env(num_envs, **keywords)

    report = check_vector_env(make, num_envs=2, steps=8, max_episode_steps=3, **SMALL)
    assert report.unchecked.keys() <= {"same-step", "disabled"}


def test_several_tasks_make_a_suite():
    suite = make_env(2, use_async_envs=True, task=["lift", "push"], **SMALL)
    assert list(suite) == ["pocketworlds"]
    assert [env.call("task") for env in suite["pocketworlds"].values()] == [("lift",) * 2, ("push",) * 2]


def test_lerobots_own_configuration_comes_first():
    cfg = SimpleNamespace(task="push", gym_kwargs={"max_episode_steps": 7, "image_size": 16})
    env = make_env(n_envs=1, use_async_envs=False, cfg=cfg, object="can")
    assert env.call("_max_episode_steps") == (7,)
    assert env.call("task") == ("push",)
    assert env.single_observation_space["pixels"]["front"].shape == (16, 16, 3)
    plain = SimpleNamespace(task=None)
    assert make_env(1, cfg=plain, **SMALL).call("task") == ("lift",)


def test_other_attributes():
    env = make_env(2, **SMALL)
    assert env.call("max_episode_steps") == (150, 150)
    assert env.call("picture", 1)[0].shape == (32, 32, 3)
    with pytest.raises(AttributeError):
        env.call("colour")
    assert env.call("task_description") == ("lift", "lift")  # before the first reset


def test_unsuitable_environments_are_refused():
    with pytest.raises(TaskError, match="attic"):
        make_env(1, cameras=["attic"], **SMALL)
    with pytest.raises(TaskError, match="at least one"):
        make_env(1, cameras=[], **SMALL)
    with pytest.raises(TaskError, match="gravity"):
        make_env(1, gravity=1)
    with pytest.raises(TaskError, match="NextStep"):
        LeRobotVectorEnv(gym.make_vec("PocketWorlds/Scan-v0", object="can", autoreset_mode="SameStep"))
    with pytest.raises(TaskError, match="make_vec"):
        LeRobotVectorEnv(gym.make_vec("CartPole-v1", num_envs=2))

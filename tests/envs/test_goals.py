"""Goal-conditioned observations: goals, rewards of relabelled goals, every autoreset mode, SB3's hindsight buffer."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from pocketworlds import TaskError
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs import check_vector_env
from pocketworlds.envs.goals import GoalEnv, GoalVectorEnv

ID = "PocketWorlds/Scan-v0"


def make(num_envs: int, *, task: str = "push", **keywords: Any) -> Any:
    return GoalVectorEnv(gym.make_vec(ID, num_envs=num_envs, task=task, **{"reward_mode": "sparse", **keywords}))


@pytest.mark.parametrize("task", ["push", "lift"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_reward_of_the_observed_goals_is_the_environments_own(task: str, mode: AutoresetMode):
    env = make(4, task=task, autoreset_mode=mode, max_episode_steps=80, object="box", object_jitter=0.02)
    env.reset(seed=3)
    expert = make_expert(env)
    paid, fresh = 0.0, np.zeros(4, bool)
    for _ in range(100):
        observation, reward, terminated, truncated, info = env.step(expert.act())
        achieved, desired = observation["achieved_goal"].copy(), observation["desired_goal"].copy()
        done = terminated | truncated
        if mode is AutoresetMode.SAME_STEP and done.any():
            for j in np.flatnonzero(done):
                achieved[j], desired[j] = (info["final_obs"][j][f"{kind}_goal"] for kind in ("achieved", "desired"))
        expected = env.compute_reward(achieved, desired, info)
        np.testing.assert_array_equal(reward[~fresh], expected[~fresh])
        paid += reward.sum()
        fresh = done if mode is AutoresetMode.NEXT_STEP else np.zeros(4, bool)
        if mode is AutoresetMode.DISABLED and done.any():
            env.reset(options={"reset_mask": done})
    assert 20 < paid < 300  # both outcomes were seen


def test_goals_are_the_objects_place_and_the_tasks_goal():
    env = make(3, object_jitter=0.02)
    observation, _ = env.reset(seed=0)
    base = env.unwrapped
    for _ in range(5):
        for kind, world in (("achieved", base.task.place(base.sensors())), ("desired", base.task.goal)):
            local = (world - base.world.base_pos) @ base.world.base_mat
            np.testing.assert_allclose(observation[f"{kind}_goal"], local, atol=1e-6)
        observation, *_ = env.step(env.action_space.sample())


@pytest.mark.parametrize("task", ["push", "lift"])
def test_the_observation_does_not_tell_the_goal(task: str):
    env = make(1, task=task, object="box")
    first, _ = env.reset(seed=1)
    env.unwrapped.task.goal += 0.05
    state = env.unwrapped.get_state()
    again, *_ = env.step(np.zeros((1, 7), np.float32))
    env.unwrapped.set_state(state)
    env.unwrapped.task.goal += 0.05
    moved, *_ = env.step(np.zeros((1, 7), np.float32))
    np.testing.assert_array_equal(again["observation"], moved["observation"])
    assert not np.array_equal(again["desired_goal"], moved["desired_goal"])
    assert first["observation"].shape[1] == env.unwrapped.single_observation_space.shape[0] - 3


def test_rewards_of_any_goals():
    env = make(2, task_config={"radius": 0.03})
    goal = np.array([0.5, 0.1, 0.3])
    near, far, above = (goal + np.array(by) for by in ((0.02, 0.02, 0), (0.025, 0.025, 0), (0, 0, 1)))
    assert env.compute_reward(near, goal, {}) == 1.0
    assert env.compute_reward(far, goal, {}) == 0.0
    assert env.compute_reward(above, goal, {}) == 1.0  # its height does not count
    pairs = env.compute_reward(np.array([[near, far]] * 3), np.array([[goal, goal]] * 3), [{}] * 6)
    np.testing.assert_array_equal(pairs, [[1, 0]] * 3)
    lift = make(2, task="lift")
    for achieved, reward in (((0.2, 1), 1.0), ((0.2, 0), 0.0), ((0.1, 1), 0.0)):
        assert lift.compute_reward(np.array(achieved), np.array([0.15, 1]), {}) == reward
    assert lift.compute_reward(np.array([0.2, 0]), np.array([0.15, 0]), {}) == 1.0


@pytest.mark.parametrize("task", ["push", "lift"])
def test_the_checker_passes_the_goal_environments(task: str):
    def vector(num_envs: int, **keywords: Any) -> Any:
        return make(num_envs, object="can", task=task, **keywords)

    def single(**keywords: Any) -> Any:
        return GoalEnv(gym.make(ID, object="can", task=task, reward_mode="sparse", **keywords))

    report = check_vector_env(vector, make_single=single, modes=list(AutoresetMode), max_episode_steps=4, steps=10)
    assert set(report.unchecked) == {"render"}


def test_images_stay_beside_the_goals():
    env = make(2, obs_mode="state+rgb", image_size=16, object="can", autoreset_mode="SameStep", max_episode_steps=1)
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"observation", "achieved_goal", "desired_goal", "rgb"}
    *_, info = env.step(env.action_space.sample())
    assert env.single_observation_space.contains(info["final_obs"][1])


def test_sb3_checker_takes_the_single_environment():
    from stable_baselines3.common.env_checker import check_env

    class Bare(GoalEnv):
        @property
        def unwrapped(self) -> Any:
            return self  # SB3's checker looks for `compute_reward` there

    env = Bare(gym.make(ID, task="push", object="can", reward_mode="sparse", terminate_on_success=True))
    check_env(env)


def test_her_relabels_through_the_adapter():
    from pocketworlds.agents.sb3 import make_sb3_env
    from stable_baselines3 import SAC, HerReplayBuffer

    env = make_sb3_env(
        ID, 2, wrapper=GoalVectorEnv, task="push", object="box", reward_mode="sparse", max_episode_steps=12
    )
    model = SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        learning_starts=30,
        batch_size=32,
        policy_kwargs={"net_arch": [16]},
        device="cpu",
        seed=0,
    )
    model.learn(80)
    # Nothing has moved the box in so few random steps: relabelled goals are reached, the real ones are not.
    sample = model.replay_buffer.sample(200)
    achieved, desired = (sample.next_observations[f"{kind}_goal"].numpy() for kind in ("achieved", "desired"))
    expected = np.hypot(*(achieved - desired)[:, :2].T) < 0.03
    np.testing.assert_array_equal(sample.rewards.numpy()[:, 0], expected)
    assert 0.6 < expected.mean() < 0.95  # 4 of 5 are relabelled


@pytest.mark.parametrize(
    ("keywords", "words"),
    [({"reward_mode": "dense"}, "sparse"), ({"obs_mode": "rgb"}, r"obs_mode='state\+rgb'")],
)
def test_unsuitable_environments_are_refused(keywords: dict, words: str):
    with pytest.raises(TaskError, match=words):
        make(2, **keywords)


def test_other_environments_are_refused():
    with pytest.raises(TaskError, match=r"gym\.make_vec"):
        GoalVectorEnv(gym.make_vec("CartPole-v1", num_envs=2))
    with pytest.raises(TaskError, match=r"gym\.make,"):
        GoalEnv(gym.make("CartPole-v1"))

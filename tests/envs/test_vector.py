"""`gym.make_vec`: determinism, autoreset, seeds, states, failures."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from pocketworlds import TaskError
from pocketworlds.envs.backends.physics import PhysicsSimulator
from pocketworlds.envs.tasks.reach import Reach

ID = "PocketWorlds/Scan-v0"


def make(num_envs: int, **keywords: Any) -> Any:
    return gym.make_vec(ID, num_envs=num_envs, object_jitter=0.02, **keywords)


def actions(steps: int, num_envs: int) -> np.ndarray:
    """The same action for world j whatever the number of worlds."""
    rngs = [np.random.default_rng(j) for j in range(num_envs)]
    return np.stack([rng.uniform(-1, 1, (steps, 7)) for rng in rngs], axis=1).astype(np.float32)


def rollout(env: Any, steps: int, seed: int = 3) -> list[np.ndarray]:
    observation, _ = env.reset(seed=seed)
    out = [observation]
    for action in actions(steps, env.num_envs):
        observation, reward, *_ = env.step(action)
        out.append(np.concatenate([observation, reward[:, None].astype(np.float32)], axis=1))
    return out


@pytest.mark.parametrize("task", ["lift", "push"])
def test_batch_equals_singles_bit_for_bit(task: str):
    batch = rollout(make(7, task=task), 25)
    for j in (0, 3, 6):
        env = gym.make(ID, task=task, object_jitter=0.02)
        np.testing.assert_array_equal(env.reset(seed=3 + j)[0], batch[0][j])
        for k, action in enumerate(actions(25, 7)[:, j]):
            observation, reward, *_ = env.step(action)
            np.testing.assert_array_equal(np.r_[observation, np.float32(reward)], batch[k + 1][j])


def test_threads_and_batch_size_do_not_matter():
    one = rollout(make(5, num_threads=1), 15)
    two = rollout(make(5, num_threads=2), 15)
    many = rollout(make(64, num_threads=2), 15)
    for a, b, c in zip(one, two, many, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c[:5])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_mode_is_set_per_instance(mode: AutoresetMode):
    env = make(2, autoreset_mode=mode, object="can")
    assert env.metadata["autoreset_mode"] is mode
    assert type(env).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert make(2, autoreset_mode=mode.value, object="can").metadata["autoreset_mode"] is mode


def test_next_step():
    env = make(3, max_episode_steps=4)
    env.reset(seed=0)
    for k in range(1, 5):
        observation, _, _, truncated, info = env.step(env.action_space.sample())
        assert truncated.all() == (k == 4)
    last = observation
    observation, reward, terminated, truncated, info = env.step(np.full((3, 7), np.nan, np.float32))  # not looked at
    assert not (terminated | truncated).any()
    assert (reward == 0).all()
    assert (info["episode_index"] == 1).all()
    assert not np.array_equal(observation, last)
    for j in range(3):
        single = gym.make(ID, object_jitter=0.02)
        np.testing.assert_array_equal(single.reset(seed=j, options={"episode": 1})[0], observation[j])


def test_same_step_gives_final_observation_and_info():
    reference, env = make(3, max_episode_steps=None), make(3, max_episode_steps=4, autoreset_mode="SameStep")
    reference.reset(seed=0)
    env.reset(seed=0)
    for action in actions(4, 3):
        expected, _, _, _, expected_info = reference.step(action)
        observation, _, _, truncated, info = env.step(action)
    assert truncated.all()
    assert info["_final_obs"].all()
    np.testing.assert_array_equal(np.stack(info["final_obs"]), expected)
    np.testing.assert_array_equal(info["final_info"]["reward/reach"], expected_info["reward/reach"])
    assert (info["final_info"]["episode_index"] == 0).all()
    assert (info["episode_index"] == 1).all()
    np.testing.assert_array_equal(observation, env.reset(seed=0, options={"episode": 1})[0])


def test_worlds_that_start_together_need_not_end_together():
    env, other = make(3, max_episode_steps=4, autoreset_mode="SameStep"), make(3, autoreset_mode="SameStep")
    first, _ = env.reset(seed=0, options={"elapsed": [0, 2, 3]})
    np.testing.assert_array_equal(first, other.reset(seed=0)[0])
    ended = np.array([env.step(env.action_space.sample())[3] for _ in range(9)])
    assert [(np.flatnonzero(world) + 1).tolist() for world in ended.T] == [[4, 8], [2, 6], [1, 5, 9]]
    with pytest.raises(TaskError, match="'elapsed' must be a whole number"):
        env.reset(options={"elapsed": [0.5, 0, 0]})


def test_disabled_asks_for_a_reset_of_what_ended():
    env = make(3, max_episode_steps=3, autoreset_mode="Disabled")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.reset(options={"reset_mask": np.array([False, True, False])})
    env.step(env.action_space.sample())
    _, _, _, truncated, _ = env.step(env.action_space.sample())
    assert truncated.tolist() == [True, False, True]
    with pytest.raises(ResetNeeded, match=r"\[0, 2\]"):
        env.step(env.action_space.sample())
    _, info = env.reset(options={"reset_mask": truncated})
    assert info["_is_success"].tolist() == [True, False, True]
    assert info["episode_index"].tolist() == [1, 1, 1]
    env.step(env.action_space.sample())
    with pytest.raises(TaskError, match="reset_mask"):
        env.reset(options={"reset_mask": np.zeros(3, bool)})


def test_episodes_do_not_depend_on_the_autoreset_mode():
    seen: dict[str, dict[int, np.ndarray]] = {}
    for mode in ("NextStep", "SameStep", "Disabled"):
        env = make(2, max_episode_steps=3, autoreset_mode=mode)
        seen[mode] = {0: env.reset(seed=4)[0]}
        for _ in range(12):
            observation, _, _, truncated, info = env.step(env.action_space.sample())
            if mode == "Disabled" and truncated.any():
                observation, info = env.reset(options={"reset_mask": truncated})
            if (env.elapsed == 0).all():
                seen[mode].setdefault(int(info["episode_index"][0]), observation)
    for mode in ("SameStep", "Disabled"):
        for index in (0, 1, 2):
            np.testing.assert_array_equal(seen[mode][index], seen["NextStep"][index])


def test_seeds_are_distinct_and_reproducible():
    env = make(16)
    first, _ = env.reset(seed=1)
    assert len(np.unique(first.round(6), axis=0)) == 16
    second, _ = env.reset()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(env.reset(seed=1)[0], first)
    np.testing.assert_array_equal(env.reset(seed=[*range(1, 17)])[0], first)
    a, _ = make(4).reset()
    b, _ = make(4).reset()
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("control_mode", ["ee_delta", "ee_delta_pos", "joint_delta", "joint_pos"])
def test_state_round_trip_goes_on_bit_for_bit(control_mode: str):
    env = make(4, max_episode_steps=20, control_mode=control_mode)
    env.reset(seed=2)
    moves = np.random.default_rng(0).uniform(-1, 1, (40, 4, env.single_action_space.shape[0]))
    for move in moves[:15]:
        env.step(move)
    state = env.get_state()
    first = [env.step(move) for move in moves[15:]]
    env.reset(seed=77)
    env.set_state(state)
    for move, (observation, reward, _, truncated, info) in zip(moves[15:], first, strict=True):
        again = env.step(move)
        np.testing.assert_array_equal(again[0], observation)
        np.testing.assert_array_equal(again[1], reward)
        np.testing.assert_array_equal(again[3], truncated)
        assert (again[4]["instruction"] == info["instruction"]).all()
    with pytest.raises(TaskError, match="worlds"):
        make(2).set_state(state)


def test_diverged_world_is_truncated_and_the_others_go_on():
    steps = actions(12, 8)
    healthy, broken = make(8, autoreset_mode="Disabled"), make(8, autoreset_mode="Disabled")
    healthy.reset(seed=0)
    broken.reset(seed=0)
    sick = np.array([1, 4])
    rest = np.setdiff1d(np.arange(8), sick)
    for k, action in enumerate(steps):
        expected = healthy.step(action)
        if k == 5:
            broken.simulator.batch.qvel[sick] = np.nan
        observation, reward, _, truncated, info = broken.step(action)
        assert np.isfinite(observation).all()
        np.testing.assert_array_equal(observation[rest], expected[0][rest])
        np.testing.assert_array_equal(reward[rest], expected[1][rest])
        if k == 5:
            assert np.flatnonzero(truncated).tolist() == sick.tolist()
            assert np.flatnonzero(info["physics_error"]).tolist() == sick.tolist()
            assert not info["is_success"][sick].any()
            broken.reset(options={"reset_mask": truncated})
        else:
            assert not truncated.any()


def test_huge_velocities_are_caught_too():
    env = make(4)
    env.reset(seed=0)
    env.simulator.batch.qvel[2] = 1e12
    _, _, _, truncated, info = env.step(np.zeros((4, 7)))
    assert truncated.tolist() == [False, False, True, False]
    observation, _, _, truncated, info = env.step(np.zeros((4, 7)))
    assert not truncated.any()
    assert info["episode_index"].tolist() == [0, 0, 1, 0]
    assert np.isfinite(observation).all()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_gymnasium_wrappers(mode: str):
    env: Any = gym.wrappers.vector.RecordEpisodeStatistics(
        make(3, max_episode_steps=5, autoreset_mode=mode, object="box")
    )
    if mode == "NextStep":
        env = gym.wrappers.vector.NormalizeObservation(env)
    env = gym.wrappers.vector.ClipReward(env, 0, 0.5)
    env.reset(seed=0)
    lengths = []
    for _ in range(14):
        _, _, _, _, info = env.step(env.action_space.sample())
        if "episode" in info:
            lengths += info["episode"]["l"][info["_episode"]].tolist()
    assert lengths == [5] * 6
    env.close()


def test_sync_vectorization_gives_the_same():
    ours, theirs = make(2), gym.make_vec(ID, num_envs=2, vectorization_mode="sync", object_jitter=0.02)
    np.testing.assert_array_equal(ours.reset(seed=5)[0], theirs.reset(seed=5)[0])
    for action in actions(5, 2):
        np.testing.assert_array_equal(ours.step(action)[0], theirs.step(action)[0])


def test_bad_arguments():
    with pytest.raises(TaskError, match="num_envs"):
        make(0)
    with pytest.raises(TaskError, match="autoreset_mode"):
        make(2, autoreset_mode="sometimes")


def test_a_simulator_that_fits_no_task_is_closed(monkeypatch: pytest.MonkeyPatch):
    """A task of the user's that cannot be observed leaves no connection and no graphics behind."""
    closed = []

    def broken(self: Reach, sensors: Any) -> dict[str, Any]:
        raise KeyError("my_sensor")

    monkeypatch.setattr(Reach, "observe", broken)
    monkeypatch.setattr(PhysicsSimulator, "close", lambda self: closed.append(self))
    with pytest.raises(KeyError, match="my_sensor"):
        gym.make_vec("PocketWorlds/Reach-v0", num_envs=2)
    assert len(closed) == 1

"""Action chunks: the same episodes as single steps, with one picture a chunk, and ends in mid-chunk."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction
from gymnasium.vector import AutoresetMode
from pocketworlds.envs import ActionChunk, VectorActionChunk, check_vector_env
from pocketworlds.errors import TaskError

ID = "PocketWorlds/PickPlace-v0"
WORLDS, STEPS = 3, 4
NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


def make(mode: AutoresetMode = NEXT, **keywords: Any) -> Any:
    given = {"num_envs": WORLDS, "obs_mode": "state+rgb", "image_size": 16, **keywords}
    return gym.make_vec(ID, autoreset_mode=mode, **given)


def chunks(count: int, *, worlds: int = WORLDS, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, worlds, STEPS, 7)).astype(np.float32)


def equal(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            equal(a[name], b[name])
    else:
        np.testing.assert_array_equal(a, b)


class Counted:
    """Counts the pictures that an environment draws."""

    def __init__(self, env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pictures = 0
        simulator = env.simulator
        draw = simulator.images

        def images(ids: Any, *args: Any, **keywords: Any) -> Any:
            self.pictures += len(ids)
            return draw(ids, *args, **keywords)

        monkeypatch.setattr(simulator, "images", images)


def test_chunk_equals_its_steps_bit_for_bit():
    plain, chunked = make(), VectorActionChunk(make(), STEPS, discount=0.9)
    equal(plain.reset(seed=1)[0], chunked.reset(seed=1)[0])
    for chunk in chunks(3):
        total = np.zeros(WORLDS)
        for number in range(STEPS):
            observation, reward, *ends, info = plain.step(chunk[:, number])
            total += 0.9**number * reward
        found, rewards, *found_ends, infos = chunked.step(chunk)
        equal(found, observation)
        np.testing.assert_array_equal(rewards, total)
        equal(found_ends, ends)
        np.testing.assert_array_equal(infos.pop("chunk_steps"), [STEPS] * WORLDS)
        assert infos.pop("_chunk_steps").all()
        equal(infos, info)


@pytest.mark.parametrize("limit", [4, 6])
def test_single_environment_plays_what_the_batch_plays(limit: int):
    single = ActionChunk(
        gym.make(ID, obs_mode="state+rgb", image_size=16, max_episode_steps=limit), STEPS, discount=0.5
    )
    batch = VectorActionChunk(make(DISABLED, num_envs=1, max_episode_steps=limit), STEPS, discount=0.5)
    assert single.action_space == batch.single_action_space
    observation, _ = single.reset(seed=2)
    expected, _ = batch.reset(seed=2)
    for chunk in chunks(4, worlds=1):
        equal(observation, {name: values[0] for name, values in expected.items()})
        observation, reward, terminated, truncated, info = single.step(chunk[0])
        expected, rewards, terminations, truncations, infos = batch.step(chunk)
        assert reward == rewards[0]
        assert (terminated, truncated) == (terminations[0], truncations[0])
        for name, value in info.items():
            assert value == infos[name][0]
        if truncated:
            equal(observation, {name: values[0] for name, values in expected.items()})
            observation, _ = single.reset()
            expected, _ = batch.reset()


def test_one_picture_a_chunk(monkeypatch: pytest.MonkeyPatch):
    batch = VectorActionChunk(make(), STEPS)
    batch.reset(seed=0)
    counted = Counted(batch.unwrapped, monkeypatch)
    for chunk in chunks(2):
        batch.step(chunk)
    assert counted.pictures == 2 * WORLDS
    single = ActionChunk(gym.make(ID, obs_mode="rgb", image_size=16), STEPS)
    single.reset(seed=0)
    counted = Counted(single.unwrapped.vector, monkeypatch)
    for chunk in chunks(2, worlds=1):
        observation, *_ = single.step(chunk[0])
        assert observation.max() > 0
    assert counted.pictures == 2


@pytest.mark.parametrize("mode", [NEXT, SAME, DISABLED])
def test_episode_that_ends_in_mid_chunk(mode: AutoresetMode):
    """World 1 is two steps ahead of the others; episodes last six steps, chunks four."""
    env = VectorActionChunk(make(mode, max_episode_steps=6), STEPS)
    plain = make(DISABLED, max_episode_steps=6)
    plain.reset(seed=0)
    ahead = np.array([False, True, False])
    for twin in (env.unwrapped, plain):
        twin.reset(seed=0)
        state = twin.get_state()
        state.elapsed[ahead] = 2
        twin.set_state(state)
    first, second, third = chunks(3)
    env.step(first)
    for number in range(4):
        expected = plain.step(first[:, number])
    last, *_ = expected
    # The second chunk ends all episodes: world 1 has no step left but the end it reached with the first.
    assert expected[3].tolist() == [False, True, False]
    if mode is DISABLED:
        env.reset(options={"reset_mask": ahead})
    begun, _ = plain.reset(options={"reset_mask": ahead})
    observation, reward, _, truncated, info = env.step(second)
    total = np.zeros(WORLDS)
    for number in range(2):
        expected = plain.step(second[:, number])
        total += expected[1]
    assert truncated.tolist() == [True, False, True]
    final = info["final_obs"] if mode is SAME else observation
    told = info["final_info"] if mode is SAME else info
    steps = [2, 0 if mode is NEXT else 4, 2]
    assert told["chunk_steps"].tolist() == steps
    for j in (0, 2):
        mine = final[j] if mode is SAME else {name: values[j] for name, values in final.items()}
        equal(mine, {name: values[j] for name, values in expected[0].items()})
        assert reward[j] == total[j]
        assert told["is_success"][j] == expected[4]["is_success"][j]
    if mode is NEXT:  # the whole chunk was left out, and the next episode begun
        equal({k: v[1] for k, v in observation.items()}, {k: v[1] for k, v in begun.items()})
        assert reward[1] == 0
        observation, reward, _, truncated, info = env.step(third)
        assert info["chunk_steps"].tolist() == [0, 4, 0]
        assert reward[[0, 2]].tolist() == [0, 0]
    else:  # world 1 went on with its next episode
        ended = np.array([True, False, True])
        plain.reset(options={"reset_mask": ended})
        for number in range(2, 4):
            alone, *_ = plain.step(second[:, number])
        equal({k: v[1] for k, v in observation.items()}, {k: v[1] for k, v in alone.items()})
    assert last["state"].shape == observation["state"].shape


def test_success_ends_an_episode_in_mid_chunk():
    keywords = {"terminate_on_success": True, "reward_mode": "sparse", "obs_mode": "state"}
    plain, env = (
        gym.make_vec("PocketWorlds/Reach-v0", num_envs=4, autoreset_mode=DISABLED, **keywords) for _ in range(2)
    )
    env = VectorActionChunk(env, 40)
    observation, _ = plain.reset(seed=0)
    env.reset(seed=0)
    played, taken = [], np.zeros(4, dtype=np.int64)
    ended = np.zeros(4, dtype=np.bool_)
    toward = plain.unwrapped.state_layout["goal_from_grip"]
    state = plain.get_state()
    for _ in range(40):  # straight to the goal
        action = np.zeros((4, 7), dtype=np.float32)
        action[:, :3] = np.clip(observation[:, toward] * 20, -1, 1)
        played.append(action)
        ended_before = ended.copy()
        current = plain.get_state()
        current.done[:] = False
        plain.set_state(current)
        observation, reward, terminated, _, _ = plain.step(action)
        taken[~ended_before] += 1
        ended |= terminated
    assert ended.any()
    env.unwrapped.set_state(state)
    _, reward, terminated, _, info = env.step(np.stack(played, axis=1))
    np.testing.assert_array_equal(terminated, ended)
    np.testing.assert_array_equal(info["chunk_steps"], np.where(ended, taken, 40))
    np.testing.assert_array_equal(reward, ended.astype(float))


@pytest.mark.parametrize("obs_mode", ["state", "rgb"])
def test_vector_checker_passes(obs_mode: str):
    def batch(num_envs: int, autoreset_mode: AutoresetMode = NEXT, **keywords: Any) -> Any:
        return VectorActionChunk(make(autoreset_mode, num_envs=num_envs, **keywords), STEPS)

    def single(**keywords: Any) -> Any:
        return ActionChunk(gym.make(ID, image_size=16, **keywords), STEPS)

    report = check_vector_env(
        batch, make_single=single, modes=list(AutoresetMode), obs_mode=obs_mode, max_episode_steps=6, steps=8
    )
    assert "failed" not in str(report)


@pytest.mark.parametrize("mode", [NEXT, SAME, DISABLED])
def test_gymnasium_wrappers_go_around(mode: AutoresetMode):
    env = gym.wrappers.vector.RecordEpisodeStatistics(VectorActionChunk(make(mode, max_episode_steps=6), STEPS))
    env.reset(seed=0)
    seen = []
    for chunk in chunks(5):
        _, _, terminated, truncated, info = env.step(chunk)
        if "episode" in info:
            seen += info["episode"]["l"][info["_episode"]].tolist()
        if mode is DISABLED and (terminated | truncated).any():
            env.reset(options={"reset_mask": terminated | truncated})
    assert seen
    assert set(seen) == {2}  # chunks: four actions, then the two that are left


def test_bad_input_is_explained():
    with pytest.raises(TaskError, match="steps of a chunk"):
        VectorActionChunk(make(), 0)
    with pytest.raises(TaskError, match="discount"):
        VectorActionChunk(make(), 2, discount=2)
    with pytest.raises(TaskError, match="around such a one first"):
        VectorActionChunk(gym.wrappers.vector.RecordEpisodeStatistics(make()), 2)
    with pytest.raises(TaskError, match="around such a one first"):
        ActionChunk(gym.wrappers.FlattenObservation(gym.make(ID, obs_mode="state+rgb", image_size=16)), 2)
    env = VectorActionChunk(make(obs_mode="state"), STEPS)
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="shape"):
        env.step(np.zeros((WORLDS, 7)))
    bad = np.zeros((WORLDS, STEPS, 7))
    bad[1, 2, 3] = np.nan
    with pytest.raises(InvalidAction, match=r"worlds \[1\]"):
        env.step(bad)
    single = ActionChunk(gym.make(ID), STEPS)
    single.reset(seed=0)
    with pytest.raises(InvalidAction, match="not finite"):
        single.step(bad[1])

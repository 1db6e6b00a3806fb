"""What is at rest sleeps, wakes when touched, and sleeps again exactly after a state is put back."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.agents.experts import make_expert


def make(task: str, num_envs: int):
    options = {"autoreset_mode": "Disabled", "terminate_on_success": False, "max_episode_steps": None}
    return gym.make_vec(f"PocketWorlds/{task}-v0", num_envs=num_envs, **options)


def sleepers(env) -> np.ndarray:
    """(n, T) which trees sleep."""
    return env.unwrapped.simulator.batch.bind("tree_asleep") >= 0


def test_untouched_objects_sleep_and_stay_where_they_are():
    env = make("PickPlace", 4)
    env.reset(seed=0)
    assert not sleepers(env).any()  # everything starts awake
    still = np.zeros((4, 7), dtype=np.float32)
    for _ in range(8):
        env.step(still)
    assert (sleepers(env).sum(axis=1) == 3).all()
    before = {name: values.copy() for name, values in env.unwrapped.sensors().items()}
    for _ in range(20):
        env.step(still)
    for name in ("object_pos", "object_mat"):
        np.testing.assert_array_equal(env.unwrapped.sensors()[name], before[name])
    assert (env.unwrapped.sensors()["object_vel"] == 0).all()


def test_only_free_objects_sleep():
    env = make("OpenDrawer", 1)
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.zeros((1, 7), dtype=np.float32))
    model = env.unwrapped.world.model
    free = [model.body_treeid[model.body(name).id] for name in env.unwrapped.world.objects]
    assert set(np.flatnonzero(sleepers(env)[0])) <= set(free)
    assert env.unwrapped.world.parts


@pytest.mark.parametrize("task", ["PickPlace", "Stack"])
def test_what_is_touched_wakes_and_a_state_brings_sleep_back(task: str):
    env = make(task, 6)
    env.reset(seed=0)
    expert = make_expert(env)
    actions, states, observations, asleep = [], [], [], []
    for _ in range(100):
        action = expert.act()
        observation, *_, info = env.step(action)
        actions.append(action)
        states.append(env.get_state())
        observations.append(observation)
        asleep.append(sleepers(env))
    assert info["is_success"].all()
    awake = np.array([~now[np.arange(6), :3] for now in asleep])[5:]
    assert awake.any(axis=(0, 2)).all()  # in every world something was taken
    assert awake.mean() < 0.5
    counting = np.array([state.simulator.physics[:, -asleep[0].shape[1] :] for state in states])
    assert ((counting < -1) & (counting > -11)).any()  # some were about to fall asleep
    for start in (0, 1, 3, 17, 28, 33, 44, 60, 85):
        env.reset(seed=50)
        env.step(actions[0])
        env.set_state(states[start])
        np.testing.assert_array_equal(env.get_state().simulator.physics, states[start].simulator.physics)
        for k in range(start + 1, min(start + 25, 100)):
            observation, *_ = env.step(actions[k])
            np.testing.assert_array_equal(observation, observations[k])
            np.testing.assert_array_equal(sleepers(env), asleep[k])


def test_some_worlds_go_back_and_the_others_go_on():
    env, other = make("PickPlace", 4), make("PickPlace", 4)
    for e in (env, other):
        e.reset(seed=0)
        for _ in range(6):
            e.step(np.full((4, 7), 0.3, dtype=np.float32))
    simulator = env.unwrapped.simulator
    ids = np.array([1, 3])
    kept = simulator.get_state(ids)
    moves = np.random.default_rng(0).uniform(-1, 1, (12, 4, 7))
    for move in moves[:4]:
        simulator.step(move)
    simulator.set_state(kept, ids)
    rest = np.array([0, 2])
    for move in moves[:4]:
        other.unwrapped.simulator.step(move)
    for move in moves[4:]:
        simulator.step(move, rest)
        other.unwrapped.simulator.step(move, rest)
    for move in moves[:4]:
        simulator.step(move, ids)
    for name, values in simulator.sensors().items():
        np.testing.assert_array_equal(values, other.unwrapped.simulator.sensors()[name], err_msg=name)

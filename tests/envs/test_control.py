"""Control of the hand's pose in free air, and of an arm that something is in the way of."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.envs.control import LOAD, POSITION_STEP, ROTATION_STEP

STEPS = 12


@pytest.fixture
def env() -> WorldVectorEnv:
    found = gym.make_vec("PocketWorlds/Push-v0", num_envs=4).unwrapped
    assert isinstance(found, WorldVectorEnv)
    found.reset(seed=0)
    return found


def play(env: WorldVectorEnv, count: int, **parts: float) -> None:
    """The same action many times; `x`, `y`, `z`, `turn` (about the base's Z), the others 0, the gripper closed."""
    action = np.zeros((env.num_envs, 7), np.float32)
    for name, value in parts.items():
        action[:, {"x": 0, "y": 1, "z": 2, "turn": 5}[name]] = value
    action[:, 6] = -1
    for _ in range(count):
        env.step(action)


def grip(env: WorldVectorEnv) -> np.ndarray:
    return env.sensors()["grip_pos"].copy()


def tilt(env: WorldVectorEnv) -> float:
    """Largest angle [rad] between the hand and straight down."""
    return float(np.arccos(-env.sensors()["grip_mat"][:, 2, 2]).max())


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_a_full_action_moves_by_its_step_and_stays_where_it_stops(env: WorldVectorEnv, axis: str):
    towards = env.world.base_mat[:, "xyz".index(axis)] * (-1 if axis == "z" else 1)
    before, straight = grip(env), env.sensors()["grip_mat"].copy()
    play(env, STEPS, **{axis: -0.5 if axis == "z" else 0.5})
    play(env, 15)
    moved = grip(env) - before
    np.testing.assert_allclose(moved, np.tile(0.5 * POSITION_STEP * STEPS * towards, (4, 1)), atol=2e-3)
    np.testing.assert_allclose(env.sensors()["grip_mat"], straight, atol=5e-3)
    stopped = grip(env)
    play(env, 100)
    np.testing.assert_allclose(grip(env), stopped, atol=2e-4)


def test_a_full_turn_action_turns_by_its_step(env: WorldVectorEnv):
    before, closing = grip(env), env.sensors()["grip_mat"][:, :, 1].copy()
    play(env, 5, turn=1.0)
    play(env, 15)
    after = env.sensors()["grip_mat"][:, :, 1]
    angle = np.arctan2(closing[:, 0] * after[:, 1] - closing[:, 1] * after[:, 0], (closing * after).sum(axis=1))
    np.testing.assert_allclose(angle, 5 * ROTATION_STEP, atol=5e-3)
    np.testing.assert_allclose(grip(env), before, atol=2e-3)


def test_a_hand_pressed_on_the_table_neither_winds_up_nor_sticks(env: WorldVectorEnv):
    play(env, 40, z=-1.0)
    low = grip(env)
    assert (env.sensors()["pad_force"].sum(axis=1) > LOAD).all()  # it does press
    assert tilt(env) < 0.1
    play(env, 8)
    assert (env.sensors()["pad_force"].sum(axis=1) < 2 * LOAD).all()
    play(env, 10, y=0.3)
    along = (grip(env) - low) @ env.world.base_mat[:, 1]
    assert (along > 0.6 * 10 * 0.3 * POSITION_STEP).all()  # friction of the fingertips and the start take the rest
    assert tilt(env) < 0.1


def test_a_hand_pressed_on_the_table_leaves_it_as_soon_as_it_is_told_to(env: WorldVectorEnv):
    play(env, 40, z=-1.0)
    low = grip(env)
    play(env, 4, z=1.0)
    assert (grip(env)[:, 2] - low[:, 2] > 0.5 * 4 * POSITION_STEP).all()


def test_targets_do_not_run_away_from_an_arm_at_its_limits(env: WorldVectorEnv):
    play(env, 80, x=1.0)  # as far as it reaches, and on
    far = grip(env)
    play(env, 8, x=-1.0)
    back = (far - grip(env)) @ env.world.base_mat[:, 0]
    assert (back > 0.25 * 8 * POSITION_STEP).all()  # slower than elsewhere: the arm is stretched out

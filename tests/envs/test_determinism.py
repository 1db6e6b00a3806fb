"""Bit-identical rollouts, worlds that do not disturb each other, golden trajectories."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from pocketworlds.benchmarks import golden
from pocketworlds.registry import ENVIRONMENTS

ID = "PocketWorlds/PickPlace-v0"
STEPS = 8


def rollout(num_envs: int, steps: int = STEPS, **keywords: Any) -> np.ndarray:
    """Observations and rewards (steps, num_envs, size + 1) under actions that depend on the world's number alone."""
    env = gym.make_vec(ID, num_envs=num_envs, **keywords)
    env.reset(seed=11)
    draws = [np.random.default_rng(j).uniform(-1, 1, (steps, 7)) for j in range(num_envs)]
    out = []
    for action in np.stack(draws, axis=1):
        observation, reward, *_ = env.step(action)
        out.append(np.concatenate([observation, reward[:, None]], axis=1))
    env.close()
    return np.stack(out)


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    return rollout(7, num_threads=1)


@pytest.mark.parametrize("num_threads", [1, 2, 4])
@pytest.mark.parametrize("num_envs", [1, 7, 256])
def test_size_and_threads_change_no_bit(reference: np.ndarray, num_envs: int, num_threads: int):
    found = rollout(num_envs, num_threads=num_threads)
    shared = min(num_envs, 7)
    np.testing.assert_array_equal(found[:, :shared], reference[:, :shared])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_autoreset_mode_changes_no_bit(reference: np.ndarray, mode: AutoresetMode):
    np.testing.assert_array_equal(rollout(7, autoreset_mode=mode), reference)


def test_ten_sick_worlds_do_not_disturb_the_other_246():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (6, 256, 7))
    sick = np.sort(rng.choice(256, 10, replace=False))
    well = np.setdiff1d(np.arange(256), sick)
    healthy, broken = (gym.make_vec(ID, num_envs=256) for _ in range(2))
    healthy.reset(seed=0)
    broken.reset(seed=0)
    for step, action in enumerate(actions):
        expected = healthy.step(action)
        if step == 2:
            broken.unwrapped.simulator.batch.qvel[sick] = np.nan
        found = broken.step(action)
        for a, b in zip(expected[:4], found[:4], strict=True):
            np.testing.assert_array_equal(a[well], b[well])
        if step == 2:
            assert np.flatnonzero(found[3]).tolist() == sick.tolist()
            assert np.flatnonzero(found[4]["physics_error"]).tolist() == sick.tolist()
        assert np.isfinite(found[0]).all()


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    path = golden.golden_file()
    if not path.is_file():
        pytest.skip(f"no golden trajectories for MuJoCo {mujoco.__version__}: python -m pocketworlds.benchmarks.golden")
    stored: dict[str, Any] = json.loads(path.read_text())
    if golden.largest_difference(golden.engine_trajectory(), stored["engine"]) > 1e-6:
        pytest.skip(
            f"MuJoCo {mujoco.__version__} itself gives other numbers on this machine than where it was recorded"
        )
    return stored


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_golden_trajectory(env_id: str, kept: dict[str, Any]):
    assert golden.largest_difference(golden.environment_trajectory(env_id), kept[env_id]) < golden.TOLERANCE


def test_golden_trajectories_notice_a_changed_gain(monkeypatch: pytest.MonkeyPatch, kept: dict[str, Any]):
    monkeypatch.setattr("pocketworlds.envs.control.POSITION_STEP", 0.0251)
    found = golden.environment_trajectory("PocketWorlds/Reach-v0")
    assert golden.largest_difference(found, kept["PocketWorlds/Reach-v0"]) > golden.TOLERANCE

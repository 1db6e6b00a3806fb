"""The catalogue says of every id what `gym.make` says."""

from __future__ import annotations

import gymnasium as gym
import pytest
from pocketworlds import ENVIRONMENTS, TaskError
from pocketworlds.envs.catalogue import catalogue, catalogue_table, describe, known_ids


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_description_is_that_of_the_environment(env_id: str):
    found, env = describe(env_id), gym.make(env_id)
    inner = env.unwrapped.vector
    _, info = env.reset(seed=0)
    assert found.instruction == info["instruction"]
    assert (found.observation_size,) == env.observation_space.shape
    assert (found.action_size,) == env.action_space.shape
    assert found.steps == env.spec.max_episode_steps
    assert found.seconds == pytest.approx(found.steps * inner.simulator.control_period)
    assert sum(found.observation.values()) == found.observation_size
    assert {f"reward/{name}" for name in found.rewards} <= set(info)
    assert sum(found.rewards.values()) == pytest.approx(1.0)
    assert found.targets
    assert len(catalogue_table([found]).splitlines()) == 2
    env.close()


def test_ids_may_be_short():
    assert known_ids(["Lift-v0", "PocketWorlds/Push-v0"]) == ["PocketWorlds/Lift-v0", "PocketWorlds/Push-v0"]
    assert [found.env_id for found in catalogue(["Reach-v0"])] == ["PocketWorlds/Reach-v0"]
    with pytest.raises(TaskError, match="did you mean 'PocketWorlds/Stack-v0'"):
        describe("Stak-v0")

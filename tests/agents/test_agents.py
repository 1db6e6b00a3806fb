"""Agents by their address: they see what they were trained to see, and do the same whoever plays beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.agents.agent import Assignment, senses
from pocketworlds.agents.agents import load_agent
from pocketworlds.agents.ppo import Settings, train_ppo
from pocketworlds.agents.sb3 import make_sb3_env
from pocketworlds.agents.sb3_policy import SB3Policy
from pocketworlds.benchmarks.leaderboard.play import named
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.errors import AgentError, TaskError

ID = "PocketWorlds/Reach-v0"
SMALL = Settings(total_steps=256, num_envs=8, rollout=16)


def placed(env_id: str, count: int, keywords: Any) -> tuple[WorldVectorEnv, Assignment, dict[str, Any]]:
    """An environment, who is to begin there, and what is seen first."""
    env = gym.make_vec(env_id, num_envs=count, **keywords).unwrapped
    assert isinstance(env, WorldVectorEnv)
    observation, info = env.reset(seed=list(range(count)))
    assignment = Assignment(
        env_id=env_id,
        episodes=np.arange(count),
        instructions=list(info["instruction"]),
        action_size=env.simulator.action_size,
        control_rate=1 / env.simulator.control_period,
        state_layout=env.state_layout,
        env=env,
    )
    return env, assignment, named(observation, env, list(info["instruction"]))


@pytest.mark.parametrize("sees", [{}, {"obs_mode": "rgb", "image_size": (48, 36)}])
def test_a_folder_of_ppo_plays_as_its_policy_does_in_any_batch(sees: dict[str, Any], tmp_path: Path) -> None:
    train_ppo(make_sb3_env(ID, 8, **sees), SMALL, seed=0, out=tmp_path)
    agent = load_agent(str(tmp_path), group="Reach")
    assert {"obs_mode": "state", **sees} == dict(senses(agent))
    env, assignment, seen = placed(ID, 37, senses(agent))
    agent.reset(assignment)
    all_at_once = agent.act(seen)
    pictures = seen[senses(agent)["obs_mode"]]
    np.testing.assert_allclose(all_at_once, SB3Policy(tmp_path).act(pictures), atol=1e-5)
    assert len({row.tobytes() for row in all_at_once}) > 1
    for each in (slice(36, 37), slice(3, 20), slice(0, 2)):
        some = {name: values[each] for name, values in seen.items()}
        np.testing.assert_array_equal(agent.act(some), all_at_once[each])
    env.close()


def test_a_folder_of_ppo_is_for_one_layout(tmp_path: Path) -> None:
    train_ppo(make_sb3_env(ID, 8), SMALL, seed=0, out=tmp_path)
    agent = load_agent(str(tmp_path), group="PickPlace")
    env, assignment, _ = placed("PocketWorlds/PickPlace-v0", 2, {})
    with pytest.raises(
        AgentError, match=r"was trained with states of \d+ numbers and actions of \d+; PocketWorlds/PickPl"
    ):
        agent.reset(assignment)
    env.close()


def test_what_is_no_agent_is_told(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="there is no agent 'nobody'"):
        load_agent("nobody", group="Reach")
    (tmp_path / "policy.zip").touch()
    with pytest.raises(TaskError, match=r"cannot be read"):
        load_agent(str(tmp_path), group="Reach")

"""Remote agents in true environments: what they ask for is what they get."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
import pytest
from pocketworlds.agents.agent import Assignment
from pocketworlds.agents.remote.registry import remote_agent

from .servers import Groot, Web, groot_policy, openpi, policy, vla_eval


def play(agent: Any, steps: int) -> list[np.ndarray]:
    """Two worlds, a few chunks; the actions, and that the environment takes them."""
    env: Any = gym.make_vec("PocketWorlds/Reach-v0", num_envs=2, **agent.keywords).unwrapped
    seen, info = env.reset(seed=0)
    words = [str(text) for text in info["instruction"]]
    size = env.single_action_space.shape[0]
    layout = env.state_layout
    agent.reset(Assignment("PocketWorlds/Reach-v0", np.arange(2), words, size, 20.0, layout, env))
    found = []
    for _ in range(steps):
        chunk = agent.act({**seen, "instruction": words})
        want = [
            policy(seen["rgb"][j], np.append(seen["state"][j][:7], seen["state"][j][14]), words[j], chunk.shape[1])
            for j in range(2)
        ]
        np.testing.assert_allclose(chunk, np.stack(want), rtol=1e-6)
        found.append(chunk)
        for k in range(chunk.shape[1]):
            seen, _, _, _, _ = env.step(chunk[:, k])
    env.close()
    assert not np.array_equal(found[0], found[-1])
    return found


@pytest.fixture(scope="module", params=["openpi", "vla_eval", "groot"])
def address(request: pytest.FixtureRequest) -> Any:
    if request.param == "groot":
        server: Any = Groot(groot_policy)
        yield f"groot:tcp://127.0.0.1:{server.port}?image_size=32x24&execute=3"
    elif request.param == "openpi":
        server = Web(
            openpi(
                lambda m: {"actions": policy(m["observation/image"], m["observation/state"], m["prompt"], 10)},
            )
        )
        yield f"openpi:ws://127.0.0.1:{server.port}?image_size=32x24&execute=3"
    else:
        server = Web(
            vla_eval(
                lambda p, _: {"payload": {"actions": policy(p["images"]["rgb"], p["states"], p["task_description"], 3)}}
            )
        )
        yield f"vla_eval:ws://127.0.0.1:{server.port}?image_size=32x24"
    server.stop()


def test_the_robot_does_what_the_server_says(address: str):
    agent = remote_agent(address)
    play(agent, 3)
    agent.close()

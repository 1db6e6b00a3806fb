"""A World Action Model that acts: the same in any batch, and nothing is carried over into the next episode."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from pocketworlds.agents.wam import policy as policies
from pocketworlds.agents.wam.playing import Match, play_match
from pocketworlds.agents.wam.policy import WamPolicy
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.errors import TaskError
from pocketworlds.world_models.wam.network import Wam
from pocketworlds.world_models.wam.settings import NetSettings, WamSettings

ID = "PocketWorlds/Reach-v0"
SMALL = NetSettings(width=32, depth=2, heads=2, state_tokens=2, patch=16, letters=16)


def made(num_envs: int, **keywords: Any) -> WorldVectorEnv:
    env = gym.make_vec(ID, num_envs=num_envs, autoreset_mode=AutoresetMode.DISABLED, **keywords).unwrapped
    assert isinstance(env, WorldVectorEnv)
    return env


def stirred(*, past: int = 1, cameras: tuple[str, ...] = (), seen: tuple[str, ...] | None = None) -> Wam:
    """A model for Reach whose every number is random."""
    env = made(1)
    state = {name: part.stop - part.start for name, part in env.state_layout.items()}
    env.close()
    settings = WamSettings(
        robot="panda",
        control_mode="ee_delta",
        action_size=7,
        state=state,
        seen=seen or tuple(state),
        cameras=cameras,
        image_size=(32, 32),
        chunk=4,
        past=past,
        net=SMALL,
    )
    net, random = Wam(settings), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(torch.randn(value.shape, generator=random) * 0.2)
    return net.eval()


@pytest.mark.parametrize(
    ("net", "keywords"),
    [
        (stirred(), {}),
        (stirred(past=3), {}),
        (stirred(cameras=("rgb",), seen=("joint_pos", "joint_vel")), {"obs_mode": "state+rgb", "image_size": 32}),
    ],
    ids=["state", "long", "blind"],
)
def test_a_world_is_played_the_same_in_any_batch(net: Wam, keywords: dict[str, Any]) -> None:
    def played(num_envs: int) -> NDArray[np.float32]:
        kept: list[NDArray[np.float32]] = []

        class Spy(WamPolicy):  # type: ignore[misc]
            def act(self, *arguments: Any, **more: Any) -> NDArray[np.float32]:
                kept.append(super().act(*arguments, **more))
                return kept[-1]

        match = Match(ID, {**keywords, "max_episode_steps": 14}, episodes=5, seed=40, num_envs=num_envs)
        found = play_match(match, Spy(net, steps=2))
        assert found.success.shape == (5,)
        assert found.seconds > 0
        decisions = 4  # of 4, 4, 4 and 2 control steps
        return np.concatenate([np.stack(kept[k : k + decisions], 1) for k in range(0, len(kept), decisions)])

    expected = played(5)
    assert expected.shape == (5, 4, 4, 7)
    assert np.abs(expected[:, 1:] - expected[:, :-1]).max() > 1e-3
    for num_envs in (1, 3):
        np.testing.assert_array_equal(played(num_envs), expected)


@pytest.mark.parametrize("past", [1, 3])
def test_nothing_is_carried_over_into_the_next_episode(past: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "_NOISES", 1)  # decisions differ by what they see alone
    net, env = stirred(past=past), made(2)
    first, info = env.reset(seed=[1, 2])
    policy, fresh = WamPolicy(net), WamPolicy(net)
    policy.reset(2)
    begun = np.ones(2, dtype=bool)
    expected = policy.act(first, list(info["instruction"]), begun=begun)
    there = env.step_chunk(expected)[0]
    policy.act(there, list(info["instruction"]), begun=~begun)
    later = policy.act(first, ["", "go somewhere"], begun=np.array([False, True]))
    again = policy.act(first, list(info["instruction"]), begun=np.array([False, True]))
    np.testing.assert_array_equal(again[1], expected[1])
    assert np.abs(again[0] - expected[0]).max() > 1e-4  # this one goes on, and knows what it did
    assert np.abs(later[1] - expected[1]).max() > 1e-4  # what is asked for counts
    fresh.reset(2)
    np.testing.assert_array_equal(fresh.act(first, list(info["instruction"]), begun=begun), expected)
    env.close()


def test_a_dream_is_told_where_it_is_asked_for() -> None:
    net, env = stirred(), made(3)
    observation, info = env.reset(seed=1)
    states = []
    for dream in (False, True):
        policy = WamPolicy(net, dream=dream)
        policy.reset(3)
        policy.act(observation, list(info["instruction"]), begun=np.ones(3, dtype=bool))
        assert policy.dreamed is not None
        states.append(policy.dreamed.state.numpy())
    assert states[1].shape == (3, env.single_observation_space.shape[0])
    assert np.abs(states[0] - states[1]).max() > 1e-3
    env.close()


def test_what_does_not_fit_is_refused() -> None:
    net = stirred(cameras=("rgb",))
    policy = WamPolicy(net)
    policy.reset(2)
    yes = np.ones(2, dtype=bool)
    state = np.zeros((2, net.settings.state_size), np.float32)
    with pytest.raises(TaskError, match=r"lacks 'rgb', this model sees \(2, 32, 32, 3\).*obs_mode=\"state\+rgb\""):
        policy.act(state, ["", ""], begun=yes)
    with pytest.raises(TaskError, match=r"has 'state' of shape \(2, 5\)"):
        policy.act({"state": state[:, :5], "rgb": np.zeros((2, 32, 32, 3), np.uint8)}, ["", ""], begun=yes)
    with pytest.raises(TaskError, match="from 1 to the chunk's 4"):
        WamPolicy(net, execute=5)
    with pytest.raises(TaskError, match="execute all of them"):
        WamPolicy(stirred(past=2), execute=2)
    with pytest.raises(TaskError, match="steps of the flow"):
        WamPolicy(net, steps=0)


def test_what_was_looked_at_stays_as_it_was() -> None:
    """Another instruction, and another episode, change nothing of what was seen before."""
    policy, env = WamPolicy(stirred()), made(2)
    observation, _ = env.reset(seed=0)
    env.close()
    policy.reset(2)
    first = policy.look(observation, ["push", "lift"], begun=np.ones(2, dtype=np.bool_))
    before = {name: value.clone() for name, value in vars(first).items()}
    policy.done(torch.ones(2, 4, 7))
    second = policy.look(observation, ["push", "stack"], begun=np.array([False, True]))
    for name, value in vars(first).items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(second.told[0], first.told[0])
    assert not torch.equal(second.told[1], first.told[1])
    assert second.acted.flatten(1).any(1).tolist() == [True, False]

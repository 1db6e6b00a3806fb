"""Noise steering: what is chosen is what is played, a known optimum is found, and who goes on learns the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from pocketworlds.agents.rl.actor_critic import PPOSettings
from pocketworlds.agents.rl.course import read_course
from pocketworlds.agents.rl.flow_ppo import FlowPPO
from pocketworlds.agents.rl.steering import Steered, Steering, SteeringSettings, steerable
from pocketworlds.agents.rl.training import train_rl
from pocketworlds.agents.wam.policy import WamPolicy
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.errors import TaskError
from pocketworlds.world_models.wam.model import load_wam, save_model
from pocketworlds.world_models.wam.network import Wam
from pocketworlds.world_models.wam.settings import SteerSettings

from ..wam.test_policy import ID, stirred

SMALL = SteeringSettings(steer=SteerSettings(width=32), decisions=4, starts=8, batch=8, memory=4000, updates=0.5)


def worlds(num_envs: int, **keywords: Any) -> WorldVectorEnv:
    env = gym.make_vec(
        ID, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **{"num_threads": 1, **keywords}
    ).unwrapped
    assert isinstance(env, WorldVectorEnv)
    return env


def test_a_model_that_is_steered_is_the_same_model() -> None:
    net = stirred()
    found = steerable(net, SteerSettings(width=32))
    assert found.settings.steer == SteerSettings(width=32)
    assert steerable(found, SteerSettings(width=32)) is found
    for name, value in net.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_what_is_chosen_is_where_flows_begin_and_what_is_added(tmp_path: Path) -> None:
    net = steerable(stirred(), SteerSettings(width=32, noise=1.2, residual=0.3))
    env = worlds(3)
    steered = Steered(env, net, SMALL)
    seen, _ = steered.reset(seed=5)
    np.testing.assert_allclose(seen[0], net.scales.state(torch.from_numpy(env.observe()[0])).numpy(), atol=1e-6)
    plain = WamPolicy(net, steps=2)
    plain.reset(3)
    _, info = env.reset(seed=5)
    here = plain.present(env.observe(), list(info["instruction"]), begun=np.ones(3, dtype=bool))
    assert net.steer is not None
    shift, residual = net.steer.steered(torch.tensor([[0.5] * 7 + [-1.0] * 7] * 3))
    torch.testing.assert_close(shift, torch.full((3, 1, 7), 0.6))
    torch.testing.assert_close(residual, torch.full((3, 1, 7), -0.3))
    np.testing.assert_array_equal(plain.play(here, torch.zeros(3, 14)), plain.play(here, None))
    none = plain.play(here, torch.tensor([[0.5] * 7 + [0.0] * 7] * 3))
    less = plain.play(here, torch.tensor([[0.5] * 7 + [-1.0] * 7] * 3))
    inside = (np.abs(none) < 0.69) & (np.abs(less) < 0.99)
    np.testing.assert_allclose(less[inside], none[inside] - 0.3, atol=1e-5)
    # A checkpoint keeps what steers, and a policy follows it.
    save_model(tmp_path / "a.safetensors", net)
    loaded, _ = load_wam(tmp_path / "a.safetensors")
    with torch.no_grad():
        chosen = net.steer(net.scales.state(here.whole[:, -1]))
    expected = WamPolicy(net, steps=2)
    expected.reset(3)
    policy = WamPolicy(loaded, steps=2)
    policy.reset(3)
    asked, begun = list(info["instruction"]), np.ones(3, dtype=bool)
    wanted = expected.play(expected.present(env.observe(), asked, begun=begun), chosen)
    np.testing.assert_allclose(policy.act(env.observe(), asked, begun=begun), wanted, atol=1e-6)
    env.close()


def test_ends_are_told_as_same_step_worlds_do() -> None:
    net = steerable(stirred(), SMALL.steer)
    env = worlds(2, max_episode_steps=6)
    steered = Steered(env, net, SMALL)
    steered.reset(seed=1)
    for step in range(1, 5):
        seen, reward, ended, cut, info = steered.step(np.zeros((2, 14), np.float32))
        assert (ended | cut).tolist() == [step % 2 == 0] * 2
        assert seen.shape == (2, 32)
        assert ((reward >= 0) & (reward <= 1)).all()
        if step % 2 == 0:
            assert np.abs(info["final_obs"][0] - seen[0]).max() > 0
    assert steered.played == 2 * 12
    env.close()


def test_who_goes_on_learns_the_same() -> None:
    def learner() -> Steering:
        return Steering(worlds(4, max_episode_steps=20), steerable(stirred(), SMALL.steer), SMALL, seed=3)

    whole, first, second = learner(), learner(), learner()
    for _ in range(2):
        whole.iterate()
        whole.begin()
    whole.iterate()
    for _ in range(2):
        first.iterate()
        first.begin()
    second.restore(first.state())
    told = second.iterate()
    assert told["steps"] == whole.steps
    ours, theirs = whole.state(), second.state()
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
    for mine, other in zip(whole.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_only_what_steers_is_learned() -> None:
    net = steerable(stirred(), SMALL.steer)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learner = Steering(worlds(4), net, SMALL)
    for _ in range(2):
        learner.iterate()
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("steer.") for name in changed)
    blind = steerable(stirred(seen=("joint_pos",)), SMALL.steer)
    with pytest.raises(TaskError, match="sees the whole state"):
        Steering(worlds(2), blind, SMALL)
    with pytest.raises(TaskError, match="this model is steered"):
        FlowPPO(worlds(2), steerable(stirred(), SMALL.steer), PPOSettings(anchor=0))
    with pytest.raises(TaskError, match="nothing steers this model"):
        Steering(worlds(2), stirred(), SMALL)


def test_the_command_s_way(tmp_path: Path) -> None:
    start = tmp_path / "a.safetensors"
    keywords = {"max_episode_steps": 20, "num_threads": 1}
    save_model(start, stirred(), trained_on={"env_id": ID, "keywords": keywords})
    told = ["algorithm=steering", f"start={start}", "num_envs=4", "total_steps=200", "keep=2", "exam.episodes=2"]
    told += ["steering.decisions=4", "steering.starts=8", "steering.batch=8", "steering.steer.width=32"]
    net, found = train_rl(read_course(told), tmp_path / "work", tmp_path / "b.safetensors", lambda stage, share: None)
    assert found["steps"] >= 200
    assert isinstance(net, Wam)
    assert load_wam(tmp_path / "b.safetensors")[0].settings.steer == SteerSettings(width=32)

"""PPO over flows of actions: advantages against their definition, and problems whose optimum is known."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from pocketworlds.agents.rl.actor_critic import PPOSettings
from pocketworlds.agents.rl.flow_ppo import FlowPPO
from pocketworlds.agents.rl.rollout import advantages
from pocketworlds.agents.wam.course import read_course
from pocketworlds.agents.wam.training import look
from pocketworlds.errors import TaskError, TrainingError
from pocketworlds.world_models.wam.chain import mean_actions
from pocketworlds.world_models.wam.demonstrations import Demonstrations, Episode
from pocketworlds.world_models.wam.network import Past, Wam
from pocketworlds.world_models.wam.settings import NetSettings, WamSettings

SETTINGS = WamSettings(
    robot="panda",
    control_mode="ee_delta",
    action_size=1,
    state={"thing": 2},
    seen=("thing",),
    chunk=2,
    net=NetSettings(width=32, depth=1, heads=2, state_tokens=1, letters=4),
)


class Aim:
    """One decision an episode: 1 less the squared distance of both actions from 0.8 times the state's first number."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._rng = np.random.default_rng(seed)
        self._draw()
        return self._state, {"instruction": [""] * self.num_envs}

    def step_chunk(self, chunks: Any, *, discount: float) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        reward = 1 - ((chunks[..., 0] - 0.8 * self._state[:, :1]) ** 2).sum(1)
        final = np.empty(self.num_envs, dtype=object)
        final[:] = list(self._state)
        self._draw()
        yes, no = np.ones(self.num_envs, dtype=bool), np.zeros(self.num_envs, dtype=bool)
        info = {
            "instruction": [""] * self.num_envs,
            "chunk_steps": np.full(self.num_envs, 2),
            "final_obs": final,
            "final_info": {"is_success": reward > 0.9},
        }
        return self._state, reward, yes, no, info

    def close(self) -> None:
        del self._state

    def _draw(self) -> None:
        self._state = self._rng.uniform(-1, 1, (self.num_envs, 2)).astype(np.float32)


def test_advantages_are_sums_of_discounted_errors() -> None:
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(2, 6, 3))
    follows = rng.choice([0.0, 0.9, 0.81], (6, 3))
    after, lam = rng.normal(size=3), 0.7
    expected = np.zeros((6, 3))
    for n in range(3):
        following = [*values[1:, n], after[n]]
        errors = [rewards[t, n] + follows[t, n] * following[t] - values[t, n] for t in range(6)]
        for t in range(6):
            weight = 1.0
            for k in range(t, 6):
                expected[t, n] += weight * errors[k]
                weight *= lam * follows[k, n]
    found = advantages(*(torch.from_numpy(each) for each in (rewards, values, follows, after)), lam=lam)
    np.testing.assert_allclose(found.numpy(), expected)


def test_it_finds_the_known_optimum() -> None:
    net = Wam(SETTINGS)
    settings = PPOSettings(
        decisions=1, epochs=8, minibatch=256, rate=2e-3, warmup=2, anchor=0, target_kl=0.2, clip=0.2, noise=0.25
    )
    learner = FlowPPO(Aim(1024), net, settings, seed=0)
    first = learner.iterate()
    for _ in range(27):
        last = learner.iterate()
    # As made, actions are noise, cut to [-1, 1].
    rng = np.random.default_rng(0)
    drawn, wanted = rng.normal(size=100_000).clip(-1, 1), 0.8 * rng.uniform(-1, 1, 100_000)
    assert first["reward"] * 2 == pytest.approx(1 - 2 * np.mean((drawn - wanted) ** 2), abs=0.1)
    # The best there is: 1 less twice the variance of the noise that is added last.
    assert last["reward"] * 2 > 0.9
    count = 200
    state = 2 * torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) - 1
    past = Past(
        state=state[:, None],
        known=torch.ones(count, 1, dtype=torch.bool),
        image=torch.zeros(count, 1, 0, 64, 64, 3, dtype=torch.uint8),
        action=torch.zeros(count, 1, 2, 1),
        acted=torch.zeros(count, 1, 2, dtype=torch.bool),
        told=torch.full((count, 4), 256),
    )
    start = torch.randn(count, 2, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = mean_actions(net, past, start, steps=2)[..., 0]
    assert (found - 0.8 * state[:, :1]).abs().mean() < 0.12  # as made: 0.8


def test_the_policy_stays_while_the_critic_warms_up() -> None:
    net = Wam(SETTINGS)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learner = FlowPPO(Aim(64), net, PPOSettings(decisions=1, minibatch=32, warmup=2, anchor=0, rate=1e-3), seed=0)
    told = [learner.iterate() for _ in range(3)]
    assert [each["epochs"] for each in told[:2]] == [0, 0]
    assert 0 < told[2]["epochs"] <= 4
    assert [each["steps"] for each in told] == [128, 256, 384]
    changed = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
    assert "action_head.weight" in changed
    assert not any(name.startswith("scales") for name in changed)


def test_the_same_seed_learns_the_same() -> None:
    def learned(seed: int) -> torch.Tensor:
        net = Wam(SETTINGS)
        learner = FlowPPO(Aim(32), net, PPOSettings(decisions=2, minibatch=32, warmup=0, anchor=0), seed=seed)
        for _ in range(2):
            learner.iterate()
        return net.action_head.weight.detach().clone()

    assert torch.equal(learned(1), learned(1))
    assert not torch.equal(learned(1), learned(2))


def test_the_anchor_holds_on_to_demonstrations() -> None:
    blank = torch.zeros(5, 0, 64, 64, 3, dtype=torch.uint8)
    states = torch.linspace(-1, 1, 5)[:, None].expand(5, 2).contiguous()
    data = Demonstrations([Episode(states, blank, torch.full((4, 1), 0.5))], SETTINGS)
    net = Wam(SETTINGS)
    net.scales.measure(*data.scales())
    settings = PPOSettings(decisions=1, minibatch=64, warmup=0, anchor=1.0, rate=3e-3, epochs=20, target_kl=1e6)
    learner = FlowPPO(Aim(64), net, settings, demonstrations=data, seed=0)
    losses = [learner.iterate()["anchor"] for _ in range(6)]
    assert losses[-1] < 0.7 * losses[0]
    with pytest.raises(TaskError, match="the anchor needs demonstrations"):
        FlowPPO(Aim(4), net, settings)


def test_numbers_that_are_not_finite_are_told_and_undone() -> None:
    class Broken(Aim):
        def step_chunk(self, chunks: Any, *, discount: float) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
            seen, reward, *rest = super().step_chunk(chunks, discount=discount)
            return seen, reward * np.nan, *rest

    net = Wam(SETTINGS)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learner = FlowPPO(Broken(16), net, PPOSettings(decisions=1, minibatch=8, warmup=0, anchor=0), seed=0)
    with pytest.raises(TrainingError, match=r"no longer finite.*smaller rate"):
        learner.iterate()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_policy_that_runs_away_is_told_and_undone() -> None:
    net = Wam(SETTINGS)
    wild = PPOSettings(decisions=1, minibatch=16, warmup=0, anchor=0, rate=0.3, target_kl=1e-3)
    learner = FlowPPO(Aim(64), net, wild, seed=0)
    before: dict[str, torch.Tensor] = {}

    def learn() -> None:
        for _ in range(5):
            before.update({name: value.clone() for name, value in net.state_dict().items()})
            learner.iterate()

    with pytest.raises(TrainingError, match=r"has run away: a KL divergence of .* 0\.001 is asked for"):
        learn()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_it_learns_in_worlds_with_ends_inside_of_chunks() -> None:
    course = read_course(["env=Reach-v0", "model.chunk=4", "model.net.width=32", "model.net.heads=2"])
    keywords = {"max_episode_steps": 10, "num_threads": 1}
    net = Wam(look("PocketWorlds/Reach-v0", keywords, course))
    env = gym.make_vec("PocketWorlds/Reach-v0", num_envs=6, autoreset_mode=AutoresetMode.SAME_STEP, **keywords)
    learner = FlowPPO(env.unwrapped, net, PPOSettings(decisions=5, minibatch=16, warmup=1, anchor=0), seed=0)
    told = [learner.iterate() for _ in range(2)]
    assert told[1]["steps"] <= 2 * 5 * 4 * 6
    assert 0 <= told[1]["reward"] <= 1
    assert "success" in told[1]
    env.close()
    with pytest.raises(TaskError, match="sees 3 frames"):
        FlowPPO(Aim(2), Wam(SETTINGS.model_copy(update={"past": 3})), PPOSettings(anchor=0))

"""PPO over the flow of actions of a World Action Model.

A decision is a chunk of E control steps. Its probability is that of the chain of Gaussian steps by which noise became
actions (`world_models.wam.chain`; ReinFlow, arXiv:2505.22094; pi_RL's Flow-Noise, arXiv:2510.25889), so PPO
(Schulman et al., arXiv:1707.06347) applies as it is, with decisions for steps:

- a chunk's reward is r_0 + gamma r_1 + ... over the control steps that were played, and what follows is discounted by
  gamma to their number; advantages are generalised (Schulman et al., arXiv:1506.02438) over decisions;
- the critic sees the whole state of the simulation, whatever the policy sees (Pinto et al., arXiv:1710.06542), and
  learns for some iterations before the policy moves;
- the policy moves slowly: a small rate, a stop at a KL divergence, and an anchor, the loss of flow matching on its
  demonstrations, keep it a model of the world (and of what people do) while it learns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ...errors import TaskError, TrainingError
from ...world_models.frames.layers import Linear
from ...world_models.frames.settings import Strict
from ...world_models.resuming import restore_training, training_state
from ...world_models.wam.chain import Sigma, chain_log_prob, sample_chain
from ...world_models.wam.demonstrations import Demonstrations
from ...world_models.wam.learning import WamLearner
from ...world_models.wam.network import Past, Wam
from ..wam.policy import WamPolicy

RUNAWAY = 50.0
"""A KL divergence of so many times `target_kl` ends the training: what follows would be noise."""
_APART = 100_000  # seeds between two beginnings


class Worlds(Protocol):
    """What is learned in: a batch in same-step autoreset mode, such as `gym.make_vec` gives."""

    num_envs: int

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins all episodes."""

    def step_chunk(self, chunks: Any, *, discount: float) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Plays chunks (num_envs, E, A); see `WorldVectorEnv.step_chunk`."""


class PPOSettings(Strict):
    """What is tuned.

    Attributes:
        decisions: of every world between two updates. flow_steps: K, of the chain. execute: E, control steps of a
            decision that are played; None: the whole chunk.
        epochs, minibatch: of an update, decisions of all worlds. rate, critic_rate: of Adam. warmup: iterations in
            which the critic alone learns. clip: of the ratio. target_kl: an update ends beyond it.
        gamma: discount of a control step. lam: of generalised advantages, per decision. noise: sigma of the chain to
            begin with. anchor: weight of the loss on demonstrations, anchor_batch: windows of them a minibatch.
        grad: largest norm of a gradient.
    """

    decisions: Annotated[int, Field(ge=1)] = 16
    flow_steps: Annotated[int, Field(ge=1, le=64)] = 2
    execute: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[int, Field(ge=1)] = 4
    minibatch: Annotated[int, Field(ge=2)] = 1024
    rate: Annotated[float, Field(gt=0, lt=1)] = 5e-5
    critic_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 3
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.1
    target_kl: Annotated[float, Field(gt=0)] = 0.05
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.99
    lam: Annotated[float, Field(ge=0, le=1)] = 0.95
    noise: Annotated[float, Field(gt=0.05, lt=0.3)] = 0.1
    anchor: Annotated[float, Field(ge=0)] = 0.1
    anchor_batch: Annotated[int, Field(ge=1)] = 32
    grad: Annotated[float, Field(gt=0)] = 1.0


class Critic(nn.Module):
    """What is to come, in [0, 1] of the most there can be, from whole states."""

    def __init__(self, net: Wam, width: int = 256) -> None:
        super().__init__()
        self._scales = [net.scales]  # not ours to learn or to keep
        size = net.settings.state_size
        self.layers = nn.Sequential(Linear(size, width), nn.Tanh(), Linear(width, width), nn.Tanh(), Linear(width, 1))
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, state: Tensor) -> Tensor:
        """Values (n,) of states (n, S)."""
        found: Tensor = self.layers(self._scales[0].state(state))[:, 0]
        return found


@dataclass(frozen=True)
class Rollout:
    """T decisions of N worlds, T first.

    Attributes:
        past: what the policy saw, each (T * N, ...). state: (T * N, S). actions: (T * N, K + 1, H, A) chains.
        log_prob, advantage, target: (T * N,). told: means of what happened.
    """

    past: Past
    state: Tensor
    actions: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor
    told: Mapping[str, float]


class FlowPPO:
    """Learns in worlds that go on from iteration to iteration.

    Attributes:
        net, sigma, critic: what learns. steps: control steps of all worlds so far. iterations: so far.
    """

    def __init__(
        self,
        worlds: Worlds,
        net: Wam,
        settings: PPOSettings,
        *,
        demonstrations: Demonstrations | None = None,
        seed: int = 0,
    ) -> None:
        """Begins.

        Args:
            worlds: to learn in. net: the policy to begin with, which is changed. settings: what is tuned.
            demonstrations: that the anchor holds on to. seed: of the episodes and of all that is drawn.

        Raises:
            TaskError: the settings make no sense for this model.
        """
        if net.settings.past != 1:
            raise TaskError(f"this model sees {net.settings.past} frames; models that see one alone can be trained so")
        if net.steer is not None:
            raise TaskError("this model is steered; go on with algorithm=steering, or begin with what it was made from")
        if settings.anchor and demonstrations is None:
            raise TaskError("the anchor needs demonstrations; give some, or anchor=0")
        self._worlds, self._settings, self._data = worlds, settings, demonstrations
        self._policy = WamPolicy(net, execute=settings.execute)
        self.net, self._learner = net, WamLearner(net)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.sigma = Sigma(net, steps=settings.flow_steps, begin=settings.noise).to(net.device)
            self.critic = Critic(net).to(net.device)
        actor = [*net.parameters(), *self.sigma.parameters()]
        self._actor = torch.optim.Adam(actor, lr=settings.rate, eps=1e-5)
        self._critic = torch.optim.Adam(self.critic.parameters(), lr=settings.critic_rate, eps=1e-5)
        self._random = torch.Generator().manual_seed(seed)
        self._seed, self.steps, self.iterations = seed, 0, 0
        self.begin()

    def begin(self) -> None:
        """Begins other episodes in all worlds, drawn by the seed and the iterations so far."""
        seed, count = self._seed + _APART * self.iterations, self._worlds.num_envs
        self._policy.reset(count)
        self._observation, info = self._worlds.reset(seed=seed, options=self._staggered(seed))
        self._asked = list(info["instruction"])
        self._begun = np.ones(count, dtype=np.bool_)

    def state(self) -> dict[str, Tensor]:
        """All that has been learned, as numbers; `begin` must follow, so that who goes on from it learns the same."""
        found = training_state(self._all(), self._actor, self.iterations, self._random)
        critic = training_state(nn.Module(), self._critic, self.steps)
        return found | {f"critic/{name}": value for name, value in critic.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state` was taken, and begins."""
        self.iterations = restore_training(state, self._all(), self._actor, self._random)
        inner = {name.removeprefix("critic/"): value for name, value in state.items() if name.startswith("critic/")}
        self.steps = restore_training(inner, nn.Module(), self._critic)
        self.begin()

    def _all(self) -> nn.Module:
        return nn.ModuleDict({"net": self.net, "sigma": self.sigma, "critic": self.critic})

    def iterate(self) -> dict[str, float]:
        """Plays and learns once; tells what happened.

        Raises:
            TrainingError: numbers are no longer finite, or the policy has run away; it is as it was before.
        """
        kept = {name: value.clone() for name, value in self.net.state_dict().items()}
        rollout = self._play()
        learned = self._learn(rollout)
        if not all(np.isfinite(value) for value in learned.values()):
            self.net.load_state_dict(kept)
            raise TrainingError(
                f"after {self.iterations} iterations a loss is no longer finite ({learned}); the model is as it was "
                "before: go on with a smaller rate, or a smaller clip"
            )
        if learned.get("kl", 0.0) > RUNAWAY * self._settings.target_kl:
            self.net.load_state_dict(kept)
            raise TrainingError(
                f"after {self.iterations} iterations the policy has run away: a KL divergence of {learned['kl']:.3g}, "
                f"where {self._settings.target_kl:g} is asked for; the model is as it was before: go on with a "
                "smaller rate (ppo.rate), or larger minibatches"
            )
        self.iterations += 1
        return {"steps": float(self.steps), **rollout.told, **learned}

    # -- playing ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _play(self) -> Rollout:
        settings, worlds, policy, net = self._settings, self._worlds, self._policy, self.net
        shape = (worlds.num_envs, net.settings.chunk, net.settings.action_size)
        pasts, states, chains, log_probs, values, rewards, follows = ([] for _ in range(7))
        ended: list[float] = []
        solved: list[float] = []
        for _ in range(settings.decisions):
            past = policy.look(self._observation, self._asked, begun=self._begun)
            state = self._state(self._observation)
            start = torch.randn(shape, generator=self._random).to(net.device)
            chain = sample_chain(net, self.sigma, past, start, self._random, played=policy.execute)
            chunk = policy.done(chain.actions[:, -1, : policy.execute].clamp(-1, 1))
            seen, reward, terminated, truncated, info = worlds.step_chunk(chunk, discount=settings.gamma)
            played = np.asarray(info["chunk_steps"])
            follow = np.power(settings.gamma, played) * ~(terminated | truncated)
            paid = (1 - settings.gamma) * np.asarray(reward, dtype=np.float64)
            cut = np.flatnonzero(truncated & ~terminated)
            if len(cut):
                last = self._rows(info["final_obs"], cut)
                paid[cut] += np.power(settings.gamma, played[cut]) * self.critic(self._state(last)).cpu().numpy()
            over = terminated | truncated
            if over.any():
                solved += info["final_info"]["is_success"][over].astype(float).tolist()
            ended += (np.asarray(reward) / np.maximum(played, 1)).tolist()
            pasts.append(past)
            states.append(state)
            chains.append(chain.actions)
            log_probs.append(chain.log_prob)
            values.append(self.critic(state))
            rewards.append(torch.from_numpy(paid.astype(np.float32)).to(net.device))
            follows.append(torch.from_numpy(follow.astype(np.float32)).to(net.device))
            self.steps += int(played.sum())
            self._observation, self._asked, self._begun = seen, list(info["instruction"]), over
        after = self.critic(self._state(self._observation))
        advantage = advantages(torch.stack(rewards), torch.stack(values), torch.stack(follows), after, lam=settings.lam)
        told = {"reward": float(np.mean(ended))} | ({"success": float(np.mean(solved))} if solved else {})
        return Rollout(
            past=Past(**{name: torch.cat([getattr(each, name) for each in pasts]) for name in vars(pasts[0])}),
            state=torch.cat(states),
            actions=torch.cat(chains),
            log_prob=torch.cat(log_probs),
            advantage=advantage.flatten(),
            target=(advantage + torch.stack(values)).flatten(),
            told=told,
        )

    def _state(self, observation: Any) -> Tensor:
        named = observation["state"] if isinstance(observation, Mapping) else observation
        return torch.from_numpy(np.array(named, dtype=np.float32)).to(self.net.device)

    @staticmethod
    def _rows(final: Any, rows: Any) -> Any:
        """The last observations of worlds, out of an object array of them."""
        chosen = [final[k] for k in rows]
        if isinstance(chosen[0], Mapping):
            return {name: np.stack([each[name] for each in chosen]) for name in chosen[0]}
        return np.stack(chosen)

    def _staggered(self, seed: int) -> dict[str, Any] | None:
        """First episodes of different lengths, lest a batch be nothing but beginnings."""
        length = getattr(self._worlds, "max_episode_steps", None)
        if length is None:
            return None
        count = self._worlds.num_envs
        return {"elapsed": (np.random.default_rng(seed).permutation(count) * length // count).tolist()}

    # -- learning --------------------------------------------------------------------------------------------------

    def _learn(self, rollout: Rollout) -> dict[str, float]:
        settings, count = self._settings, len(rollout.state)
        moving = self.iterations >= settings.warmup
        advantage = (rollout.advantage - rollout.advantage.mean()) / (rollout.advantage.std() + 1e-8)
        told: dict[str, list[float]] = {}
        for _ in range(settings.epochs):
            divergence: list[float] = []
            for rows in torch.split(torch.randperm(count, generator=self._random), settings.minibatch):
                losses = {"value": (self.critic(rollout.state[rows]) - rollout.target[rows]).square().mean()}
                if moving:
                    losses |= self._policy_losses(rollout, advantage, rows)
                    divergence.append(float(losses.pop("kl")))
                self._step(losses, moving)
                for name, value in losses.items():
                    told.setdefault(name, []).append(float(value.detach()))
            if moving:
                told.setdefault("kl", []).append(float(np.mean(divergence)))
                if told["kl"][-1] > settings.target_kl:
                    break
        spread = float(rollout.target.var())
        found = {name: float(np.mean(values)) for name, values in told.items()}
        return {**found, "explained": 1 - found["value"] / max(spread, 1e-8), "epochs": float(len(told.get("kl", [])))}

    def _policy_losses(self, rollout: Rollout, advantage: Tensor, rows: Tensor) -> dict[str, Tensor]:
        settings = self._settings
        past = Past(**{name: value[rows] for name, value in vars(rollout.past).items()})
        log_prob = chain_log_prob(self.net, self.sigma, past, rollout.actions[rows], played=self._policy.execute)
        apart = log_prob - rollout.log_prob[rows]
        ratio = apart.exp()
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        found = {
            "policy": -torch.minimum(ratio * advantage[rows], clipped * advantage[rows]).mean(),
            "kl": (ratio - 1 - apart).detach().mean(),  # Schulman, "Approximating KL Divergence", 2020
        }
        if settings.anchor:
            assert self._data is not None
            which = self._data.draw(settings.anchor_batch, 1, self._random, lively=self._data.lively(1), share=0.0)
            losses = self._learner(self._data.windows(which, 1).to(self.net.device), self._random, 1.0)
            found["anchor"] = settings.anchor * torch.stack(list(losses.values())).sum()
        return found

    def _step(self, losses: Mapping[str, Tensor], moving: bool) -> None:
        optimizers = [self._critic, self._actor] if moving else [self._critic]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            learned = [value for group in optimizer.param_groups for value in group["params"]]
            nn.utils.clip_grad_norm_(learned, self._settings.grad)
            optimizer.step()


def advantages(rewards: Tensor, values: Tensor, follows: Tensor, after: Tensor, *, lam: float) -> Tensor:
    """Generalised advantages (T, N) of decisions.

    Args:
        rewards: (T, N), what truncated episodes would have got in the end among them. values: (T, N) of the critic.
        follows: (T, N) discount of what follows, 0 where an episode ended. after: (N,) value after the last.
        lam: as in the paper, per decision.
    """
    found = torch.zeros_like(rewards)
    ahead, value = torch.zeros_like(after), after
    for k in range(len(rewards) - 1, -1, -1):
        ahead = rewards[k] + follows[k] * value - values[k] + follows[k] * lam * ahead
        found[k], value = ahead, values[k]
    return found

"""Rollouts: what a policy did in some of the worlds between two updates.

Nothing in a rollout depends on who plays it, or on how the worlds are split among players, but for the order in which
floats are added: episodes and noise are drawn by the seed, the iteration and the number of a world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...world_models.wam.chain import sample_chain
from ...world_models.wam.network import Past
from ..wam.policy import WamPolicy
from .actor_critic import ActorCritic

_APART = 100_000  # seeds between two beginnings


class Worlds(Protocol):
    """What is learned in: a batch in same-step autoreset mode, such as `gym.make_vec` gives."""

    num_envs: int

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins all episodes."""

    def step_chunk(self, chunks: Any, *, discount: float) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Plays chunks (num_envs, E, A); see `WorldVectorEnv.step_chunk`."""

    def close(self) -> None:
        """Frees what it holds."""


@dataclass(frozen=True)
class Turn:
    """What is to be played: the seed of it all, the iteration, and whether in other episodes than before."""

    seed: int
    iteration: int
    fresh: bool


@dataclass(frozen=True)
class Rollout:
    """T decisions of N worlds.

    Attributes:
        past: what the policy saw, each (T, N, ...). state: (T, N, S). actions: (T, N, K + 1, H, A) chains.
        log_prob: (T, N, K, E), see `Chain`. advantage, target: (T, N). told: sums of what happened.
    """

    past: Past
    state: Tensor
    actions: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor
    told: Mapping[str, float]

    @staticmethod
    def joined(parts: Sequence[Rollout]) -> Rollout:
        """That of all worlds, of those of some of them."""
        if len(parts) == 1:
            return parts[0]
        told = {name: sum(each.told[name] for each in parts) for name in parts[0].told}
        return _changed(lambda tensors: torch.cat(list(tensors), 1), parts, told)

    def to(self, device: torch.device) -> Rollout:
        """The same on a device."""
        return _changed(lambda tensors: tensors[0].to(device), [self], self.told)

    def flat(self) -> Rollout:
        """The same, each (T * N, ...)."""
        return _changed(lambda tensors: tensors[0].flatten(0, 1), [self], self.told)


def _changed(
    change: Callable[[Sequence[Tensor]], Tensor], parts: Sequence[Rollout], told: Mapping[str, float]
) -> Rollout:
    """A rollout whose every tensor is made of those of the same name."""
    past = {name: change([getattr(each.past, name) for each in parts]) for name in vars(parts[0].past)}
    names = ("state", "actions", "log_prob", "advantage", "target")
    return Rollout(Past(**past), **{name: change([getattr(each, name) for each in parts]) for name in names}, told=told)


class Player:
    """Plays in some of the worlds, which go on from turn to turn."""

    def __init__(self, worlds: Worlds, *, first: int = 0, total: int | None = None) -> None:
        """Takes worlds: those from number `first` on, of `total`; None: there are no others."""
        self.worlds = worlds
        self._first, self._total = first, worlds.num_envs if total is None else total
        self._policy: WamPolicy | None = None
        self._observation: Any = None
        self._asked: list[str] = []
        self._begun = np.ones(worlds.num_envs, dtype=np.bool_)

    @torch.no_grad()
    def play(self, mind: ActorCritic, turn: Turn) -> Rollout:
        """Plays; in new episodes if that is asked for, or if there were none before."""
        policy = self._policy
        if policy is None or turn.fresh:
            policy = self._begin(mind, turn)
        settings, worlds, net = mind.settings, self.worlds, mind.net
        random = torch.Generator().manual_seed(_mixed(turn))
        pasts, states, chains, log_probs, values, rewards, follows = ([] for _ in range(7))
        told = dict.fromkeys(("steps", "reward", "decisions", "success", "ended"), 0.0)
        for _ in range(settings.decisions):
            past = policy.look(self._observation, self._asked, begun=self._begun)
            state = _state(self._observation, net.device)
            chain = sample_chain(net, mind.sigma, past, *self._noise(mind, random), played=policy.execute)
            chunk = policy.done(chain.actions[:, -1, : policy.execute].clamp(-1, 1))
            seen, reward, terminated, truncated, info = worlds.step_chunk(chunk, discount=settings.gamma)
            played = np.asarray(info["chunk_steps"])
            over = np.asarray(terminated | truncated, dtype=np.bool_)
            paid = (1 - settings.gamma) * np.asarray(reward, dtype=np.float64)
            cut = np.flatnonzero(truncated & ~terminated)
            if len(cut):
                last = mind.critic(_state(_rows(info["final_obs"], cut), net.device)).cpu().numpy()
                paid[cut] += np.power(settings.gamma, played[cut]) * last
            if over.any():
                told["success"] += float(np.sum(info["final_info"]["is_success"][over]))
                told["ended"] += float(over.sum())
            told["reward"] += float(np.sum(np.asarray(reward) / np.maximum(played, 1)))
            told["steps"] += float(played.sum())
            told["decisions"] += worlds.num_envs
            follow = np.power(settings.gamma, played) * ~over
            pasts.append(past)
            states.append(state)
            chains.append(chain.actions)
            log_probs.append(chain.log_prob)
            values.append(mind.critic(state))
            rewards.append(torch.from_numpy(paid.astype(np.float32)).to(net.device))
            follows.append(torch.from_numpy(follow.astype(np.float32)).to(net.device))
            self._observation, self._asked, self._begun = seen, list(info["instruction"]), over
        after = mind.critic(_state(self._observation, net.device))
        value = torch.stack(values)
        advantage = advantages(torch.stack(rewards), value, torch.stack(follows), after, lam=settings.lam)
        return Rollout(
            past=Past(**{name: torch.stack([getattr(each, name) for each in pasts]) for name in vars(pasts[0])}),
            state=torch.stack(states),
            actions=torch.stack(chains),
            log_prob=torch.stack(log_probs),
            advantage=advantage,
            target=advantage + value,
            told=told,
        )

    def close(self) -> None:
        """Frees what it holds."""
        self.worlds.close()

    def _begin(self, mind: ActorCritic, turn: Turn) -> WamPolicy:
        """Begins episodes in all worlds."""
        policy, count = mind.policy(), self.worlds.num_envs
        policy.reset(count)
        seed = turn.seed + _APART * turn.iteration
        self._observation, info = self.worlds.reset(seed=seed + self._first, options=self._staggered(seed))
        self._asked, self._begun = list(info["instruction"]), np.ones(count, dtype=np.bool_)
        self._policy = policy
        return policy

    def _staggered(self, seed: int) -> dict[str, Any] | None:
        """First episodes of different lengths, lest a batch be nothing but beginnings."""
        length = getattr(self.worlds, "max_episode_steps", None)
        if length is None:
            return None
        elapsed = np.random.default_rng(seed).permutation(self._total) * length // self._total
        return {"elapsed": elapsed[self._first : self._first + self.worlds.num_envs].tolist()}

    def _noise(self, mind: ActorCritic, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """What chains begin with, and what their steps add: drawn for all worlds, of which these get their own."""
        net, settings = mind.net, mind.net.settings
        shape = (self._total, 1 + mind.sigma.steps, settings.chunk, settings.action_size)
        drawn = torch.randn(shape, generator=random)[self._first : self._first + self.worlds.num_envs].to(net.device)
        return drawn[:, 0], drawn[:, 1:]


class Team:
    """Players of worlds that follow upon each other, such as of several simulators, as one."""

    def __init__(self, players: Sequence[Player | Team]) -> None:
        """Takes them in the order of their worlds."""
        self._players = players

    def play(self, mind: ActorCritic, turn: Turn) -> Rollout:
        """See `Player`."""
        return Rollout.joined([player.play(mind, turn) for player in self._players])

    def close(self) -> None:
        """Frees what it holds."""
        for player in self._players:
            player.close()


def _mixed(turn: Turn) -> int:
    """A number for what is drawn in an iteration."""
    return int(np.random.SeedSequence([turn.seed, turn.iteration]).generate_state(1, np.uint64)[0])


def _state(observation: Any, device: torch.device) -> Tensor:
    named = observation["state"] if isinstance(observation, Mapping) else observation
    return torch.from_numpy(np.array(named, dtype=np.float32)).to(device)


def _rows(final: Any, rows: NDArray[np.intp]) -> Any:
    """The last observations of worlds, out of an object array of them."""
    chosen = [final[k] for k in rows]
    if isinstance(chosen[0], Mapping):
        return {name: np.stack([each[name] for each in chosen]) for name in chosen[0]}
    return np.stack(chosen)


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

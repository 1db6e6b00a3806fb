"""Who plays the worlds, and learns from what was played: this process, or several that `torchrun` started.

With `torchrun`, each process plays some of the shards, all get what was played, and each computes gradients of its
share of a minibatch. Gradients are added up, so that every process takes the same steps: those that one process alone
would take, but for the order in which floats are added.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor, nn

from ...envs import WorldVectorEnv
from .actor_critic import ActorCritic
from .rollout import Player, Rollout, Team, Turn, Worlds

MakeWorlds = Callable[[int, int], Sequence[Worlds]]
"""Makes the worlds from one number to before another, in batches that follow upon each other."""


class Crew(ABC):
    """Those who play.

    Attributes:
        size: processes that learn. chief: whether this one is the one that writes files.
    """

    size = 1
    chief = True

    @abstractmethod
    def play(self, mind: ActorCritic, turn: Turn) -> Rollout:
        """What was played in all worlds.

        Raises:
            TrainingError: those who play do not come to it.
        """

    def mine(self, rows: Tensor) -> tuple[Tensor, float]:
        """Of the rows of a minibatch those that this process learns from, and how much each counts."""
        return rows, 1.0

    def added(self, parameters: Sequence[nn.Parameter], told: Tensor) -> Tensor:
        """Adds up the gradients of all processes, in place, and numbers (n,) that each has; returns these."""
        return told

    def agreed(self, what: Any) -> Any:
        """What the chief has, everywhere."""
        return what

    @abstractmethod
    def close(self) -> None:
        """Frees what it holds."""


class Alone(Team, Crew):
    """One process, which plays one shard after another."""


class Together(Alone):
    """One of several processes that have joined (`torch.distributed`)."""

    def __init__(self, make: MakeWorlds, num_envs: int, shards: int) -> None:
        """Makes this process's share of so many worlds; all processes are told the same."""
        self._rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.chief, self._shards = self._rank == 0, shards
        super().__init__(make_players(make, num_envs, shards, range(self._rank, shards, self.size)))

    def play(self, mind: ActorCritic, turn: Turn) -> Rollout:
        """See `Crew`."""
        own = [player.play(mind, turn).to(torch.device("cpu")) for player in self._players]
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, own)
        return Rollout.joined([found[k % self.size][k // self.size] for k in range(self._shards)]).to(mind.net.device)

    def mine(self, rows: Tensor) -> tuple[Tensor, float]:
        """See `Crew`."""
        own = rows[self._rank :: self.size]
        return (own, 1.0) if len(own) else (rows[:1], 0.0)  # networks do not take nothing

    def added(self, parameters: Sequence[nn.Parameter], told: Tensor) -> Tensor:
        """See `Crew`."""
        gradients = [value.grad for value in parameters if value.grad is not None]
        flat = torch.cat([told, *(each.flatten() for each in gradients)])
        torch.distributed.all_reduce(flat)
        told, *sums = torch.split(flat, [len(told), *(each.numel() for each in gradients)])
        for gradient, total in zip(gradients, sums, strict=True):
            gradient.copy_(total.view_as(gradient))
        return told

    def agreed(self, what: Any) -> Any:
        """See `Crew`."""
        found = [what]
        torch.distributed.broadcast_object_list(found, 0)
        return found[0]


def make_worlds(
    env_id: str, keywords: Mapping[str, Any], ends: Mapping[str, int], first: int, last: int
) -> list[WorldVectorEnv]:
    """Worlds to learn in, from number `first` to before `last`.

    Args:
        env_id, keywords: of `gym.make_vec`. ends: by backend, the number before which its worlds end, in rising order.
        first, last: of the worlds.

    Raises:
        TaskError: see `WorldVectorEnv`.
    """
    made: list[WorldVectorEnv] = []
    for backend, end in ends.items():
        count = min(end, last) - first
        if count > 0:
            mode = AutoresetMode.SAME_STEP
            env = gym.make_vec(env_id, num_envs=count, autoreset_mode=mode, backend=backend, **keywords).unwrapped
            assert isinstance(env, WorldVectorEnv)
            made.append(env)
            first += count
    return made


def make_players(make: MakeWorlds, num_envs: int, shards: int, which: Iterable[int]) -> list[Team]:
    """Those of some of the shards that so many worlds are split into, all of one size but for one world."""
    ends = [k * num_envs // shards for k in range(shards + 1)]
    found = []
    for k in which:
        players, first = [], ends[k]
        for worlds in make(first, ends[k + 1]):
            players.append(Player(worlds, first=first, total=num_envs))
            first += worlds.num_envs
        found.append(Team(players))
    return found

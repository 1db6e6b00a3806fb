"""Actions of mixed quality: experts, experts that are disturbed, random motions, and hardly any.

A model that has seen success alone paints success, and one that is judged by success alone is flattered. So episodes
mix: an expert with more or less noise, an expert that loses control for a while, at any time, and goes on from where
that led, random motions, and hardly any. And a model that was made from these alone is wrong where others go who
learn in it: so policies that did play, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs import WorldVectorEnv
from .experts import make_expert
from .sb3_policy import SB3Policy

KINDS = ("noisy", "disturbed", "random", "still")
_SHARES = (0.45, 0.25, 0.2, 0.1)
_NOISES = (0.0, 0.1, 0.25, 0.5)
_MEMORY = 0.85  # of the noise, from one control step to the next
_FLIP = 0.04  # how often a random gripper changes its mind
_SPAN = (5, 40)  # how long [control steps] an expert loses control
_TREMBLE = (0.0, 0.2, 0.4, 0.6)  # noise on actions of policies, new at every control step, as when they learn


class Play(Protocol):
    """Plays one episode in every world of an environment."""

    def act(self, observation: Any) -> NDArray[np.float32]:
        """The next actions (num_envs, A), for what the environment observed last."""


def make_play(env: WorldVectorEnv, seed: int, policies: Sequence[SB3Policy] = ()) -> Play:
    """By policies, if there are any, else of mixed quality; in a physics environment that was just reset."""
    return PolicyPlay(env, seed, policies) if policies else MixedPlay(env, seed)


class MixedPlay:
    """Plays one episode in every world of a physics environment that was just reset.

    Attributes:
        kind: (num_envs,) of each world, one of `KINDS`.
    """

    def __init__(self, env: WorldVectorEnv, seed: int) -> None:
        """Draws who plays how; the same for the same seed and number of worlds."""
        self._rng = rng = np.random.default_rng([seed, 1])
        count, size, steps = env.num_envs, env.simulator.action_size, int(env.max_episode_steps or 0)
        self._expert = make_expert(env)
        self._arm = env.world.robot.kind == "arm"
        self.kind = np.array(KINDS)[rng.choice(len(KINDS), count, p=_SHARES)]
        self._noise = rng.choice(_NOISES, (count, 1))
        self._drift, self._bias = np.zeros((count, size)), rng.normal(0, 0.4, (count, size))
        self._first, self._span = rng.integers(0, steps, count), rng.integers(*_SPAN, count)
        self._grip = rng.choice([-1.0, 1.0], count)
        self._step = 0

    def act(self, observation: Any = None) -> NDArray[np.float32]:
        """See `Play`: experts look at the simulator."""
        rng, kind, count = self._rng, self.kind, len(self.kind)
        noise = rng.normal(0, 1, self._drift.shape)
        self._drift = drift = _MEMORY * self._drift + np.sqrt(1 - _MEMORY**2) * noise
        self._grip = np.where(rng.random(count) < _FLIP, -self._grip, self._grip)
        wild = 0.6 * drift + 0.3 * self._bias
        faint = 0.15 * drift * (rng.random((count, 1)) < 0.5)
        if self._arm:
            wild[:, -1] = faint[:, -1] = self._grip
        lost = (kind == "disturbed") & (self._step >= self._first) & (self._step < self._first + self._span)
        lost |= kind == "random"
        action: NDArray[Any] = np.where(lost[:, None], wild, self._expert.act() + self._noise * drift)
        action = np.where((kind == "still")[:, None], faint, action)
        self._step += 1
        return np.asarray(np.clip(action, -1, 1), dtype=np.float32)


class PolicyPlay:
    """Plays one episode in every world by policies that look at states, with more or less noise.

    Attributes:
        player: (num_envs,) which of the policies plays in each world.
    """

    def __init__(self, env: WorldVectorEnv, seed: int, policies: Sequence[SB3Policy]) -> None:
        """Draws who plays where; the same for the same seed and number of worlds."""
        self._rng = rng = np.random.default_rng([seed, 2])
        self._policies, self._size = policies, env.simulator.action_size
        self.player = rng.integers(len(policies), size=env.num_envs)
        self._noise = rng.choice(_TREMBLE, (env.num_envs, 1))

    def act(self, observation: Any) -> NDArray[np.float32]:
        """See `Play`; `observation` is of states (num_envs, S)."""
        action = self._noise * self._rng.normal(size=(len(self.player), self._size))
        for number, policy in enumerate(self._policies):
            mine = np.flatnonzero(self.player == number)
            if len(mine):
                action[mine] += policy.act(observation[mine])
        return np.asarray(np.clip(action, -1, 1), dtype=np.float32)

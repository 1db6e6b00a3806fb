"""Plays whole episodes with a policy that decides in chunks: how many succeed, and how long a decision takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ...envs import WorldVectorEnv
from ...errors import TaskError
from .policy import ChunkPolicy, check_place

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Match:
    """What is played.

    Attributes:
        env_id, keywords: of `gym.make_vec`. episodes: how many, of seeds from `seed` on.
        num_envs: worlds at once; changes nothing but the speed.
    """

    env_id: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    episodes: int = 100
    seed: int = 1_000_000
    num_envs: int = 100


@dataclass(frozen=True)
class Played:
    """What came of n episodes.

    Attributes:
        success: (n,) at the end. ever: (n,) at any decision. seconds: mean of a decision for all worlds of a batch.
    """

    success: NDArray[np.bool_]
    ever: NDArray[np.bool_]
    seconds: float


def play_match(match: Match, policy: ChunkPolicy, notify: Callable[[float], None] = lambda share: None) -> Played:
    """Plays; every world's episode is that of its seed.

    Raises:
        TaskError: the model is not for this environment, or episodes never end.
    """
    ends, evers, seconds = [], [], []
    for first in range(0, match.episodes, match.num_envs):
        count = min(match.num_envs, match.episodes - first)
        env = gym.make_vec(
            match.env_id, num_envs=count, autoreset_mode=AutoresetMode.DISABLED, **dict(match.keywords)
        ).unwrapped
        assert isinstance(env, WorldVectorEnv)
        try:
            check_place(policy.settings, env)
            policy.reset(count, first=first)
            end, ever, took = _play(env, policy, match.seed + first)
        finally:
            env.close()
        ends.append(end)
        evers.append(ever)
        seconds += took
        notify(min(first + count, match.episodes) / match.episodes)
    return Played(np.concatenate(ends), np.concatenate(evers), float(np.mean(seconds)))


def _play(env: WorldVectorEnv, policy: ChunkPolicy, seed: int) -> tuple[Mask, Mask, list[float]]:
    if env.max_episode_steps is None:
        raise TaskError(f"episodes of {env} never end; give max_episode_steps")
    count, seconds = env.num_envs, []
    observation, info = env.reset(seed=list(range(seed, seed + count)))
    begun = np.ones(count, dtype=np.bool_)
    failed, ever = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    left = env.max_episode_steps
    while left:
        start = time.perf_counter()
        chunk = policy.act(observation, list(info["instruction"]), begun=begun)
        seconds.append(time.perf_counter() - start)
        chunk = chunk[:, :left]
        observation, _, _, _, info = env.step_chunk(chunk)
        left -= chunk.shape[1]
        broken = np.asarray(info["physics_error"], dtype=np.bool_)
        failed |= broken
        solved = np.asarray(info["is_success"], dtype=np.bool_) & ~failed
        ever |= solved
        begun = broken
        if broken.any():
            observation, info = env.reset(options={"reset_mask": broken})
    return solved, ever, seconds

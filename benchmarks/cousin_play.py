"""Plays every cousin of a set with a policy or the scripted expert, and counts successes: those of the last step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..agents.experts import make_expert
from ..digital_cousins.cousin import Cousin
from ..digital_cousins.cousin_set import CousinSet
from ..envs import WorldVectorEnv
from ..envs.catalogue import known_ids
from ..errors import TaskError
from ..registry import ENVIRONMENTS
from ..scenes import Scene

AT_ONCE = 32
"""Cousins whose worlds are stepped together; more take more memory."""

Notify = Callable[[str, float], None]


class Policy(Protocol):
    """What is tried: any object with these two."""

    def reset(self, num_envs: int) -> None:
        """Forgets; so many episodes begin."""

    def act(self, observations: Any) -> NDArray[Any]:
        """Actions (num_envs, action_size) in [-1, 1] for a batch of observations."""
        ...


@dataclass(frozen=True)
class Played:
    """How many episodes in each of n cousins succeeded.

    Attributes:
        env_id: what was played. positions: (n,) of the cousins in their set. distances: (n,) from the twin.
        successes, trials: (n,) episodes. unsuitable: numbers of cousins that the task cannot be played in, and why.
    """

    env_id: str
    positions: NDArray[np.int64]
    distances: NDArray[np.float64]
    successes: NDArray[np.float64]
    trials: NDArray[np.float64]
    unsuitable: dict[int, str]


def play_cousins(
    cousins: CousinSet,
    *,
    env_id: str,
    policy: Policy | None = None,
    episodes: int = 2,
    split: str = "all",
    seed: int = 0,
    at_once: int = AT_ONCE,
    notify: Notify = lambda stage, share: None,
    **keywords: Any,
) -> Played:
    """Plays `episodes` episodes in every cousin.

    Args:
        cousins: the set. env_id: the task. policy: what plays; None: the scripted expert.
        episodes: in each cousin. split: which cousins. seed: cousin k plays seeds from seed + k * episodes on.
        at_once: cousins that are stepped together. notify: called with (stage, share done).
        keywords: of the environment.

    Raises:
        TaskError: an argument makes no sense, or no cousin suits the task. SceneError: a cousin cannot be read.
    """
    if episodes < 1 or at_once < 1 or seed < 0:
        raise TaskError(f"episodes and at_once must be from 1, seed from 0; got {episodes}, {at_once} and {seed}")
    (env_id,) = known_ids([env_id])
    positions = cousins.indices(None if split == "all" else split)  # type: ignore[arg-type]
    successes, trials = np.zeros(len(positions)), np.zeros(len(positions))
    unsuitable: dict[int, str] = {}
    for first in range(0, len(positions), at_once):
        rows = np.arange(first, min(first + at_once, len(positions)))
        loaded = {int(row): cousins.load(int(positions[row])) for row in rows}
        env, lacking = _environment(env_id, loaded, episodes, keywords)
        unsuitable |= lacking
        if env is not None:
            kept = [row for row, cousin in loaded.items() if cousin.index not in lacking]
            seeds = [seed + row * episodes + k for row in kept for k in range(episodes)]
            try:
                solved = _play(env, policy, seeds, np.repeat(np.arange(len(kept)), episodes))
            finally:
                env.close()
            successes[kept], trials[kept] = solved.reshape(len(kept), episodes).sum(axis=1), episodes
        notify("cousins", (int(rows[-1]) + 1) / len(positions))
    if not trials.any():
        raise TaskError(f"no cousin suits {env_id}; of the first: {next(iter(unsuitable.values()))}")
    distances = np.array([cousins.manifest.entries[k].distance for k in positions])
    return Played(env_id, positions, distances, successes, trials, unsuitable)


def play_scene(
    scene: Scene | str, *, env_id: str, policy: Policy | None, episodes: int, seed: int, **keywords: Any
) -> int:
    """How many of `episodes` episodes in one scene, with seeds from `seed` on, succeed; see `play_cousins`."""
    env = _made(env_id, [scene], episodes, keywords)
    try:
        return int(_play(env, policy, list(range(seed, seed + episodes)), np.zeros(episodes, dtype=np.int64)).sum())
    finally:
        env.close()


def _environment(
    env_id: str, cousins: Mapping[int, Cousin], episodes: int, keywords: Mapping[str, Any]
) -> tuple[WorldVectorEnv | None, dict[int, str]]:
    """Worlds of all cousins that the task can be played in, and why it cannot in the others, by their numbers."""
    try:
        return _made(env_id, list(cousins.values()), episodes, keywords), {}
    except TaskError as error:
        if len(cousins) == 1:
            return None, {cousin.index: str(error) for cousin in cousins.values()}
    lacking: dict[int, str] = {}
    for row, cousin in cousins.items():
        env, reasons = _environment(env_id, {row: cousin}, 1, keywords)
        lacking |= reasons
        if env is not None:
            env.close()
    kept = [cousin for cousin in cousins.values() if cousin.index not in lacking]
    return _made(env_id, kept, episodes, keywords) if kept else None, lacking


def _made(
    env_id: str, scenes: Sequence[Cousin | Scene | str], episodes: int, keywords: Mapping[str, Any]
) -> WorldVectorEnv:
    entry = ENVIRONMENTS[env_id]
    given = {**entry.keywords, "object_jitter": 0.0, **keywords, "scene": list(scenes)}
    return WorldVectorEnv(
        len(scenes) * episodes, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=entry.steps, **given
    )


def _play(env: WorldVectorEnv, policy: Policy | None, seeds: list[int], scenes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """One episode of every world: success (num_envs,) at its end; where physics diverged there is none."""
    observation, _ = env.reset(seed=seeds, options={"scene": list(scenes)})
    expert = make_expert(env) if policy is None else None
    if policy is not None:
        policy.reset(env.num_envs)
    solved, over = (np.zeros(env.num_envs, dtype=np.bool_) for _ in range(2))
    for _ in range(int(env.max_episode_steps or 0)):
        action = expert.act() if expert is not None else policy.act(observation)  # type: ignore[union-attr]
        observation, _, terminated, truncated, info = env.step(action)
        ended = (terminated | truncated) & ~over
        solved = np.where(over, solved, info["is_success"])
        over |= ended
        if over.all():
            break
        if ended.any():  # it goes on for nobody
            observation, _ = env.reset(options={"reset_mask": ended, "scene": list(scenes)})
    return solved

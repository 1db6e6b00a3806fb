"""Which episode every world of a batch is in: its seed, its number, its scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TaskError
from .episodes import EpisodeSampler, scene_rng, stacked
from .simulator import Array, Episodes, Ids
from .tasks import Draw


class Schedule:
    """Seeds, episode numbers and scenes of `num_envs` worlds.

    Attributes:
        seeds: of each world, -1 before the first reset.
        episodes: (num_envs,) numbers of the present episodes, counting from 0 for each seed, -1 before the first.
        scenes: (num_envs,) which of the batch's scenes each has.
        weights: (S,) how often episodes draw each of the scenes, adding up to 1.
    """

    def __init__(self, samplers: Sequence[EpisodeSampler], num_envs: int) -> None:
        """Takes the sampler of each scene."""
        self._samplers = tuple(samplers)
        self.seeds = [-1] * num_envs
        self.episodes = np.full(num_envs, -1, dtype=np.int64)
        self.scenes = np.zeros(num_envs, dtype=np.int64)
        self.weigh(np.ones(len(self._samplers)))

    def weigh(self, weights: Array | Sequence[float]) -> None:
        """Sets how often episodes that begin from now on draw each of S scenes, from (S,) numbers in proportion.

        Raises:
            TaskError: they are not as many as scenes, negative, not finite, or all zero.
        """
        found, count = np.asarray(weights), len(self._samplers)
        if found.shape != (count,) or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
            raise TaskError(f"scene_weights must be {count} finite numbers, one a scene, got {weights!r}")
        if (found < 0).any() or not found.sum() > 0:
            raise TaskError(f"scene_weights must not be negative, nor all zero, got {weights!r}")
        self.weights: Array = np.asarray(found / found.sum(), dtype=np.float64)
        self._keep, self._alias = alias_table(self.weights)

    def _drawn(self, seed: int, index: int) -> int:
        """The scene that an episode draws."""
        count = len(self._samplers)
        if count == 1:
            return 0
        rng = scene_rng(seed, index)
        column = int(rng.integers(count))
        return column if rng.random() < self._keep[column] else int(self._alias[column])

    def seed(self, ids: Ids, seed: int | Sequence[int | None] | None, *, fallback: int) -> None:
        """Gives worlds `ids` (m,) new seeds, whose episode 0 comes next.

        Args:
            ids: the worlds. seed: s gives world j the seed s + j; a list gives each its own, None in it goes on; None
                goes on everywhere. fallback: s for worlds that never had a seed.
        """
        chosen = [int(j) for j in ids]
        given: dict[int, int] = {}
        if isinstance(seed, (int, np.integer)):
            given = {j: int(seed) + j for j in chosen}
        elif seed is not None:
            if len(seed) != len(self.seeds):
                raise TaskError(f"seed has {len(seed)} entries for {len(self.seeds)} worlds")
            given = {j: int(each) for j in chosen if (each := seed[j]) is not None}
        fresh = {j: fallback + j for j in chosen if self.episodes[j] < 0}
        for j, value in (fresh | given).items():
            if value < 0:
                raise TaskError(f"seeds must not be negative, got {value}")
            self.seeds[j], self.episodes[j] = value, -1

    def begin(self, ids: Ids, scenes: Ids | None = None) -> tuple[Episodes, list[Draw]]:
        """The next episodes of worlds `ids` (m,), in `scenes` (m,) or those they draw."""
        self.episodes[ids] += 1
        which = [(self.seeds[j], int(self.episodes[j])) for j in ids]
        if scenes is None:
            scenes = np.array([self._drawn(*each) for each in which])
        self.scenes[ids] = scenes
        drawn = [self._samplers[scene].draw(*each) for scene, each in zip(scenes, which, strict=True)]
        return stacked([start for start, _ in drawn], scenes), [draw for _, draw in drawn]


def alias_table(weights: Array) -> tuple[Array, Ids]:
    """Walker's alias method: draw a column evenly, keep it with its probability, else take its alias.

    With equal weights every column is kept, so that weights change no draw unless they must. See Vose, "A linear
    algorithm for generating random numbers with a given distribution", IEEE Transactions on Software Engineering 17(9),
    1991.

    Args:
        weights: (S,) adding up to 1.

    Returns:
        Probabilities (S,) of being kept, and aliases (S,).
    """
    share = weights * len(weights)
    share[np.abs(share - 1) < 1e-9] = 1.0
    keep, alias = np.ones(len(weights)), np.arange(len(weights))
    small, large = ([int(k) for k in np.flatnonzero(mask)] for mask in (share < 1, share > 1))
    while small and large:
        low, high = small.pop(), large[-1]
        keep[low], alias[low] = share[low], high
        share[high] -= 1 - share[low]
        if share[high] <= 1:
            large.pop()
            if share[high] < 1:
                small.append(high)
    return keep, alias


def masked(mask: Any, num_envs: int) -> Ids:
    """The worlds that the reset option `reset_mask` chooses; all for None."""
    if mask is None:
        return np.arange(num_envs)
    found: NDArray[Any] = np.asarray(mask)
    if found.shape != (num_envs,) or found.dtype != np.bool_ or not found.any():
        raise TaskError(
            f"option 'reset_mask' must be a bool array ({num_envs},) with a True in it, got {found.dtype} {found.shape}"
        )
    return np.flatnonzero(found)


def indices(name: str, value: Any, num_envs: int, end: int | None = None) -> Ids:
    """A reset option that is one index, or one a world, as (num_envs,)."""
    found = np.asarray(value)
    fits = found.dtype.kind in "iu" and found.shape in {(), (num_envs,)} and (found >= 0).all()
    if not fits or (end is not None and (found >= end).any()):
        least = "from 0" if end is None else f"from 0 to {end - 1}"
        raise TaskError(f"option {name!r} must be a whole number {least}, or {num_envs} of them, got {value!r}")
    return np.broadcast_to(found.astype(np.int64), (num_envs,))

"""A curriculum over a set of cousins: a policy practises more where it fails, and forgets nothing.

env = gym.make_vec("PocketWorlds/Lift-v0", num_envs=64, scene="my_cousins").unwrapped     # split "train"
curriculum = Curriculum.of(load_cousins("my_cousins"))
...
curriculum.record(info["scene_index"][done], info["is_success"][done])     # episodes that ended
env.scene_weights = curriculum.weights()                                   # now and then
print("; ".join(curriculum.told()))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SceneError
from .cousin_set import CousinSet
from .draws import Split
from .effects import Effect, effects

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIOR = 4.0
"""How many episodes the guess from its factors counts for, beside the episodes of a cousin itself."""


class Curriculum:
    """How often a policy solves each of n cousins, and how often each should come up.

    The rate of failure of a cousin is a Beta posterior mean: its own episodes, and `PRIOR` more that fail as often as
    those of all cousins that share its values of the factors that matter clearly. So it is known of a cousin that was
    never tried.

    Attributes:
        table: by factor the n values. successes, trials: (n,) episodes, older ones counting less.
    """

    def __init__(
        self,
        table: Mapping[str, Sequence[Any]],
        *,
        seed: int = 0,
        floor: float = 0.3,
        half_life: float | None = None,
    ) -> None:
        """Starts knowing nothing: all weights are equal.

        Args:
            table: by factor a value for each of n cousins, None where it has none; see `CousinSet.table`.
            seed: of draws and of the judgement of factors.
            floor: share of the weight that all cousins share evenly, in (0, 1].
            half_life: after so many episodes an episode counts half, since the policy has changed; None: never.

        Raises:
            SceneError: there are no cousins, or a value makes no sense.
        """
        lengths = {len(column) for column in table.values()}
        if len(lengths) != 1 or not max(lengths):
            raise SceneError(f"a curriculum needs a value of every factor for each cousin; got columns of {lengths}")
        if not 0 < floor <= 1:
            raise SceneError(f"floor must be above 0 and at most 1, got {floor!r}")
        if half_life is not None and not half_life > 0:
            raise SceneError(f"half_life must be a positive number of episodes or None, got {half_life!r}")
        self.table = dict(table)
        self.successes, self.trials = (np.zeros(max(lengths)) for _ in range(2))
        self._rng = np.random.default_rng(seed)
        self._seed, self._floor, self._half_life = seed, floor, half_life

    @classmethod
    def of(cls, cousins: CousinSet, split: Split | None = "train", **options: Any) -> Curriculum:
        """That of the cousins of a split, in the order in which an environment has them; all for None."""
        chosen = cousins.indices(split)
        entries = cousins.manifest.entries
        table = {name: [column[k] for k in chosen] for name, column in cousins.table.items()}
        return cls({"distance": [entries[k].distance for k in chosen], **table}, **options)

    def __len__(self) -> int:
        """Number of cousins."""
        return len(self.trials)

    def record(self, scenes: Ints, success: NDArray[np.bool_]) -> None:
        """Counts episodes that ended.

        Args:
            scenes: (m,) which cousins they were in, as `info["scene_index"]` says. success: (m,).

        Raises:
            SceneError: there is no such cousin, or the arrays do not fit together.
        """
        where, solved = np.asarray(scenes), np.asarray(success, dtype=np.float64)
        if where.shape != solved.shape or where.ndim != 1 or ((where < 0) | (where >= len(self))).any():
            raise SceneError(
                f"episodes to record must be cousins from 0 to {len(self) - 1} and as many outcomes, got arrays "
                f"{where.shape} and {solved.shape}"
            )
        if self._half_life is not None:
            kept = 0.5 ** (len(where) / self._half_life)
            self.successes *= kept
            self.trials *= kept
        np.add.at(self.successes, where, solved)
        np.add.at(self.trials, where, 1.0)

    def effects(self) -> list[Effect]:
        """What has to do with success so far, the clearest and strongest first."""
        return effects(self.table, self.successes, self.trials, seed=self._seed)

    def told(self) -> list[str]:
        """On which factors the policy fails, a sentence each; none where chance would explain it."""
        return [effect.told() for effect in self.effects() if effect.clear]

    def failure(self) -> Array:
        """Expected rate of failure (n,) in each cousin."""
        tried = float(self.trials.sum())
        overall = (tried - float(self.successes.sum()) + 1) / (tried + 2)  # Beta(1, 1)
        expected, weight = np.zeros(len(self)), np.zeros(len(self))
        for effect in self.effects():
            if effect.clear:
                rates = self._rates(effect)
                known = np.isfinite(rates)
                expected[known] += effect.explains * rates[known]
                weight[known] += effect.explains
        guess = np.where(weight > 0, expected / np.maximum(weight, 1e-12), overall)
        return np.asarray((self.trials - self.successes + PRIOR * guess) / (self.trials + PRIOR))

    def weights(self) -> Array:
        """Weights (n,) for drawing cousins, which add up to 1: in proportion to failure, none below its floor."""
        failure = self.failure()
        return np.asarray(self._floor / len(self) + (1 - self._floor) * failure / failure.sum())

    def draw(self, count: int) -> Ints:
        """Cousins (count,) to practise in, drawn by the weights."""
        return np.asarray(self._rng.choice(len(self), size=count, p=self.weights()), dtype=np.int64)

    def _rates(self, effect: Effect) -> Array:
        """The rate of failure (n,) in the bin of each cousin, NaN for those that have none of the factor."""
        rates = [1 - (each.successes + 1) / (each.trials + 2) for each in effect.bins]
        named = {each.label: rate for each, rate in zip(effect.bins, rates, strict=True)}
        ends = [each.high for each in effect.bins]
        column = self.table[effect.factor]
        if None in ends:
            other = named.get("another", np.nan)
            return np.array([np.nan if v is None else named.get(str(v), other) for v in column])
        # Between two bins lies what nobody tried: it belongs to the upper one.
        places = np.searchsorted(np.array(ends, dtype=np.float64), [np.nan if v is None else v for v in column])
        return np.append(rates, rates[-1])[places] * np.where([v is None for v in column], np.nan, 1.0)

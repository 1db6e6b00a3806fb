"""Which factors of cousins decide whether a policy succeeds, from how often it did in each.

    found = effects(cousins.table, successes, trials)
    found[0].factor, found[0].told()      # what matters most, in words

Success is compared between ranges ("bins") of every factor. How much a factor explains is the mutual information
between its bins and success, as a share of the uncertainty of success (Shannon 1948; Theil's U), less what chance alone
gives. Chance is known from permutations: results are dealt out to other cousins, which keeps episodes of one cousin
together, and the best factor of each deal is looked at, so that many factors do not find something by their number
(Westfall and Young, "Resampling-Based Multiple Testing", 1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_BINS, FEWEST_IN_BIN = 5, 6
"""Bins of a number, and how many cousins each has at least, where there are so many."""
MOST_WORDS = 8
"""Rarer words than the so many most frequent ones share a bin."""
PERMUTATIONS, RESAMPLES = 499, 400
CLEAR = 0.05
"""A factor counts if chance does as well in fewer than this share of the permutations."""


@dataclass(frozen=True)
class Bin:
    """A range of a factor.

    Attributes:
        label: in words. low, high: bounds of a number, None for words.
        successes, trials: episodes in it; fractions where older ones count less.
    """

    label: str
    low: float | None
    high: float | None
    successes: float
    trials: float

    @property
    def rate(self) -> float:
        """Share of successes, 0 where nothing was tried."""
        return self.successes / self.trials if self.trials else 0.0


@dataclass(frozen=True)
class Effect:
    """What a factor has to do with success.

    Attributes:
        factor: its name, `axis.name`. bins: from the lowest to the highest, or by frequency.
        explains: share of the uncertainty of success that it explains, in [0, 1].
        chance: how often chance explains as much with any factor, in (0, 1].
        difference: rate of the best bin less that of the worst. interval: 95 %, from cousins drawn anew (bootstrap).
    """

    factor: str
    bins: tuple[Bin, ...]
    explains: float
    chance: float
    difference: float
    interval: tuple[float, float]

    @property
    def clear(self) -> bool:
        """Whether it is more than chance."""
        return self.chance < CLEAR

    def told(self) -> str:
        """Where it fails, in a sentence."""
        worst = min(self.bins, key=lambda each: each.rate)
        others = [each for each in self.bins if each is not worst]
        solved, tried = sum(b.successes for b in others), sum(b.trials for b in others)
        elsewhere = solved / tried if tried else 0.0
        return (
            f"it fails most where {self.factor} is {worst.label}: it solves {worst.rate:.0%} there and {elsewhere:.0%} "
            "elsewhere"
        )


def effects(table: Mapping[str, Sequence[Any]], successes: Array, trials: Array, *, seed: int = 0) -> list[Effect]:
    """The effects of all factors that vary, the clearest and strongest first.

    Args:
        table: by factor a value for each of n cousins: a number, a word, or None where a cousin has none of it.
        successes, trials: (n,) episodes. seed: of the permutations.
    """
    tried = trials > 0
    binned = {name: _bins([v for v, t in zip(column, tried, strict=True) if t]) for name, column in table.items()}
    varied = {name: found for name, found in binned.items() if len(found[1]) > 1}
    if not varied or not tried.any():
        return []
    counts = np.stack([successes[tried], trials[tried]])  # (2, n)
    rng = np.random.default_rng(seed)
    members = np.concatenate([_one_hot(bins, len(told)) for bins, told in varied.values()])  # (bins of all, n)
    starts = np.cumsum([0, *(len(told) for _, told in varied.values())])
    dealt = np.stack([rng.permutation(counts.shape[1]) for _ in range(PERMUTATIONS)])
    sums = np.stack([members @ each.T for each in (counts[0], counts[1])])  # (2, bins)
    null = np.stack([members @ each[dealt].T for each in (counts[0], counts[1])])  # (2, bins, permutations)
    real, by_chance = (np.stack([_information(x[:, a:b]) for a, b in _pairs(starts)]) for x in (sums, null))
    middle, spread = by_chance.mean(axis=1), np.maximum(by_chance.std(axis=1), 1e-12)
    score = (real - middle) / spread
    best = ((by_chance - middle[:, None]) / spread[:, None]).max(axis=0)
    chance = (1 + (best[None] >= score[:, None]).sum(axis=1)) / (1 + PERMUTATIONS)
    drawn = rng.multinomial(counts.shape[1], np.full(counts.shape[1], 1 / counts.shape[1]), size=RESAMPLES)
    again = np.stack([(members * each) @ drawn.T for each in (counts[0], counts[1])])  # (2, bins, resamples)
    found = []
    for k, (name, (_, told)) in enumerate(varied.items()):
        a, b = int(starts[k]), int(starts[k + 1])
        bins = tuple(
            Bin(*each, float(s), float(t)) for each, s, t in zip(told, sums[0, a:b], sums[1, a:b], strict=True)
        )
        rates = sums[0, a:b] / sums[1, a:b]
        high, low = int(rates.argmax()), int(rates.argmin())
        with np.errstate(invalid="ignore"):  # a bin that nobody was drawn of
            shares = again[0, a:b] / again[1, a:b]
        bounds = np.nan_to_num(np.nanquantile(shares[high] - shares[low], [0.025, 0.975]))
        found.append(
            Effect(
                name,
                bins,
                explains=float(max(real[k] - middle[k], 0.0)),
                chance=float(chance[k]),
                difference=float(rates[high] - rates[low]),
                interval=(float(bounds[0]), float(bounds[1])),
            )
        )
    return sorted(found, key=lambda effect: (effect.chance, -effect.explains))


def _bins(column: Sequence[Any]) -> tuple[Ints, list[tuple[str, float | None, float | None]]]:
    """The bin of every value (-1 for None), and of every bin that is not empty its label and bounds."""
    there = np.array([value is not None for value in column])
    values = [value for value in column if value is not None]
    which = np.full(len(column), -1, dtype=np.int64)
    if any(isinstance(value, str) for value in values):
        words, counts = np.unique([str(value) for value in values], return_counts=True)
        kept = [str(words[k]) for k in np.lexsort((words, -counts))][:MOST_WORDS]
        found = np.array([kept.index(str(v)) if str(v) in kept else len(kept) for v in values], dtype=np.int64)
        which[there] = found
        labels = [*kept, "another"] if len(words) > len(kept) else kept
        return which, [(label, None, None) for label in labels]
    numbers = np.array(values, dtype=np.float64)
    if len(numbers) == 0 or numbers.min() == numbers.max():
        return which, []
    different = np.unique(numbers)
    count = min(MOST_BINS, max(2, len(numbers) // FEWEST_IN_BIN))
    if len(different) <= count:
        which[there] = np.searchsorted(different, numbers)
        return which, [(f"{v:.3g}", float(v), float(v)) for v in different]
    inner = np.unique(np.quantile(numbers, np.arange(1, count) / count))
    found = np.searchsorted(inner, numbers, side="right")
    used, found = np.unique(found, return_inverse=True)
    which[there] = found
    bounds = [(float(numbers[found == k].min()), float(numbers[found == k].max())) for k in range(len(used))]
    return which, [(f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}", low, high) for low, high in bounds]


def _one_hot(bins: Ints, count: int) -> Array:
    return np.asarray(bins[None] == np.arange(count)[:, None], dtype=np.float64)


def _pairs(starts: Ints) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in pairwise(starts)]


def _information(counts: Array) -> Array:
    """Mutual information of bin and success as a share of the entropy of success.

    Args:
        counts: (2, bins, ...) successes and trials.
    """
    solved, tried = counts
    total = np.maximum(tried.sum(axis=0), 1e-12)
    before = _entropy(solved.sum(axis=0) / total)
    after = (tried * _entropy(solved / np.maximum(tried, 1e-12))).sum(axis=0) / total
    return np.asarray(np.where(before > 1e-12, (before - after) / np.maximum(before, 1e-12), 0.0))


def _entropy(share: Array) -> Array:
    """Of a binary variable [bits]."""
    p = np.clip(share, 1e-12, 1 - 1e-12)
    return np.asarray(-p * np.log2(p) - (1 - p) * np.log2(1 - p))

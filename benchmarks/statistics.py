"""The statistics of benchmarks, each by its published definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Interval = tuple[float, float]

_Z = 1.959963984540054
"""Of a normal distribution, 95 % lies within so many standard deviations."""


def wilson(successes: int, total: int, z: float = _Z) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927, eq. 2); (0, 1) where nothing was tried."""
    if total == 0:
        return 0.0, 1.0
    share = successes / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    spread = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return float(max(0.0, middle - spread)), float(min(1.0, middle + spread))


def pearson(x: Array, y: Array) -> float:
    """Pearson's correlation; NaN where one side does not vary."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.pearsonr(x, y).statistic)


def spearman(x: Array, y: Array) -> float:
    """Spearman's rank correlation, ties share their ranks; NaN where one side does not vary."""
    return pearson(stats.rankdata(x), stats.rankdata(y))


def fisher_interval(r: float, n: int, level: float = 0.95) -> Interval:
    """Interval of a correlation of n pairs by Fisher's z (1921): tanh(atanh r -+ z / sqrt(n - 3))."""
    if n < 4 or not np.isfinite(r):
        return -1.0, 1.0
    if abs(r) >= 1:
        return float(np.sign(r)), float(np.sign(r))
    half = stats.norm.ppf(0.5 + level / 2) / np.sqrt(n - 3)
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def drop_one(x: Array, y: Array, statistic: Callable[[Array, Array], float] = pearson) -> Interval:
    """Least and largest of a statistic of n pairs when each of them in turn is left out; NaN for fewer than 3."""
    if len(x) < 3:
        return float("nan"), float("nan")
    found = [statistic(np.delete(x, k), np.delete(y, k)) for k in range(len(x))]
    return float(np.min(found)), float(np.max(found))


def mmrv(real: Array, simulated: Array) -> float:
    """Mean maximum rank violation of n policies (Li et al., "SIMPLER", 2024, eq. 1), 0 where all ranks agree.

    RankViolation(i, j) = |R_i - R_j| * 1[(S_i < S_j) != (R_i < R_j)], R of the real world; the mean over i of the
    largest over j.
    """
    gap = np.abs(real[:, None] - real[None])
    violated = (simulated[:, None] < simulated[None]) != (real[:, None] < real[None])
    return float((gap * violated).max(axis=1).mean())


def slope(x: Array, y: Array) -> float:
    """Of the least-squares line of y on x; NaN where x does not vary."""
    if len(x) < 2 or np.ptp(x) == 0:
        return float("nan")
    return float(stats.linregress(x, y).slope)


@dataclass(frozen=True)
class Correspondence:
    """How scores of policies in a simulator go with their scores in the real world.

    Attributes:
        r, r_interval, r_range: Pearson's correlation, its 95 % interval, and its range when each policy in turn is left
            out. mmrv: see there. slope: of the line of the simulator's scores on the real ones. bias: their mean
            difference, simulator less real.
    """

    r: float
    r_interval: Interval
    r_range: Interval
    mmrv: float
    slope: float
    bias: float


def correspondence(real: Array, simulated: Array) -> Correspondence:
    """What is said of n policies by their scores (n,) in the real world and in a simulator."""
    r = pearson(real, simulated)
    return Correspondence(
        r=r,
        r_interval=fisher_interval(r, len(real)),
        r_range=drop_one(real, simulated),
        mmrv=mmrv(real, simulated),
        slope=slope(real, simulated),
        bias=float((simulated - real).mean()),
    )


def f1(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    """2 TP / (2 TP + FP + FN); 1 where there is nothing to find and nothing is found."""
    hits = np.count_nonzero(truth & found)
    wrong = np.count_nonzero(truth != found)
    return 1.0 if hits + wrong == 0 else float(2 * hits / (2 * hits + wrong))


def auroc(score: Array, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how likely a positive scores above a negative, ties half; NaN where one is missing."""
    wins, losses = int(positive.sum()), int((~positive).sum())
    if not wins or not losses:
        return float("nan")
    ranks = stats.rankdata(score)
    return float((ranks[positive].sum() - wins * (wins + 1) / 2) / (wins * losses))


def auroc_interval(area: float, positives: int, negatives: int, z: float = _Z) -> Interval:
    """95 % interval of an AUROC (Hanley and McNeil 1982, eq. 2)."""
    if not np.isfinite(area) or not positives or not negatives:
        return 0.0, 1.0
    q1, q2, a2 = area / (2 - area), 2 * area**2 / (1 + area), area**2
    spread = area * (1 - area) + (positives - 1) * (q1 - a2) + (negatives - 1) * (q2 - a2)
    half = z * np.sqrt(max(spread, 0.0) / (positives * negatives))
    return float(max(0.0, area - half)), float(min(1.0, area + half))


def coverage_error(bound: Array, error: Array, level: float = 0.9, bins: int = 10) -> float:
    """Expected calibration error of bounds that should hold `level` of all errors.

    Pairs are sorted by bound and cut into bins of equally many; the mean, weighted by their size, of how far the share
    of errors within their bounds is from `level` in each (Guo et al. 2017, of intervals instead of classes).
    """
    if len(bound) == 0:
        return float("nan")
    order = np.argsort(bound, kind="stable")
    held = (error <= bound)[order]
    parts = [part for part in np.array_split(held, bins) if len(part)]
    return float(sum(len(part) * abs(part.mean() - level) for part in parts) / len(held))


def risk_coverage(score: Array, error: Array, shares: Sequence[float]) -> list[float]:
    """Mean error of the share of pairs whose score is lowest, for each of `shares` in (0, 1] (Geifman 2017)."""
    order = np.argsort(score, kind="stable")
    means = np.cumsum(error[order]) / np.arange(1, len(error) + 1)
    return [float(means[max(round(share * len(error)), 1) - 1]) for share in shares]


def interquartile_mean(scores: Array) -> float:
    """Mean of the middle half of all scores (Agarwal et al. 2021, `rliable`)."""
    return float(stats.trim_mean(scores, 0.25, axis=None))


def stratified_bootstrap(
    scores: Array,
    *,
    statistic: Callable[[Array], float] = interquartile_mean,
    count: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic of scores (runs, tasks): runs are drawn anew in each task (rliable)."""
    rng = np.random.default_rng(seed)
    runs, tasks = scores.shape
    found = [statistic(scores[rng.integers(runs, size=(runs, tasks)), np.arange(tasks)]) for _ in range(count)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def probability_of_improvement(better: Array, worse: Array) -> float:
    """How likely a run of one is above a run of the other, ties half, in the mean over tasks (rliable).

    Args:
        better, worse: scores (runs, tasks) of each; runs need not be as many, tasks are the same.
    """
    above = (better[:, None] > worse[None]).mean((0, 1))
    level = (better[:, None] == worse[None]).mean((0, 1))
    return float((above + level / 2).mean())


def paired_difference(first: Array, second: Array, *, count: int = 2000, seed: int = 0) -> tuple[float, Interval]:
    """Mean of `first` less that of `second`, of the same n episodes, and its 95 % bootstrap interval."""
    apart = first - second
    return float(apart.mean()), cluster_interval(apart, np.arange(len(apart)), count=count, seed=seed)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """p of "both succeed as often" in the same n episodes (McNemar 1947, exact): of those that only one solves, are as
    many solved by the one as by the other?"""
    only, other = int((first & ~second).sum()), int((second & ~first).sum())
    return float(stats.binomtest(only, only + other).pvalue) if only + other else 1.0


def cluster_interval(values: Array, groups: NDArray[Any], *, count: int = 1000, seed: int = 0) -> Interval:
    """95 % bootstrap interval of the mean of values (n,) in groups (n,), such as episodes: these are drawn anew."""
    if len(values) == 0:
        return float("nan"), float("nan")
    _, index = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(index, weights=values), np.bincount(index)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(count, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)

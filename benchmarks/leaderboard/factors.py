"""What decides whether an agent succeeds in a cousin: its mass, its friction, where it stands, ...?

Every factor that was drawn for the cousins of a group is held against the shares of success in them: by the correlation
of its ranks with them, episodes counted as they are. There are more factors than cousins in a test set, so that the
largest of them would look large by chance alone: p says how often the largest of all does after shares have changed
places among cousins (the step-less maxT of Westfall & Young 1993), and so holds for all factors together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..suites.cousins import cousins_of
from ..suites.manifest import Group
from ..tables import Table
from .results import Results
from .summary import Line, line

FEWEST = 6
"""Cousins that must have a factor for it to be looked at."""


@dataclass(frozen=True)
class Influence:
    """What is said of one factor.

    Attributes:
        factor: its column in the table of the cousins. r: correlation of its ranks with shares of success.
        p: of one so large among all factors, if none mattered. low, high: episodes in the cousins whose factor is up to
            its median, and beyond.
    """

    factor: str
    r: float
    p: float
    low: Line
    high: Line


def influences(results: Results, group: Group, *, count: int = 4000, seed: int = 0) -> list[Influence]:
    """Of all factors of a group's cousins, the strongest first; none if it has no cousins, or all ends are the same.

    Args:
        results: of a suite that has the group. count, seed: of the permutations.

    Raises:
        SceneError, SuiteError: the cousins are not there any more.
    """
    played_in = cousins_of(group.keywords)
    if played_in is None:
        return []
    cousins, chosen = played_in
    place = dict(zip(group.worlds, chosen, strict=True))
    episodes = results.group(group.name)
    scenes = sorted({each.scene for each in episodes})
    table = {name: [values[place[scene]] for scene in scenes] for name, values in cousins.table.items()}
    known = {name: np.array(values, dtype=np.float64) for name, values in table.items() if _numbers(values)}
    ends = {scene: [each for each in episodes if each.scene == scene] for scene in scenes}
    wins = np.array([sum(each.success for each in ends[scene]) for scene in scenes], dtype=np.float64)
    tried = np.array([len(ends[scene]) for scene in scenes], dtype=np.float64)
    if not known or wins.sum() in (0, tried.sum()):
        return []
    r, p = correlations(np.stack(list(known.values())), wins, tried, count=count, seed=seed)
    found = []
    for k, (name, values) in enumerate(known.items()):
        middle = np.nanmedian(values)
        beyond = values > middle if (values > middle).any() else values >= middle
        sides = [
            [each for scene, is_there in zip(scenes, side, strict=True) if is_there for each in ends[scene]]
            for side in (~beyond & ~np.isnan(values), beyond)
        ]
        found.append(Influence(name, float(r[k]), float(p[k]), line(sides[0]), line(sides[1])))
    return sorted(found, key=lambda each: (each.p, -abs(each.r), each.factor))


def correlations(
    factors: NDArray[np.float64], wins: NDArray[np.float64], tried: NDArray[np.float64], *, count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Correlations (k,) of factors (k, n) with shares of success, and their p, adjusted for all k.

    Args:
        factors: NaN where a cousin has none of it; none is the same for all. wins, tried: (n,) episodes.
        count, seed: of the permutations.
    """
    ranks = np.zeros_like(factors)
    for row, values in zip(ranks, factors, strict=True):
        there = ~np.isnan(values)
        own = rankdata(values[there])
        row[there] = own - own.mean()  # who has none of it says nothing
    rng = np.random.default_rng(seed)
    orders = np.stack([np.arange(len(wins)), *(rng.permutation(len(wins)) for _ in range(count))])
    weight = tried[orders]
    apart = wins[orders] - weight * (wins.sum() / tried.sum())  # episodes times how far a share is from the mean
    spread = np.sqrt((apart**2 / weight).sum(axis=1))
    r = (apart @ ranks.T) / (np.sqrt(weight @ (ranks**2).T) * spread[:, None])
    largest = np.abs(r[1:]).max(axis=1)
    more = (largest[:, None] >= np.abs(r[0]) - 1e-12).sum(axis=0)
    return r[0], (1 + more) / (1 + count)


def table(group: str, found: Sequence[Influence], most: int = 8) -> Table:
    """In words: the strongest of them."""
    rows = [
        (each.factor, f"{each.r:+.2f}", f"{each.p:.3f}", *(_told(side) for side in (each.low, each.high)))
        for each in found[:most]
    ]
    note = (
        f"The strongest of {len(found)} factors. r: of a factor's ranks with shares of success. p: how often the "
        "largest r of all factors is so large if none matters. Below, above: successes in cousins up to the factor's "
        "median, and beyond."
    )
    return Table(f"What decides in {group}", ("factor", "r", "p", "below", "above"), rows, note)


def _numbers(values: Sequence[Any]) -> bool:
    """Whether a factor has numbers for enough cousins, not all the same."""
    there = [value for value in values if value is not None]
    return len(there) >= FEWEST and len(set(there)) > 1 and all(isinstance(value, (int, float)) for value in there)


def _told(side: Line) -> str:
    return f"{side.successes}/{side.episodes}"

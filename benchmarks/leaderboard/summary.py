"""What runs come to: success with intervals, and what else was measured; comparisons of runs on the same episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...errors import SuiteError
from ..statistics import (
    Interval,
    interquartile_mean,
    mcnemar,
    paired_difference,
    probability_of_improvement,
    wilson,
)
from ..tables import Table
from .results import Episode, Results

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """What a number of episodes come to.

    Attributes:
        episodes, successes: how many. interval: of the share of successes, 95 % (Wilson). ever: successes at any step.
        errors: whose physics diverged. reward: mean return. seconds: median time of the first success.
        energy: mean of an episode [J]. per_kilojoule: successes for the energy of all episodes. smoothness, peak_force:
            medians.
    """

    episodes: int
    successes: int
    interval: Interval
    ever: int
    errors: int
    reward: float
    seconds: float | None
    energy: float | None
    per_kilojoule: float | None
    smoothness: float | None
    peak_force: float

    @property
    def share(self) -> float:
        """Of episodes that end in success."""
        return self.successes / self.episodes


@dataclass(frozen=True)
class Total:
    """What a run comes to over its groups, of which each counts the same.

    Attributes:
        mean, mean_interval: share of successes. iqm, iqm_interval: its interquartile mean over groups. Intervals are
            percentiles of 2,000 stratified bootstraps: episodes are drawn anew in every group.
    """

    mean: float
    mean_interval: Interval
    iqm: float
    iqm_interval: Interval


def line(episodes: Sequence[Episode]) -> Line:
    """Sums up episodes."""
    wins = sum(each.success for each in episodes)
    energies = [each.energy for each in episodes if each.energy is not None]
    work = sum(energies)
    return Line(
        episodes=len(episodes),
        successes=wins,
        interval=wilson(wins, len(episodes)),
        ever=sum(each.ever for each in episodes),
        errors=sum(each.error for each in episodes),
        reward=float(np.mean([each.reward for each in episodes])),
        seconds=_median([each.first_success for each in episodes]),
        energy=work / len(energies) if energies else None,
        per_kilojoule=1000 * wins / work if work > 0 and len(energies) == len(episodes) else None,
        smoothness=_median([each.smoothness for each in episodes]),
        peak_force=float(np.median([each.peak_force for each in episodes])),
    )


def lines(results: Results) -> dict[str, Line]:
    """By group."""
    return {each.name: line(each.episodes) for each in results.played}


def total(results: Results, *, count: int = 2000, seed: int = 0) -> Total:
    """Over groups; `count` bootstraps, drawn by `seed`."""
    wins = np.array([sum(row.success for row in each.episodes) for each in results.played])
    episodes = np.array([len(each.episodes) for each in results.played])
    shares = wins / episodes
    # To draw n episodes with replacement and count successes is to draw from a binomial distribution.
    drawn = np.random.default_rng(seed).binomial(episodes, shares, size=(count, len(episodes))) / episodes
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    below, above = np.quantile(stats.trim_mean(drawn, 0.25, axis=1), [0.025, 0.975])
    return Total(
        mean=float(shares.mean()),
        mean_interval=(float(low), float(high)),
        iqm=interquartile_mean(shares),
        iqm_interval=(float(below), float(above)),
    )


def tables(results: Results) -> list[Table]:
    """A run in words."""
    whole, own = total(results), lines(results)
    rows = [
        (
            name,
            f"{each.share:.3f} ({each.interval[0]:.3f} to {each.interval[1]:.3f})",
            str(each.episodes),
            f"{each.ever / each.episodes:.3f}",
            _told(each.seconds, ".2f"),
            _told(each.energy, ".1f"),
            _told(each.per_kilojoule, ".1f"),
            _told(each.smoothness, ".1f"),
            f"{each.peak_force:.1f}",
            f"{each.reward:.1f}",
        )
        for name, each in own.items()
    ]
    low, high = whole.mean_interval
    below, above = whole.iqm_interval
    note = (
        f"Mean over groups {whole.mean:.3f} ({low:.3f} to {high:.3f}), interquartile mean {whole.iqm:.3f} "
        f"({below:.3f} to {above:.3f}): stratified bootstrap over episodes. Intervals of groups are Wilson's, 95 %."
    )
    rate = results.latency.steps / max(results.latency.median, 1e-9)
    facts = [
        ("suite", f"{results.suite} ({results.suite_sha256[:12]})"),
        (
            "agent",
            results.agent.name + (" (privileged: it looks at the simulator)" if results.agent.privileged else ""),
        ),
        ("address", results.agent.address),
        ("sees and acts", ", ".join(f"{name}={value}" for name, value in results.agent.keywords.items())),
        (
            "decision, one world",
            f"{1e3 * results.latency.median:.2f} ms (one in twenty above {1e3 * results.latency.slow:.2f}), for "
            f"{results.latency.steps:g} control steps: {rate:,.0f} control steps/s",
        ),
        ("seconds", f"{results.seconds:.0f}"),
        *((name, str(value)) for name, value in results.machine.items()),
    ]
    heads = (
        "group",
        "success (95 %)",
        "episodes",
        "ever",
        "first [s]",
        "energy [J]",
        "per kJ",
        "smooth",
        "force [N]",
        "return",
    )
    return [Table("What was run", ("", ""), facts), Table("Success at the end of an episode", heads, rows, note)]


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same episodes.

    Attributes:
        apart, interval: share of successes of the first less that of the second, mean over all episodes (paired
            bootstrap). p: of "both succeed as often" (McNemar). improvement: how likely the first is better.
    """

    apart: float
    interval: Interval
    p: float
    improvement: float


def compare(first: Results, second: Results) -> dict[str, Comparison]:
    """Two runs of one suite, by group, and "" for all.

    Raises:
        SuiteError: they are of different suites.
    """
    if first.suite_sha256 != second.suite_sha256:
        raise SuiteError(
            f"runs of {first.suite} and {second.suite} have no episodes in common; compare runs of one suite"
        )
    found = {}
    for name in ("", *(each.name for each in first.played)):
        a, b = (_of(each, name) for each in (first, second))
        apart, interval = paired_difference(a, b)
        better = probability_of_improvement(a[:, None], b[:, None])
        found[name] = Comparison(apart, interval, mcnemar(a > 0, b > 0), better)
    return found


def _of(results: Results, name: str) -> Array:
    episodes = [each for played in results.played if name in ("", played.name) for each in played.episodes]
    return np.array([each.success for each in episodes], dtype=np.float64)


def by_scene(results: Results, name: str) -> Mapping[str, Line]:
    """Of a group, by scene."""
    episodes = results.group(name)
    return {scene: line([e for e in episodes if e.scene == scene]) for scene in sorted({e.scene for e in episodes})}


def _median(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.median(there)) if there else None


def _told(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)

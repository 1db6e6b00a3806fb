"""The order of a suite's runs, and what is told of each: numbers of `leaderboard.summary`, and names that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..leaderboard.results import Episode, Results
from ..leaderboard.summary import Comparison, Line, Total, by_scene, compare, line, lines, total
from ..suites.manifest import Group, Suite
from ..words import printable, shortened, slug
from .collect import Submission

_SHORT = 8
_NAME = 48
_BINS = 4


@dataclass(frozen=True)
class Standing:
    """A run in its suite.

    Attributes:
        submission: what was read. key: of its folder, lower-case letters, digits, '-' and '_'. label: its name, which
            no other run of the suite has. rank: from 1, runs with the same share of successes have the same.
        total, lines: see `leaderboard.summary`. whole: all episodes together. rate: control steps a second that
            deciding for one world leaves time for.
    """

    submission: Submission
    key: str
    label: str
    rank: int
    total: Total
    lines: dict[str, Line]
    whole: Line
    rate: float

    @property
    def results(self) -> Results:
        """What the run says."""
        return self.submission.results


@dataclass(frozen=True)
class Pair:
    """Two runs of a suite, the one that stands higher first."""

    first: Standing
    second: Standing
    found: Comparison


@dataclass(frozen=True)
class Near:
    """Episodes in scenes that are about as far from the one that they were made from.

    Attributes:
        scenes: how many. least, middle, most: distance, in [0, 1]; the second is the mean. line: what they come to.
    """

    scenes: int
    least: float
    middle: float
    most: float
    line: Line


def standings(
    submissions: Sequence[Submission], keys: dict[str, str], notify: Callable[[float], None] = lambda share: None
) -> list[Standing]:
    """Runs of one suite, best first: by their mean share of successes over groups.

    Args:
        submissions: the runs. keys: by digest, see `unique_keys`. notify: is told the share that is done.
    """
    totals = []
    for k, each in enumerate(submissions):
        notify(k / len(submissions))
        totals.append(total(each.results))
    order = sorted(range(len(totals)), key=lambda k: (-totals[k].mean, submissions[k].results.sha256))
    names = Counter(_name(each.results).casefold() for each in submissions)
    found: list[Standing] = []
    for place, k in enumerate(order):
        results = submissions[k].results
        same = found and found[-1].total.mean == totals[k].mean
        shown = _name(results)
        found.append(
            Standing(
                submission=submissions[k],
                key=keys[results.sha256],
                label=shown if names[shown.casefold()] == 1 else f"{shown} ({keys[results.sha256].rpartition('-')[2]})",
                rank=found[-1].rank if same else place + 1,
                total=totals[k],
                lines=lines(results),
                whole=line([row for played in results.played for row in played.episodes]),
                rate=results.latency.steps / max(results.latency.median, 1e-9),
            )
        )
    return found


def unique_keys(submissions: Sequence[Submission]) -> dict[str, str]:
    """By digest, a name for files: suite, agent, and so much of the digest that no two runs share it."""
    digests = [each.results.sha256 for each in submissions]
    length = next(n for n in range(_SHORT, 65) if n == 64 or len({each[:n] for each in digests}) == len(digests))
    return {
        each.results.sha256: f"{each.suite.name}-{slug(each.results.agent.name)}-{each.results.sha256[:length]}"
        for each in submissions
    }


def pairs(found: Sequence[Standing], most: int) -> Iterator[Pair]:
    """Comparisons of the `most` best runs with each other."""
    best = found[:most]
    for k, first in enumerate(best):
        for second in best[k + 1 :]:
            yield Pair(first, second, compare(first.results, second.results)[""])


def nearness(results: Results, group: Group) -> list[Near]:
    """A group's episodes by the distance of their cousins, about as many cousins in each; empty if it is not known."""
    names = sorted(set(group.scenes), key=lambda name: (group.distances.get(name, 0.0), name))
    if len(names) < 2 or not set(names) <= set(group.distances):
        return []
    episodes = results.group(group.name)
    found = []
    for part in np.array_split(np.arange(len(names)), min(_BINS, len(names))):
        scenes = [names[k] for k in part]
        far = [group.distances[name] for name in scenes]
        rows = [row for row in episodes if row.scene in scenes]
        found.append(Near(len(scenes), min(far), float(np.mean(far)), max(far), line(rows)))
    return found


def scenes(results: Results, group: Group) -> list[tuple[str, float | None, Line]]:
    """A group's scenes with their distance and what they come to, nearest first; empty if it has but one."""
    if len(set(group.scenes)) < 2:
        return []
    rows = [(name, group.distances.get(name), each) for name, each in by_scene(results, group.name).items()]
    return sorted(rows, key=lambda row: (row[1] is None, row[1] or 0.0, row[0]))


def failures(results: Results, group: Group) -> list[Episode]:
    """A group's episodes that did not end in success."""
    return [row for row in results.group(group.name) if not row.success]


def by_suite(submissions: Sequence[Submission]) -> Iterator[tuple[Suite, list[Submission]]]:
    """Suites in the order of their names, with their runs."""
    for name in sorted({each.suite.name for each in submissions}):
        own = [each for each in submissions if each.suite.name == name]
        yield own[0].suite, own


def _name(results: Results) -> str:
    """Of the agent, as it is shown: on one line, not too long, never empty."""
    return shortened(" ".join(printable(results.agent.name).split()), _NAME) or "agent"

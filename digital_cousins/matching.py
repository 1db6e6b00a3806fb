"""How alike two objects are, as a sum of named terms, and which ones may stand in for another.

    target = describe_guessed(item, scene.folder)
    for match in kin(target, candidates, "near"):
        print(match.name, match.distance, match.terms)

ACDC (Dai et al., "Automated Creation of Digital Cousins", CoRL 2024) orders assets by the distance of DINO features.
Here the distance is made of terms that need no network and that a report can show.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from ..errors import SceneError
from .features import BINS, REACH, Descriptor
from .taxonomy import affordance_of, canonical, group_of

__all__ = [
    "COUSINS",
    "KINSHIP",
    "Kinship",
    "Level",
    "Match",
    "Weights",
    "admissible",
    "distance",
    "kin",
    "rank",
    "terms",
]

Level = Literal["twin", "near", "mid", "far"]

DOUBLE = math.log(2.0)
"""Sizes and proportions that differ by a factor of two count as wholly different: another grasp, another reach."""
FULL_D2 = 0.32
"""Earth mover's distance between D2 of a ball and of a thin rod, in mean distances: the ends of the scale."""
FULL_COLOUR = 100.0
"""CIELAB distance from black to white."""


@dataclass(frozen=True)
class Weights:
    """How much each term counts; only their ratios matter."""

    category: float = 0.30
    size: float = 0.20
    proportions: float = 0.15
    d2: float = 0.15
    fill: float = 0.10
    colour: float = 0.05
    joints: float = 0.05

    def __post_init__(self) -> None:
        values = asdict(self)
        if min(values.values()) < 0 or sum(values.values()) <= 0:
            raise SceneError(f"weights must not be negative, nor all zero; got {values}")


@dataclass(frozen=True)
class Match:
    """A candidate and how far it is from the target.

    Attributes:
        index: in the candidates. name, category: of it. distance: weighted mean of the terms, in [0, 1].
        terms: each in [0, 1], by name.
    """

    index: int
    name: str
    category: str
    distance: float
    terms: dict[str, float]


@dataclass(frozen=True)
class Kinship:
    """Which candidates are kin at a level.

    Attributes:
        reach: largest distance. shared: what must be the same: "category", "group" or "affordance".
    """

    reach: float
    shared: Literal["category", "group", "affordance"]


KINSHIP: dict[Level, Kinship] = {
    "twin": Kinship(reach=0.0, shared="category"),
    "near": Kinship(reach=0.15, shared="category"),
    "mid": Kinship(reach=0.40, shared="group"),
    "far": Kinship(reach=0.70, shared="affordance"),
}
"""The levels, each of which holds those before it.

Near cousins are of the same category and about the same size, mid ones may be of another category of the group (a cup
for a mug), far ones need only be of the same use (a basket for a mug: both hold things). What has another use never
stands in: the task would be another one. The reaches are measured over the objects of the built-in scenes and sixty
random ones: nine in ten pairs of a category are nearer than 0.12, half of those of a group than 0.40, nine in ten of
one use than 0.70.
"""

COUSINS = 8
"""How many of the nearest stand in for an object.

ACDC's doors: a policy trained on the eight nearest cousins opens 93 % of the near and mid held-out doors, one trained
on the twin 82 and 68 %, one trained on all assets of three categories 81 and 78 %. Its drawers: two cousins 61 % on the
twin's scene and 30 % far from it, four 47 and 30 %, eight 70 and 84 %, all 43 and 57 %. So neither a few nor all.
"""


_SHARED: dict[str, Callable[[str], str]] = {"category": canonical, "group": group_of, "affordance": affordance_of}


def terms(first: Descriptor, second: Descriptor) -> dict[str, float]:
    """The named parts of a distance, each symmetric, in [0, 1], and exactly 0 for equal descriptors.

    category: 0 for the same, a third for another of the group, two thirds for another of the same use, else 1; of
        guessed categories the mean of the total variations of categories, groups and uses.
    size: factor between the sorted extents. proportions: of the longer, shorter and vertical extent, scale removed.
    d2: earth mover's distance of the D2 histograms. fill: how full, how hollow and how round, mean difference.
    colour: CIELAB distance. joints: Jaccard distance of the multisets of parts.
    """
    a, b = np.log(np.array([first.size, second.size]))
    shape_a, shape_b = a - a.mean(), b - b.mean()
    hollows = [
        abs(getattr(first, key) - getattr(second, key))
        for key in ("fill", "opening", "hollow", "opening_square", "plan_square", "taper")
    ]
    mover = float(np.abs(np.cumsum(first.d2 - second.d2)).sum()) * REACH / BINS
    return {
        "category": _category(first, second),
        "size": min(float(np.abs(np.sort(a) - np.sort(b)).mean()) / DOUBLE, 1.0),
        "proportions": min(float(np.abs(shape_a - shape_b).mean()) / DOUBLE, 1.0),
        "d2": min(mover / FULL_D2, 1.0),
        "fill": min(float(np.mean(hollows)), 1.0),
        "colour": min(math.dist(first.lab, second.lab) / FULL_COLOUR, 1.0),
        "joints": _joints(first.parts, second.parts),
    }


def distance(first: Descriptor, second: Descriptor, weights: Weights | None = None) -> float:
    """Weighted mean of `terms`: in [0, 1], symmetric, exactly 0 for equal descriptors."""
    return _weighted(terms(first, second), weights or Weights())


def rank(target: Descriptor, candidates: Sequence[Descriptor], weights: Weights | None = None) -> list[Match]:
    """All candidates, nearest first; among equals in the given order."""
    used = weights or Weights()
    matches = []
    for index, candidate in enumerate(candidates):
        parts = terms(target, candidate)
        matches.append(Match(index, candidate.name, candidate.category, _weighted(parts, used), parts))
    return sorted(matches, key=lambda match: (match.distance, match.index))


def admissible(target: Descriptor, candidate: Descriptor, level: Level) -> bool:
    """Whether the categories allow the candidate to stand in; of guessed ones the likeliest counts."""
    if level not in KINSHIP:
        raise SceneError(f"kinship {level!r} is unknown; choose one of {list(KINSHIP)}")
    key = _SHARED[KINSHIP[level].shared]
    return key(_likeliest(target)) == key(_likeliest(candidate))


def kin(
    target: Descriptor,
    candidates: Sequence[Descriptor],
    level: Level,
    *,
    count: int = COUSINS,
    weights: Weights | None = None,
) -> list[Match]:
    """The nearest admissible candidates within the reach of a level, nearest first, at most `count`.

    Args:
        target, candidates: descriptors, of one seed. level: see `KINSHIP`. count: how many. weights: of the terms.

    Raises:
        SceneError: there is no such level.
    """
    allowed = [i for i, candidate in enumerate(candidates) if admissible(target, candidate, level)]
    matches = rank(target, [candidates[i] for i in allowed], weights)
    return [
        Match(allowed[m.index], m.name, m.category, m.distance, m.terms)
        for m in matches
        if m.distance <= KINSHIP[level].reach
    ][:count]


def _weighted(parts: dict[str, float], weights: Weights) -> float:
    shares: dict[str, float] = asdict(weights)
    return min(sum(shares[name] * value for name, value in parts.items()) / sum(shares.values()), 1.0)


def _category(first: Descriptor, second: Descriptor) -> float:
    return sum(_variation(first, second, key) for key in _SHARED.values()) / len(_SHARED)


def _variation(first: Descriptor, second: Descriptor, key: Callable[[str], str]) -> float:
    """Total variation between two distributions over what `key` makes of their categories."""
    shares: dict[str, list[float]] = {}
    for side, descriptor in enumerate((first, second)):
        for category, share in descriptor.beliefs:
            shares.setdefault(key(category), [0.0, 0.0])[side] += share
    return min(sum(abs(a - b) for _, (a, b) in sorted(shares.items())) / 2, 1.0)


def _joints(first: tuple[str, ...], second: tuple[str, ...]) -> float:
    a, b = Counter(first), Counter(second)
    union = (a | b).total()
    return 1 - (a & b).total() / union if union else 0.0


def _likeliest(descriptor: Descriptor) -> str:
    return max(descriptor.beliefs, key=lambda belief: belief[1])[0]

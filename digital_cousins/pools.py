"""Pools: what of the library may stand in for each object of a scene, the nearest first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import AssetError
from ..scenes import Scene, SceneObject
from ..scenes.scene import Size3
from .features import Descriptor, describe
from .graph import SceneGraph
from .guessing import describe_guessed
from .library import Asset
from .library.own import Kind
from .matching import Level, Match, admissible, kin

TRIED = 36
"""How many things are made of the library's categories to find the nearest among."""
SPREAD = math.log(1.15)
"""They are up to 15 % larger or smaller along each axis than what they stand in for."""
_CLUTTER_SIZE = 0.16  # what is put down beside is no larger [m]


@dataclass(frozen=True)
class Candidate:
    """One thing that may stand in.

    Attributes:
        asset: the thing. match: how near it is to what it stands in for. quarter: it is turned by so many right angles
            about Z, to lie as that lay.
    """

    asset: Asset
    match: Match | None
    quarter: int = 0


@dataclass(frozen=True)
class Pool:
    """The things that may stand in for one object, nearest first, and what it looks like itself."""

    target: Descriptor | None
    candidates: tuple[Candidate, ...]


def make_pools(
    twin: Scene,
    graph: SceneGraph,
    library: Mapping[str, Kind],
    folder: Path,
    *,
    level: Level,
    count: int,
    clutter: int,
    seed: int,
) -> dict[str, Pool]:
    """Pools for every object of the twin, and under "" things that may be put beside them.

    Args:
        twin: the scene. graph: its relations. library: categories by name.
        folder: where the files of the things in the pools are written.
        level: kinship. count: size of each pool. clutter: size of that of clutter. seed: of what is made.
    """
    pools = {}
    for number, item in enumerate(twin.objects):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, number)))
        pools[item.name] = _pool(item, twin.folder, graph, library, folder, level, count, rng)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    pools[""] = Pool(None, tuple(_clutter(library, folder, clutter, rng)))
    return pools


def _pool(
    item: SceneObject,
    home: Path | None,
    graph: SceneGraph,
    library: Mapping[str, Kind],
    folder: Path,
    level: Level,
    count: int,
    rng: np.random.Generator,
) -> Pool:
    target = describe_guessed(item, home)
    carries = any(item.name in graph.supports(other) or graph.container(other) == item.name for other in graph.order)
    if level == "twin" or (item.mobility == "fixed" and carries):
        return Pool(target, ())
    made: list[tuple[Asset, int, Descriptor]] = []
    suitable = [category for category in library.values() if category.mobility == item.mobility]
    most = 0.0 if item.mobility == "fixed" else SPREAD  # furniture has its place between other furniture
    samples = [(category, _sample(category, item.size, most, rng)) for category in suitable]
    kinds = [
        category
        for category, each in samples
        if each is not None and admissible(target, _described(each, folder), level)
    ]
    for number in range(TRIED if kinds else 0):
        asset = _sample(kinds[number % len(kinds)], item.size, most, rng)
        if asset is not None:
            made.append((asset, _quarter(asset.item.size, item.size), _described(asset, folder)))
    # What opens in the twin opens in every cousin.
    made = [each for each in made if not Counter(target.parts) - Counter(each[2].parts)]
    matches = kin(target, [descriptor for _, _, descriptor in made], level, count=count)
    return Pool(target, tuple(Candidate(made[m.index][0], m, made[m.index][1]) for m in matches))


def _sample(category: Kind, size: Size3, most: float, rng: np.random.Generator) -> Asset | None:
    """A thing of about this size, `most` [log] larger at most; None if the category has none that comes near."""
    x, y, z = size
    stretch = np.exp(rng.uniform(-SPREAD, most, 3))
    flat = (x, y) if (x >= y) == (category.sizes[0][1] >= category.sizes[1][1]) else (y, x)
    wanted = (flat[0] * stretch[0], flat[1] * stretch[1], z * stretch[2])
    fitted = category.fit(wanted)
    if any(not 0.5 < a / b < 2.0 for a, b in zip(fitted, wanted, strict=True)):
        return None
    try:
        return category.sample(rng, fitted)
    except AssetError:
        return None


def _described(asset: Asset, folder: Path) -> Descriptor:
    asset.write(folder)
    return describe(asset.item, folder)


def _quarter(size: Size3, wanted: Size3) -> int:
    """1 if a thing must be turned by a right angle for its longer side to lie along that of another."""
    return int((size[0] >= size[1]) != (wanted[0] >= wanted[1]))


def _clutter(library: Mapping[str, Kind], folder: Path, count: int, rng: np.random.Generator) -> list[Candidate]:
    """Small things that a hand could put away."""
    kinds = [category for category in library.values() if category.mobility == "free" and "graspable" in category.tags]
    found: list[Candidate] = []
    for number in range(20 * count if kinds else 0):
        if len(found) == count:
            break
        asset = kinds[number % len(kinds)].sample(rng)
        if max(asset.item.size) <= _CLUTTER_SIZE:
            asset.write(folder)
            found.append(Candidate(asset, None))
    return found

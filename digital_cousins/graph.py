"""The scene graph: what stands on and in what, and what is beside, aligned with and facing what.

    graph = scene_graph(scene)                  # from digital_cousins.relations
    graph.order                                 # supports before what they carry
    graph.broken(scene_graph(cousin))           # ["mug no longer stands on table: it stands on floor"]

What a task depends on is *hard*: on and in must hold in every cousin. Beside, aligned and facing are *soft*: they hold
within `Tolerances`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from ..scenes.outlines import Outline


@dataclass(frozen=True)
class On:
    """`name` stands on `support` (a surface, an object or a part).

    Attributes:
        gap: smallest signed distance [m] of their contacts. contacts: how many there are.
        main: the contacts below its centre of mass are with this support, where it has several.
    """

    name: str
    support: str
    gap: float
    contacts: int
    main: bool = True


@dataclass(frozen=True)
class Inside:
    """`name` is in `container` (an object or a part), the innermost one.

    Attributes:
        depth: how far [m] the rim rises above its lowest point. sides: share of the directions that are closed.
    """

    name: str
    container: str
    depth: float
    sides: float


@dataclass(frozen=True)
class Beside:
    """Two neighbours on one support (or an object and a wall), names in alphabetical order, `gap` [m] apart."""

    first: str
    second: str
    gap: float


@dataclass(frozen=True)
class Aligned:
    """The sides of `name` are parallel to those of `other` (a neighbour, a wall, or its support).

    Attributes:
        turn: angle [rad] from the longer side of `other` to that of `name`; about 0 or about pi / 2.
    """

    name: str
    other: str
    turn: float


@dataclass(frozen=True)
class Facing:
    """Which way the doors, drawers and handles of an object look.

    Attributes:
        yaw: direction of its front in the world [rad]. clearance: free space [m] in front of it, at most 2.
        against: wall right behind it, or None.
    """

    name: str
    yaw: float
    clearance: float
    against: str | None


@dataclass(frozen=True)
class Tolerances:
    """How far soft relations may change: `gap` [m], `turn` and `facing` [rad], `clearance` as a share."""

    gap: float = 0.06
    turn: float = math.radians(10.0)
    facing: float = math.radians(30.0)
    clearance: float = 0.5


@dataclass(frozen=True)
class SceneGraph:
    """Relations between the things of one scene.

    Attributes:
        order: names of all objects, each after what it stands on and what it is in.
        on, inside, beside, aligned, facing: the relations.
        floating: free objects that nothing bears.
        mismatches: plain sentences: where the stored names of supports differ from the geometry.
        gaps: [m] between all pairs on one support that are less than 30 cm apart, names in alphabetical order.
        outlines, periods: of every object, part and surface; see `geometry.period`.
    """

    order: tuple[str, ...]
    on: tuple[On, ...]
    inside: tuple[Inside, ...]
    beside: tuple[Beside, ...]
    aligned: tuple[Aligned, ...]
    facing: tuple[Facing, ...]
    floating: tuple[str, ...]
    mismatches: tuple[str, ...]
    gaps: dict[tuple[str, str], float] = field(repr=False)
    outlines: dict[str, Outline] = field(repr=False)
    periods: dict[str, float] = field(repr=False)

    def supports(self, name: str) -> tuple[str, ...]:
        """What an object stands on, the main support first."""
        return tuple(r.support for r in sorted(self.on, key=lambda r: not r.main) if r.name == name)

    def container(self, name: str) -> str | None:
        """What an object is in, or None."""
        return next((r.container for r in self.inside if r.name == name), None)

    def turn(self, name: str, other: str) -> float | None:
        """Angle [rad] between the longer sides of two nodes, modulo their symmetry; None if one of them is round."""
        modulus = min(self.periods[name], self.periods[other])
        return wrap(self.outlines[name].yaw - self.outlines[other].yaw, modulus) if modulus else None

    def without(self, names: Collection[str]) -> SceneGraph:
        """The graph without some objects and all their relations."""
        return replace(
            self,
            order=tuple(name for name in self.order if name not in names),
            on=tuple(r for r in self.on if not {r.name, r.support} & set(names)),
            inside=tuple(r for r in self.inside if not {r.name, r.container} & set(names)),
            beside=tuple(r for r in self.beside if not {r.first, r.second} & set(names)),
            aligned=tuple(r for r in self.aligned if not {r.name, r.other} & set(names)),
            facing=tuple(r for r in self.facing if r.name not in names),
        )

    def broken(
        self, other: SceneGraph, tolerances: Tolerances | None = None, *, soft: bool = True, facing: bool = True
    ) -> list[str]:
        """Which relations of this scene (the twin) no longer hold in `other` (a cousin), in plain sentences.

        Objects are the same if they have the same name; what the cousin has besides is its own affair.

        Args:
            other: graph of the cousin. tolerances: for soft relations. soft: False looks at `on` and `in` only.
            facing: False leaves out which way things face, of a cousin whose room was turned.
        """
        allowed = tolerances or Tolerances()
        missing = [name for name in self.order if name not in other.order]
        found = [f"{name} is missing" for name in missing]
        found += [text for name in self.order if name not in missing for text in self._lost(name, other)]
        if soft:
            found += self._apart(other, allowed) + self._turned(other, allowed)
            found += self._facing_elsewhere(other, allowed) if facing else []
        return found

    def _lost(self, name: str, other: SceneGraph) -> list[str]:
        found = []
        now, box, box_now = other.supports(name), self.container(name), other.container(name)
        for support in self.supports(name):
            if support not in now:
                instead = f"it stands on {' and '.join(now)}" if now else "nothing bears it"
                found.append(f"{name} no longer stands on {support}: {instead}")
        if box != box_now:
            was = f"no longer in {box}" if box is not None else "in nothing in the twin"
            found.append(f"{name} is {was}: it is in {box_now}" if box_now else f"{name} is {was}")
        return found

    def _apart(self, other: SceneGraph, allowed: Tolerances) -> list[str]:
        found = []
        for pair in self.beside:
            if {pair.first, pair.second} - other.outlines.keys():
                continue
            gap = other.gaps.get((pair.first, pair.second))
            if gap is None or abs(gap - pair.gap) > allowed.gap:
                far = f"{100 * gap:.0f} cm" if gap is not None else "more than 30 cm"
                found.append(f"{pair.first} and {pair.second} are {far} apart, {100 * pair.gap:.0f} cm in the twin")
        return found

    def _turned(self, other: SceneGraph, allowed: Tolerances) -> list[str]:
        found = []
        for pair in self.aligned:
            now = other.turn(pair.name, pair.other) if {pair.name, pair.other} <= other.outlines.keys() else None
            if now is None:
                continue
            modulus = min(g.periods[n] or math.pi for g in (self, other) for n in (pair.name, pair.other))
            off = abs(wrap(now - pair.turn, modulus))
            if off > allowed.turn:
                found.append(f"{pair.name} is no longer aligned with {pair.other}: {math.degrees(off):.0f} degrees off")
        return found

    def _facing_elsewhere(self, other: SceneGraph, allowed: Tolerances) -> list[str]:
        found = []
        fronts = {front.name: front for front in other.facing}
        for front in self.facing:
            now = fronts.get(front.name)
            if now is None:
                found += [f"{front.name} has no front any more"] if front.name in other.order else []
                continue
            off = abs(wrap(now.yaw - front.yaw, 2 * math.pi))
            if off > allowed.facing:
                found.append(f"{front.name} faces another way: {math.degrees(off):.0f} degrees off")
            if now.clearance < allowed.clearance * front.clearance:
                free = f"{now.clearance:.2f} m are free, {front.clearance:.2f} m in the twin"
                found.append(f"the front of {front.name} is blocked: {free}")
            if front.against is not None and now.against is None:
                found.append(f"{front.name} no longer stands with its back against {front.against}")
        return found


def wrap(angle: float, modulus: float) -> float:
    """The angle in [-modulus / 2, modulus / 2)."""
    return (angle + modulus / 2) % modulus - modulus / 2

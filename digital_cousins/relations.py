"""Reads the scene graph of a settled scene from its geometry; the stored names of supports are only checked.

graph = scene_graph(scene)
[(r.name, r.support) for r in graph.on]     # [("cube", "tray"), ("tray", "table")]
"""

from __future__ import annotations

import math
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from ..errors import SceneError
from ..scenes import Scene, SceneObject
from .geometry import COVERED, ENCLOSED, SceneGeometry
from .graph import Aligned, Beside, Facing, Inside, On, SceneGraph, wrap

Array = NDArray[np.float64]

LEVEL = 0.9
"""Vertical share of a contact normal from which a face is level."""
BESIDE, NEIGHBOURS = 0.15, 2
"""Things on one support are beside one another up to this gap [m], each with so many of its nearest."""
STRAIGHT = math.radians(5.0)
"""Sides that differ by less are parallel."""
AGAINST = 0.15
"""A wall no farther [m] behind a back has something standing against it."""
FRONT = 2.0
"""How far [m] free space in front is looked for."""


def scene_graph(scene: Scene) -> SceneGraph:
    """The relations between the things of a settled scene.

    Raises:
        SceneError: the stored supports are cyclic or impossible, things bear one another in a circle, or the scene does
            not compile.
    """
    _check_circles(scene, {item.name: item.support for item in scene.objects}, "is said to stand on")
    geometry = SceneGeometry(scene)
    _check_supports(geometry)
    on = _on(geometry)
    main = {r.name: r.support for r in on if r.main}
    _check_circles(scene, main, "stands on")
    inside = _inside(geometry, main)
    place = main | {r.name: r.container for r in inside}
    gaps = _gaps(geometry, place)
    beside = _beside(geometry, gaps)
    names = [item.name for item in scene.objects]
    return SceneGraph(
        order=_order(names, geometry.owner, [(r.name, r.support) for r in on if r.main] + list(place.items())),
        on=tuple(on),
        inside=tuple(inside),
        beside=tuple(beside),
        aligned=tuple(_aligned(geometry, beside, main)),
        facing=tuple(front for item in scene.objects if (front := _facing(geometry, item)) is not None),
        floating=tuple(item.name for item in scene.objects if item.mobility == "free" and item.name not in main),
        mismatches=tuple(_mismatches(scene, on)),
        gaps=gaps,
        outlines=geometry.outlines,
        periods=geometry.periods,
    )


# On and in ------------------------------------------------------------------------------------------------------------


def _on(geometry: SceneGeometry) -> list[On]:
    bearings = geometry.bearings()
    relations = []
    for item in geometry.scene.objects:
        borne = [b for b in bearings if b.upper == item.name]
        # What it merely leans on does not count where something level bears it.
        borne = [b for b in borne if b.rise > LEVEL] or borne
        if borne:
            com = geometry.com(item.name)
            nearest = min(borne, key=lambda b: float(np.hypot(*(b.middle - com)[:2])))
            relations += [On(item.name, b.lower, b.gap, b.contacts, b is nearest) for b in borne]
    return relations


def _inside(geometry: SceneGeometry, main: dict[str, str]) -> list[Inside]:
    relations = []
    objects = [item.name for item in geometry.scene.objects]
    for name in objects:
        below = _chain(name, main, geometry.owner)
        best: tuple[float, Inside] | None = None
        for container in (*objects, *geometry.owner):
            owner = geometry.owner.get(container, container)
            if owner == name or name in _chain(owner, main, geometry.owner):
                continue
            found = geometry.enclosure(name, container)
            if found is None or (found.roof and container not in below):
                continue
            if found.sides >= (COVERED if found.roof else ENCLOSED):
                shape = geometry.outlines[container]
                volume = float(np.prod(shape.half)) * (shape.high - shape.low)
                if best is None or volume < best[0]:
                    best = volume, Inside(name, container, found.depth, found.sides)
        relations += [best[1]] if best else []
    return relations


def _chain(name: str, main: dict[str, str], owner: dict[str, str]) -> list[str]:
    """What an object stands on, directly and indirectly; a part is followed by its object."""
    chain: list[str] = []
    below = main.get(name)
    while below is not None and below not in chain:
        chain.append(below)
        below = owner.get(below) or main.get(below)
    return chain


# Beside, aligned, facing ----------------------------------------------------------------------------------------------


def _gaps(geometry: SceneGeometry, place: dict[str, str]) -> dict[tuple[str, str], float]:
    """Distances of pairs that share a place, and of objects to walls, up to twice `BESIDE`."""
    reach = 2 * BESIDE
    gaps: dict[tuple[str, str], float] = {}
    names = sorted(place)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if place[a] == place[b]]
    pairs += [(min(a, wall), max(a, wall)) for a in names for wall in geometry.walls]
    for a, b in pairs:
        if geometry.outlines[a].gap(geometry.outlines[b]) < reach:
            gap = geometry.gap(a, b, reach)
            if gap is not None:
                gaps[a, b] = max(gap, 0.0)
    return gaps


def _beside(geometry: SceneGeometry, gaps: dict[tuple[str, str], float]) -> list[Beside]:
    near: dict[str, list[tuple[float, tuple[str, str]]]] = {}
    for pair, gap in gaps.items():
        if gap <= BESIDE:
            for name in pair:
                if name not in geometry.walls:
                    near.setdefault(name, []).append((gap, pair))
    chosen = {pair for found in near.values() for _, pair in sorted(found)[:NEIGHBOURS]}
    return [Beside(*pair, gaps[pair]) for pair in sorted(chosen)]


def _aligned(geometry: SceneGeometry, beside: list[Beside], main: dict[str, str]) -> list[Aligned]:
    floors = {s.name for s in geometry.scene.surfaces if s.kind == "floor"}
    pairs = [(b.second, b.first) if b.first in geometry.walls else (b.first, b.second) for b in beside]
    pairs += [(name, support) for name, support in sorted(main.items()) if support not in floors]
    relations = []
    for name, other in pairs:
        modulus = min(geometry.periods[name], geometry.periods[other])
        if not modulus:
            continue
        turn = geometry.outlines[name].yaw - geometry.outlines[other].yaw
        if abs(wrap(turn, math.pi / 2)) <= STRAIGHT:
            relations.append(Aligned(name, other, wrap(turn, modulus)))
    return relations


def _facing(geometry: SceneGeometry, item: SceneObject) -> Facing | None:
    """The mean direction from which the handles of an object are taken, else from its middle to its parts."""
    model, data = geometry.model, geometry.data
    middle = np.array([*geometry.outlines[item.name].center, 0.0])
    ways, origins = [], []
    for part in item.parts:
        body = model.body(part.name).id
        if part.handle is not None:
            way = data.xmat[body].reshape(3, 3) @ part.handle.outward
            origin = data.site(f"{part.name}_handle").xpos
        else:
            shape = geometry.outlines[part.name]
            origin = np.array([*shape.center, (shape.low + shape.high) / 2])
            way = origin - middle
        way = np.array([way[0], way[1], 0.0])
        if np.linalg.norm(way) > (0.5 if part.handle is not None else 0.01):  # else it is taken from above
            ways.append(way / np.linalg.norm(way))
            origins.append(np.asarray(origin))
    mean = np.mean(ways, axis=0) if ways else np.zeros(3)
    if np.linalg.norm(mean) < 0.5:
        return None
    front = mean / np.linalg.norm(mean)
    clearance = min(geometry.clear(origin, front, item.name, FRONT)[0] for origin in origins)
    shape = geometry.outlines[item.name]
    back = float(np.abs(shape.axes @ front[:2]) @ shape.half)
    start = np.array([*shape.center, (shape.low + shape.high) / 2])
    behind = geometry.clear(start, -front, item.name, back + AGAINST)[1]
    return Facing(item.name, math.atan2(front[1], front[0]), clearance, behind if behind in geometry.walls else None)


# Order and checks -----------------------------------------------------------------------------------------------------


def _order(names: list[str], owner: dict[str, str], below: list[tuple[str, str]]) -> tuple[str, ...]:
    graph: dict[str, set[str]] = {name: set() for name in names}
    for name, support in below:
        carrier = owner.get(support, support)
        if carrier in graph:
            graph[name].add(carrier)
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=names.index)
        order += ready
        sorter.done(*ready)
    return tuple(order)


def _check_circles(scene: Scene, supports: dict[str, str | None] | dict[str, str], verb: str) -> None:
    owner = {part.name: item.name for item in scene.objects for part in item.parts}
    graph = {name: [owner.get(below, below)] for name, below in supports.items() if below is not None}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        raise SceneError(
            f"scene {scene.name!r}: {f', which {verb} '.join(map(repr, circle))}; give one of them another support"
        ) from None


def _check_supports(geometry: SceneGeometry) -> None:
    scene = geometry.scene
    kinds = {s.name: s.kind for s in scene.surfaces}
    for item in scene.objects:
        below = item.support
        if below is None or item.mobility == "fixed":
            continue
        where = f"scene {scene.name!r}, object {item.name!r}: support {below!r}"
        if kinds.get(below, "floor") not in ("floor", "table", "shelf"):
            raise SceneError(f"{where} is a {kinds[below]}; nothing stands on that, name a horizontal surface")
        mine, theirs = geometry.outlines[item.name], geometry.outlines.get(below)
        if theirs is not None and theirs.low > mine.high:
            raise SceneError(f"{where} is above it; name what it stands on, or settle the scene")


def _mismatches(scene: Scene, on: list[On]) -> list[str]:
    found = []
    for item in scene.objects:
        really = [r.support for r in on if r.name == item.name]
        if item.support is not None and item.support not in really:
            stands = f"it stands on {' and '.join(really)}" if really else "nothing bears it"
            found.append(f"{item.name} is said to stand on {item.support}; {stands}")
    return found

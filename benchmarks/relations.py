"""Are the relations of rebuilt scenes those of the truth? And what are their objects, by shape alone?

    pocketworlds bench real2sim --out out/bench-real2sim
    python -m pocketworlds.benchmarks.relations out/bench-real2sim

reads every `<scene>/truth.json`, `<scene>/score.json` and `<scene>/scene/` of a reconstruction benchmark. Only objects
that were found are asked about: what was missed is the reconstruction's own score.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..digital_cousins.features import describe
from ..digital_cousins.graph import SceneGraph
from ..digital_cousins.guessing import GeometricGuesser
from ..digital_cousins.relations import STRAIGHT, scene_graph
from ..digital_cousins.taxonomy import group_of
from ..errors import SceneError
from ..scenes import load_scene
from .scoring import yaw_error

WELL_FOUND = 0.5
"""Box overlap from which an object is asked what it is."""
ANGULAR = ("box", "book", "tool")
"""Categories whose sides have a direction."""


@dataclass
class Tally:
    """How many of how many.

    Attributes:
        scenes: looked at. objects: found in them. on: of these, standing on what they truly stand on (the same object,
            or a surface of the same kind).
        borne_by_found: objects whose true support was found too, or is a surface. on_found: of these, the same as `on`.
        touching, beside: pairs that truly touch side by side on one support, and those of them that are neighbours.
        neighbours, alignment: neighbours whose sides have a direction, and those that are aligned exactly if they
            truly are (within 5 degrees, modulo 90).
        guessed, right, in_three, group: objects found well; guesses from shape alone that are right, that are right
            among the first three, that are of the right group.
    """

    scenes: int = 0
    objects: int = 0
    on: int = 0
    borne_by_found: int = 0
    on_found: int = 0
    touching: int = 0
    beside: int = 0
    neighbours: int = 0
    alignment: int = 0
    guessed: int = 0
    right: int = 0
    in_three: int = 0
    group: int = 0


def tally(folder: Path) -> Tally:
    """Compares all scenes in a folder of the reconstruction benchmark with their truth.

    Raises:
        SceneError: there are none.
    """
    total = Tally()
    for home in sorted(path.parent for path in folder.glob("*/truth.json")):
        if not (home / "scene/scene.json").is_file() or not (home / "score.json").is_file():
            continue
        truth = {item["name"]: item for item in json.loads((home / "truth.json").read_text())["objects"]}
        score = json.loads((home / "score.json").read_text())["score"]
        found = {item["truth"]: item["found"] for item in score["objects"]}
        scene = load_scene(home / "scene")
        kinds = {surface.name: surface.kind for surface in scene.surfaces}
        graph = scene_graph(scene)
        total.scenes += 1
        _compare_on(total, truth, found, kinds, graph)
        _compare_neighbours(total, truth, found, graph)
        for pair in score["objects"]:
            if pair["box_iou"] > WELL_FOUND:
                item = scene.object(pair["found"])
                guesses = GeometricGuesser().guess(item, describe(item, scene.folder), scene.folder)
                names = [guess.category for guess in guesses]
                total.guessed += 1
                total.right += names[0] == pair["category"]
                total.in_three += pair["category"] in names[:3]
                total.group += group_of(names[0]) == group_of(pair["category"])
    if not total.scenes:
        raise SceneError(
            f"{folder} holds no scored scenes; write them with `pocketworlds bench real2sim --out {folder}`"
        )
    return total


def _compare_on(
    total: Tally, truth: dict[str, Any], found: dict[str, str], kinds: Mapping[str, str], graph: SceneGraph
) -> None:
    for name, rebuilt in found.items():
        below = truth[name]["stands_on"]
        expected = found.get(below) if below in truth else below
        main = next(iter(graph.supports(rebuilt)), None)
        right = main is not None and kinds.get(main, main) == expected
        total.objects += 1
        total.on += right
        if expected is not None:
            total.borne_by_found += 1
            total.on_found += right


def _compare_neighbours(total: Tally, truth: dict[str, Any], found: dict[str, str], graph: SceneGraph) -> None:
    near = {(pair.first, pair.second) for pair in graph.beside}
    aligned = {frozenset((pair.name, pair.other)) for pair in graph.aligned}
    for a, b in _pairs(truth, found):
        names = min(found[a], found[b]), max(found[a], found[b])
        if b in truth[a]["touches"]:
            total.touching += 1
            total.beside += names in near
        if names in near and {truth[a]["category"], truth[b]["category"]} <= set(ANGULAR):
            straight = yaw_error(truth[a]["yaw"], truth[b]["yaw"], period=np.pi / 2) < STRAIGHT
            total.neighbours += 1
            total.alignment += straight == (frozenset(names) in aligned)


def _pairs(truth: dict[str, Any], found: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of found objects that stand on one support."""
    names = sorted(found)
    for index, a in enumerate(names):
        for b in names[index + 1 :]:
            if truth[a]["stands_on"] == truth[b]["stands_on"]:
                yield a, b


def main(arguments: list[str] | None = None) -> None:
    """Print how many relations of rebuilt scenes are true."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="what `pocketworlds bench real2sim --out` wrote")
    print(json.dumps(asdict(tally(parser.parse_args(arguments).folder)), indent=1))


if __name__ == "__main__":
    main()

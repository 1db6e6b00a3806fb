"""One cousin: a pure function of the family, the settings, a seed and a number."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SceneError
from ..scenes import Scene
from ..scenes.physics import quiet, validate_physics
from ..scenes.settle import settle
from .axes import VARY
from .config import CousinConfig
from .cousin import Cousin
from .draft import Draft, Family
from .draws import SPLITS, Draws, Split, axis_seed
from .layout import PlacementError
from .relations import scene_graph

SETTLE_SECONDS, CHECK_SECONDS = 1.0, 2.0
"""A cousin comes to rest for so long, and is then watched for so long [s]."""
MAX_OVERLAP, MAX_DRIFT = 0.0008, 0.0015
"""What overlaps or drifts by more [m] while it is watched is not valid: users are promised 1 mm and 2 mm."""


@dataclass(frozen=True)
class Rejected:
    """A candidate that is not valid: why, in a word to count by (`reason`) and in a sentence (`detail`)."""

    index: int
    split: Split
    reason: str
    detail: str


def split_of(index: int) -> Split:
    """Eight of ten candidates are for training, one for validation, one for testing."""
    return SPLITS[{8: 1, 9: 2}.get(index % 10, 0)]


def make_cousin(family: Family, config: CousinConfig, seed: int, index: int) -> Cousin | Rejected:
    """Candidate number `index`: varied, settled and checked."""
    split = split_of(index)
    try:
        draft = vary(family, config, seed, index)
        with quiet():
            scene = _at_rest(draft, index)
            if isinstance(scene, str):
                return Rejected(index, split, "unstable", scene)
            found = _invalid(family, scene)
    except PlacementError as error:
        return Rejected(index, split, "no room", str(error))
    except SceneError as error:
        return Rejected(index, split, "not simulable", str(error))
    if found is not None:
        return Rejected(index, split, *found)
    return Cousin(index, split, scene, draft.finished_rig(), draft.factors)


def vary(family: Family, config: CousinConfig, seed: int, index: int) -> Draft:
    """Candidate number `index` as it is drawn, before it settles.

    Raises:
        PlacementError: something found no place.
    """
    draft = Draft.of(family)
    for name, change in VARY.items():
        section = getattr(config, name)
        if section.on and config.width > 0:
            change(draft, Draws(axis_seed(seed, index, name), split_of(index), config.width), section)
    return draft


def _at_rest(draft: Draft, index: int) -> Scene | str:
    """The settled scene, or what does not come to rest."""
    name = f"{draft.family.twin.name}_cousin_{index:06d}"
    result = settle(draft.scene(name), seconds=SETTLE_SECONDS, freeze=False)
    if not result.scene.settled:
        return f"{', '.join(name for name, found in result.objects.items() if not found.stable)} does not stay"
    return result.scene


def _invalid(family: Family, scene: Scene) -> tuple[str, str] | None:
    """Why a scene at rest is no cousin, as a word and a sentence; None if it is one."""
    report = validate_physics(scene, seconds=CHECK_SECONDS)
    if report.overlaps and report.overlaps[0].depth > MAX_OVERLAP:
        deepest = report.overlaps[0]
        return "overlap", f"{deepest.first} and {deepest.second} overlap by {1000 * deepest.depth:.1f} mm"
    restless = [name for name, motion in report.motions.items() if motion.drift > MAX_DRIFT]
    if restless or report.warnings:
        return "unstable", f"{', '.join(restless) or ', '.join(report.warnings)} does not stay"
    gone = {item.name for item in family.twin.objects} - {item.name for item in scene.objects}
    broken = family.graph.without(gone).broken(scene_graph(scene))
    return ("relation", "; ".join(broken)) if broken else None

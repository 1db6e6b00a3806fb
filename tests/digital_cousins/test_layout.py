"""Where things stand in cousins: relations hold, nothing overlaps, what stands on something follows it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from pocketworlds.digital_cousins.candidate import Rejected, make_cousin, vary
from pocketworlds.digital_cousins.draft import Family
from pocketworlds.digital_cousins.layout import PlacementError
from pocketworlds.digital_cousins.relations import scene_graph
from pocketworlds.scenes.placement import Placement

from .families import FEW, crowded, family, only, without, yaw

MANY = range(40)


def drafts(found: Family, config, count=MANY):
    for index in count:
        try:
            yield vary(found, config, 0, index)
        except PlacementError:
            continue


def gaps(scene) -> list[tuple[str, str, float]]:
    """Pairs of objects that are closer than 2 cm, and how far apart they are."""
    placement = Placement(scene)
    names = [item.name for item in scene.objects]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return [(a, b, found.distance) for a, b in pairs if (found := placement.gap(a, b, 0.02)) is not None]


def at(draft, name: str) -> np.ndarray:
    return np.array(draft.objects[name].body.pose.position)


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_hard_relations_hold_before_anything_settles(laid: Family, spread: float):
    found = list(drafts(laid, only("pose", spread=spread)))
    assert len(found) > 30
    for draft in found:
        assert laid.graph.broken(scene_graph(draft.scene("x")), soft=False) == []
        assert all(gap > -1e-3 for _, _, gap in gaps(draft.scene("x")))  # what stands on something touches it


def test_things_in_a_tray_stay_in_it_and_what_stands_on_something_follows(laid: Family):
    twin = {item.name: np.array(item.body.pose.position) for item in laid.twin.objects}
    moved = []
    for draft in drafts(laid, only("pose", spread=2.0)):
        for base, name, half in (("tray", "cube", (0.12, 0.1)), ("board", "block", (0.08, 0.06))):
            turn = yaw(draft.objects[base].body.pose.quaternion)
            c, s = math.cos(turn), math.sin(turn)
            apart = (at(draft, name) - at(draft, base))[:2] @ np.array([[c, -s], [s, c]])  # in the base's frame
            assert (np.abs(apart) < half).all()
            before = (twin[name] - twin[base])[:2]
            shift = [draft.factors[f"pose.{name}.{axis}"] for axis in "xy"]
            np.testing.assert_allclose(apart, before + shift, atol=1e-6)
            moved.append(np.linalg.norm(at(draft, base)[:2] - twin[base][:2]))
    assert max(moved) > 0.03


def test_moves_are_those_that_are_noted(laid: Family):
    for draft in drafts(laid, only("pose")):
        old = laid.twin.object("can")
        apart = at(draft, "can") - old.body.pose.position
        np.testing.assert_allclose(apart[:2], [draft.factors[f"pose.can.{axis}"] for axis in "xy"], atol=1e-9)
        turn = yaw(draft.objects["can"].body.pose.quaternion) - yaw(old.body.pose.quaternion)
        assert math.remainder(turn - draft.factors["pose.can.turn"], 2 * math.pi) == pytest.approx(0, abs=1e-9)
        assert apart[2] == 0


def test_clutter_lies_free_on_a_surface_whatever_else_varies(laid: Family):
    for config in (only("clutter", spread=1.0), without("pose", spread=1.0), without(spread=1.0)):
        added = 0
        for draft in drafts(laid, config, range(15)):
            new = [name for name in draft.objects if name.startswith("clutter_")]
            assert len(new) == draft.factors["clutter.added"]
            added += len(new)
            for name in new:
                item = draft.objects[name]
                assert item.support == "table"
                bottom = item.body.pose.position[2] - item.size[2] / 2
                assert bottom == pytest.approx(laid.graph.outlines["table"].high, abs=1e-6)
            near = gaps(draft.scene("x"))
            assert all(gap > 0.0149 for a, b, gap in near if a in new or b in new)
        assert added > 5


def test_what_a_task_needs_and_what_bears_something_stays(tmp_path: Path, laid: Family):
    found = family(laid.twin, tmp_path, needed=["can"])
    gone = set()
    for draft in drafts(found, only("clutter", clutter={"add": 0, "remove": 5}, spread=2.0)):
        missing = {item.name for item in found.twin.objects} - draft.objects.keys()
        assert len(missing) == draft.factors["clutter.removed"]
        gone |= missing
    assert gone == {"cube", "block"}


def test_what_was_drawn_for_things_that_are_taken_away_is_no_factor(laid: Family):
    for draft in drafts(laid, without(spread=1.0, clutter={"add": 0, "remove": 3})):
        for item in laid.twin.objects:
            told = {name.partition(".")[0] for name in draft.factors if name.split(".")[1:2] == [item.name]}
            assert bool(told - {"clutter"}) == (item.name in draft.objects)


def test_where_there_is_no_room_a_candidate_is_rejected(tmp_path: Path):
    found = family(crowded(), tmp_path, {"block": FEW["block"]})
    config = only("scale", "pose", scale={"factor": 1.5}, spread=2.0)
    outcomes = [make_cousin(found, config, 0, k) for k in range(4)]
    assert {each.reason for each in outcomes if isinstance(each, Rejected)} == {"no room"}
    assert all(isinstance(each, Rejected) and "no free place for cube_" in each.detail for each in outcomes)
    clutter = make_cousin(found, only("clutter", clutter={"add": 10, "remove": 0}, spread=4.0), 0, 2)
    assert isinstance(clutter, Rejected)
    assert clutter.reason == "no room"


def test_valid_cousins_are_valid_by_the_measure_of_the_scenes_room(laid: Family):
    from pocketworlds.scenes.physics import validate_physics

    valid = 0
    for index in range(10):
        cousin = make_cousin(laid, without(spread=1.0), 3, index)
        if isinstance(cousin, Rejected):
            continue
        valid += 1
        report = validate_physics(cousin.scene, seconds=2.0)
        assert max((o.depth for o in report.overlaps), default=0) < 1e-3
        assert max(m.drift for m in report.motions.values()) < 2e-3
        gone = {item.name for item in laid.twin.objects} - {item.name for item in cousin.scene.objects}
        assert laid.graph.without(gone).broken(scene_graph(cousin.scene)) == []
    assert valid >= 6

"""Each axis of variation changes what it says and nothing else, and notes all that it draws."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from pocketworlds.digital_cousins.candidate import vary
from pocketworlds.digital_cousins.config import AXES
from pocketworlds.digital_cousins.draft import Draft, Family
from pocketworlds.digital_cousins.rig import NO_DIFFERENCE

from .families import only, without

SOME = range(12)
RIG = {
    "camera": "camera_",
    "mount": "(mount|calibration)_",
    "servo": "stiffness|damping|strength|latency",
    "noise": "noise",
}
POSE = r"objects\.\d+\.body\.pose\.position\.2"  # the bottom stays where it was
SIZE = (
    r"objects\.\d+\.(size|body\.(collision|visual\.scale|inertial)"
    r"|parts\.\d+\.(body\.(pose\.position|collision|visual\.scale|inertial)|joint\.(anchor|range|stiffness)|handle\.position))"
)
MAY = {
    "articulation": r"objects\.\d+\.parts\.\d+\.joint\.(damping|friction_loss|range)",
    "mass": (
        r"objects\.\d+\.((body|parts\.\d+\.body)\.inertial\.(mass\.(value|low|high)|inertia)"
        r"|parts\.\d+\.joint\.stiffness)"
    ),
    "friction": r"(surfaces\.\d+|objects\.\d+\.(body|parts\.\d+\.body))\.friction\.(value|low|high)",
    "look": r"(surfaces\.\d+|objects\.\d+\.(body|parts\.\d+\.body)\.visual)\.material\.(rgba|texture)",
    "light": r"lighting\.(direction|far|camera|ambient)",
    "pose": r"objects\.\d+\.body\.pose\.(position\.[01]|quaternion)",
    "shape": f"{SIZE}|{POSE}",
    "scale": f"{SIZE}|{POSE}",
}
"""What of a scene an axis may change; the others may change nothing of it, or the objects themselves."""


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for name, part in value.items() for k, v in leaves(part, f"{path}.{name}".lstrip(".")).items()}
    if isinstance(value, (list, tuple)):
        return {k: v for n, part in enumerate(value) for k, v in leaves(part, f"{path}.{n}").items()}
    return {path: value}


def changed(draft: Draft) -> set[str]:
    """Paths of what is different from the twin."""
    old, new = (leaves(each.scene("x").model_dump()) for each in (Draft.of(draft.family), draft))
    return {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}


@pytest.mark.parametrize("axis", sorted(MAY))
def test_an_axis_changes_of_the_scene_only_what_it_says(axis: str, kitchen: Family, laid: Family):
    for found in (kitchen, laid):
        paths = set().union(*(changed(vary(found, only(axis), 0, k)) for k in SOME))
        assert [path for path in paths if not re.match(MAY[axis], path)] == []
        assert paths or axis == "articulation"


@pytest.mark.parametrize("axis", sorted(RIG))
def test_what_is_around_the_scene_is_not_in_it(axis: str, kitchen: Family):
    for index in SOME:
        draft = vary(kitchen, only(axis), 0, index)
        assert changed(draft) == set()
        rig, none = draft.finished_rig().model_dump(), NO_DIFFERENCE.model_dump()
        assert all(re.search(RIG[axis], name) for name in rig if rig[name] != none[name])
        assert draft.finished_rig() != NO_DIFFERENCE


@pytest.mark.parametrize("axis", AXES)
def test_switching_an_axis_off_changes_no_draw_of_another(axis: str, laid: Family, kitchen: Family):
    # Stretched things meet others sooner, and then another place is drawn: that is no draw of their own. Nor can a
    # thing that stands in take a texture where it brings one.
    shapes = {"instance", "shape", "scale"}
    for found in (laid, kitchen):
        for index in (0, 3, 9, 14):
            full = vary(found, without(spread=0.6), 0, index).factors
            less = vary(found, without(axis, spread=0.6), 0, index).factors
            for name, value in full.items():
                other = name.partition(".")[0]
                if axis in shapes and (other in {"pose", *shapes} or name.endswith(".texture")):
                    continue
                if other != axis and ".clutter_" not in name:  # which is there only with that axis
                    assert less[name] == value


@pytest.mark.parametrize("axis", AXES)
def test_all_that_varies_is_among_the_factors(axis: str, laid: Family, kitchen: Family):
    for found in (laid, kitchen):
        drafts = [vary(found, only(axis), 0, k) for k in SOME]
        assert all(name.partition(".")[0] == axis for draft in drafts for name in draft.factors)
        dumps = {(draft.scene("x").model_dump_json(), draft.finished_rig().model_dump_json()) for draft in drafts}
        factors = {tuple(sorted(draft.factors.items())) for draft in drafts}
        assert len(factors) >= len(dumps)


def test_a_spread_of_nothing_gives_the_twin(laid: Family, kitchen: Family):
    for found in (laid, kitchen):
        for config in (without(spread=0.0), without(kinship="twin"), only()):
            draft = vary(found, config, 0, 5)
            assert changed(draft) == set()
            assert draft.finished_rig() == NO_DIFFERENCE


def test_mass_and_inertia_change_by_the_factor_that_is_noted(kitchen: Family):
    for index in SOME:
        draft = vary(kitchen, only("mass", spread=2), 0, index)
        for old in kitchen.twin.objects:
            factor, new = draft.factors[f"mass.{old.name}"], draft.objects[old.name]
            assert 1 / 4 <= factor <= 4
            for one, other in zip(
                (old.body, *(p.body for p in old.parts)), (new.body, *(p.body for p in new.parts)), strict=True
            ):
                assert other.inertial.mass.value == pytest.approx(factor * one.inertial.mass.value)
                assert other.inertial.mass.low <= other.inertial.mass.value <= other.inertial.mass.high
                assert other.inertial.inertia == pytest.approx([factor * v for v in one.inertial.inertia])
                assert other.inertial.com == one.inertial.com


def test_friction_changes_by_the_factor_that_is_noted(kitchen: Family):
    draft = vary(kitchen, only("friction"), 0, 1)
    for old in (*kitchen.twin.objects, *kitchen.twin.surfaces):
        new = draft.objects.get(old.name) or draft.surfaces[old.name]
        before, after = (x.friction if hasattr(x, "friction") else x.body.friction for x in (old, new))
        assert after.value == pytest.approx(draft.factors[f"friction.{old.name}"] * before.value)
        assert after.source == before.source


def test_doors_keep_the_place_they_were_scanned_in(kitchen: Family):
    parts = {part.name: part for item in kitchen.twin.objects for part in item.parts}
    for index in range(30):
        draft = vary(kitchen, only("articulation", spread=4, articulation={"travel": 1.0}), 0, index)
        for item in draft.objects.values():
            for part in item.parts:
                old, (low, high) = parts[part.name].joint, part.joint.range
                assert low <= 0 <= high
                assert (high - low) == pytest.approx(
                    (old.range[1] - old.range[0]) * draft.factors[f"articulation.{part.name}.travel"]
                )
                assert 0.5 <= draft.factors[f"articulation.{part.name}.travel"] <= 1
                assert part.joint.damping / old.damping == pytest.approx(
                    draft.factors[f"articulation.{part.name}.damping"]
                )


def test_a_textured_thing_says_so_and_no_other(laid: Family, kitchen: Family):
    for found in (laid, kitchen):
        seen = set()
        for index in SOME:
            draft = vary(found, only("look", look={"textured": 0.5}), 0, index)
            for name, item in draft.objects.items():
                bodies = (item.body, *(part.body for part in item.parts))
                texture = draft.factors[f"look.{name}.texture"]
                assert {b.visual.material.texture or "none" for b in bodies} == {texture}
                seen.add(texture)
        assert "none" in seen
        assert len(seen) > 3


def test_held_out_textures_and_things_are_for_testing_only(laid: Family):
    config = without("pose", "clutter", spread=1.0)
    used: dict[bool, set[object]] = {True: set(), False: set()}
    for index in range(150):
        factors = vary(laid, config, 0, index).factors
        used[index % 10 == 9] |= {v for k, v in factors.items() if k.endswith(".texture") or k.startswith("instance.")}
    assert used[True] & used[False] <= {"none", "twin"}
    assert len(used[True]) > 5


def test_light_leans_by_what_is_noted(laid: Family):
    old = laid.twin.lighting.direction
    for index in SOME:
        draft = vary(laid, only("light", spread=4), 0, index)
        new, lean = draft.lighting.direction, draft.factors["light.lean"]
        assert 0 <= lean <= 1.2
        cos = sum(a * b for a, b in zip(old, new, strict=True)) / math.hypot(*old) / math.hypot(*new)
        if abs(old[0]) < 1e-9 and abs(old[1]) < 1e-9:
            assert math.acos(min(cos, 1)) == pytest.approx(lean, abs=1e-6)
        assert all(0 <= v <= 1 for colour in (draft.lighting.far, draft.lighting.ambient) for v in colour)


def test_what_stands_in_has_the_name_support_and_bottom_of_what_was_there(laid: Family):
    swapped = 0
    for index in range(30):
        draft = vary(laid, only("instance", instance={"share": 1.0}, spread=1.0), 0, index)
        for old in laid.twin.objects:
            new, chosen = draft.objects[old.name], draft.factors[f"instance.{old.name}"]
            assert (new.name, new.support, new.mobility) == (old.name, old.support, old.mobility)
            bottom = [x.body.pose.position[2] - x.size[2] / 2 for x in (old, new)]
            assert bottom[0] == pytest.approx(bottom[1])
            assert (new == old) == (chosen == "twin")
            swapped += new != old
            assert chosen == "twin" or chosen in {c.asset.name for c in laid.pools[old.name].candidates}
    assert swapped > 20


def test_furniture_that_bears_things_keeps_its_size(kitchen: Family):
    carries = {r.support for r in kitchen.graph.on} | {r.container for r in kitchen.graph.inside}
    for index in SOME:
        draft = vary(kitchen, only("shape", "scale"), 0, index)
        for old in kitchen.twin.objects:
            if old.mobility == "fixed" and old.name in carries:
                assert draft.objects[old.name] == old
            else:
                assert draft.objects[old.name].size != old.size

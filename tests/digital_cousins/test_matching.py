"""Distances are metrics in the ways that matter, rankings are sensible, and guesses are mostly right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.digital_cousins.features import Descriptor, describe
from pocketworlds.digital_cousins.guessing import GeometricGuesser, Guess, describe_guessed
from pocketworlds.digital_cousins.matching import COUSINS, KINSHIP, Weights, admissible, distance, kin, rank, terms
from pocketworlds.digital_cousins.taxonomy import AFFORDANCES, SYNONYMS, affordance_of, canonical, group_of
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.envs.builtin.authoring import authored_object
from pocketworlds.envs.synthetic import random_scene
from pocketworlds.errors import SceneError
from pocketworlds.scenes import SceneObject
from pocketworlds.scenes.primitives import basin, box, cylinder, mug_shapes

LEVELS = list(KINSHIP)


def mug(diameter: float, height: float, name: str = "mug", category: str = "mug") -> SceneObject:
    return authored_object(name, category, mug_shapes(diameter, height), (diameter, diameter, height), at=(0, 0))


def can(name: str = "can", category: str = "can") -> SceneObject:
    return authored_object(name, category, [cylinder(0.085, 0.095)], (0.085, 0.085, 0.095), at=(0, 0))


def bowl() -> SceneObject:
    return authored_object("bowl", "bowl", mug_shapes(0.16, 0.06), (0.16, 0.16, 0.06), at=(0, 0))


@pytest.fixture(scope="module")
def shelf() -> list[Descriptor]:
    """Descriptors of random objects and of furniture."""
    items = [item for seed in range(4) for item in random_scene(seed).objects]
    items += [item for name in ("kitchen", "desk", "blocks") for item in builtin_scene(name).objects]
    return [describe(item) for item in items]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_distances_are_symmetric_in_range_and_zero_for_the_same(shelf: list[Descriptor], data: st.DataObject) -> None:
    first, second = (data.draw(st.sampled_from(shelf)) for _ in range(2))
    share = st.floats(0, 10, allow_subnormal=False)
    weights = Weights(data.draw(st.floats(0.1, 10)), *(data.draw(share) for _ in range(6)))
    found = terms(first, second)
    assert all(0 <= value <= 1 for value in found.values())
    assert 0 <= distance(first, second, weights) <= 1
    assert terms(second, first) == found
    assert distance(second, first, weights) == distance(first, second, weights)
    assert distance(first, first, weights) == 0
    assert set(terms(first, first).values()) == {0.0}


def test_every_term_has_its_weight_and_decides_alone_what_it_is_about(shelf: list[Descriptor]) -> None:
    found = terms(shelf[0], shelf[1])
    for name, value in found.items():
        alone = Weights(**{key: float(key == name) for key in found})
        assert distance(shelf[0], shelf[1], alone) == pytest.approx(value)


def test_a_slightly_larger_copy_comes_before_anything_else(shelf: list[Descriptor]) -> None:
    target = describe(mug(0.08, 0.095))
    copy = describe(mug(0.084, 0.1, "copy"))
    matches = rank(target, [*shelf, copy])
    assert matches[0].name == "copy" or matches[0].category == "mug"
    ranked = [m.category for m in matches]
    assert ranked.index("mug") == 0
    assert max(m.distance for m in matches if m.name == "copy") < 0.06
    first_other = next(m for m in matches if m.category != "mug")
    assert first_other.distance > 3 * next(m.distance for m in matches if m.name == "copy")


def test_shape_tells_a_mug_from_a_can_of_the_same_size_without_names() -> None:
    target = describe(mug(0.085, 0.095, category="object"))
    other_mug, same_box = describe(mug(0.095, 0.09, category="object")), describe(can(category="object"))
    unnamed = Weights(category=0)
    assert distance(target, other_mug, unnamed) < distance(target, same_box, unnamed)


def test_the_category_term_counts_what_is_shared() -> None:
    target = describe(mug(0.08, 0.09))
    as_ = {name: describe(mug(0.08, 0.09, category=name)) for name in ("mug", "cup", "bowl", "can", "gizmo")}
    found = {name: terms(target, d)["category"] for name, d in as_.items()}
    assert found == pytest.approx({"mug": 0, "cup": 1 / 3, "bowl": 2 / 3, "can": 1, "gizmo": 1})
    gizmo = as_["gizmo"]
    assert terms(gizmo, gizmo)["category"] == 0


def test_levels_admit_what_they_say() -> None:
    target = describe(mug(0.08, 0.09))
    others = {
        "mug": describe(mug(0.085, 0.095)),
        "cup": describe(mug(0.08, 0.09, category="cup")),
        "bowl": describe(bowl()),
        "can": describe(can()),
    }
    admitted = {level: {name for name, d in others.items() if admissible(target, d, level)} for level in LEVELS}
    assert admitted == {"twin": {"mug"}, "near": {"mug"}, "mid": {"mug", "cup"}, "far": {"mug", "cup", "bowl"}}
    called_cube, called_block = (describe(can(category=name)) for name in ("cube", "block"))
    assert admissible(called_cube, called_block, "near")
    assert terms(called_cube, called_block)["category"] == 0
    assert [m.name for m in kin(target, [target, *others.values()], "twin")] == ["mug"]
    with pytest.raises(SceneError, match=r"kinship 'close' is unknown; choose one of .*near"):
        admissible(target, target, "close")


def test_kin_are_the_nearest_eight_within_reach_and_levels_are_nested(shelf: list[Descriptor]) -> None:
    for target in shelf[:6]:
        inner: set[int] = set()
        for level in LEVELS:
            found = kin(target, shelf, level, count=len(shelf))
            assert [m.distance for m in found] == sorted(m.distance for m in found)
            assert all(m.distance <= KINSHIP[level].reach for m in found)
            assert all(shelf[m.index].name == m.name for m in found)
            assert inner <= {m.index for m in found}
            inner = {m.index for m in found}
            assert kin(target, shelf, level) == found[:COUSINS]


def test_weights_must_make_sense() -> None:
    with pytest.raises(SceneError, match="weights must not be negative"):
        Weights(category=-1)
    with pytest.raises(SceneError, match="nor all zero"):
        Weights(0, 0, 0, 0, 0, 0, 0)


def test_every_category_is_in_one_group() -> None:
    categories = [c for groups in AFFORDANCES.values() for group in groups.values() for c in group]
    assert len(categories) == len(set(categories))
    assert (group_of("mug"), affordance_of("mug")) == ("cups", "contain")
    assert (group_of("gizmo"), affordance_of("gizmo")) == ("gizmo", "gizmo")
    assert not set(SYNONYMS) & set(categories)
    assert set(SYNONYMS.values()) <= set(categories)
    assert (canonical("storage"), group_of("storage")) == (canonical("cupboard"), group_of("cabinet"))


def random_things(count: int) -> list[tuple[SceneObject, set[str]]]:
    """Random objects of primitives with the names a person might give them."""
    rng = np.random.default_rng(5)
    things: list[tuple[SceneObject, set[str]]] = []

    def add(name: str, shapes: list, size: tuple[float, float, float], names: set[str]) -> None:
        things.append((authored_object(name, "object", shapes, size, at=(0, 0), mass=0.3), names))

    for _ in range(count):
        d, h = rng.uniform(0.06, 0.075), rng.uniform(0.08, 0.13)
        add("can", [cylinder(d, h)], (d, d, h), {"can"})
        d, h = rng.uniform(0.075, 0.1), rng.uniform(0.075, 0.11)
        add("mug", mug_shapes(d, h), (d, d, h), {"mug", "cup"})
        d, h = rng.uniform(0.12, 0.2), rng.uniform(0.045, 0.08)
        add("bowl", mug_shapes(d, h), (d, d, h), {"bowl"})
        x, y, h = rng.uniform(0.2, 0.35), rng.uniform(0.15, 0.2), rng.uniform(0.025, 0.045)
        add("tray", basin(x, y, h), (x, y, h), {"tray"})
        x, y, h = rng.uniform(0.2, 0.35), rng.uniform(0.15, 0.2), rng.uniform(0.1, 0.2)
        add("basket", basin(x, y, h), (x, y, h), {"basket"})
        x, y, h = rng.uniform(0.17, 0.24), rng.uniform(0.12, 0.16), rng.uniform(0.015, 0.035)
        add("book", [box(x, y, h)], (x, y, h), {"book"})
        x, y, h = rng.uniform(0.08, 0.16), rng.uniform(0.06, 0.1), rng.uniform(0.07, 0.2)
        add("box", [box(x, y, h)], (x, y, h), {"box"})
        d, h = rng.uniform(0.06, 0.08), rng.uniform(0.19, 0.25)
        neck = [cylinder(d, 0.7 * h, at=(0, 0, -0.15 * h)), cylinder(0.4 * d, 0.3 * h, at=(0, 0, 0.35 * h))]
        add("bottle", neck, (d, d, h), {"bottle"})
        x, y = rng.uniform(0.14, 0.25), rng.uniform(0.015, 0.03)
        add("tool", [box(x, y, y)], (x, y, y), {"tool"})
        d = rng.uniform(0.05, 0.1)
        ball = box(d, d, d).model_copy(update={"shape": "sphere"})
        add("ball", [ball], (d, d, d), {"ball"})
    return things


def test_geometry_tells_household_things_apart() -> None:
    things = random_things(6)
    guesser = GeometricGuesser()
    right = in_three = 0
    for item, names in things:
        guesses = guesser.guess(item, describe(item), None)
        assert sum(g.share for g in guesses) == pytest.approx(1)
        assert [g.share for g in guesses] == sorted((g.share for g in guesses), reverse=True)
        right += guesses[0].category in names
        in_three += bool(names & {g.category for g in guesses[:3]})
    assert right >= 0.9 * len(things)
    assert in_three >= 0.95 * len(things)


def test_furniture_is_known_by_what_opens_and_the_unknown_stays_unknown() -> None:
    kitchen = builtin_scene("kitchen")
    guesser = GeometricGuesser()
    for name, category in (("cupboard", "cabinet"), ("stove", "button")):
        item = kitchen.object(name)
        assert guesser.guess(item, describe(item), None) == (Guess(category, 1.0),)
    cross = [box(0.5, 0.1, 0.1), box(0.1, 0.5, 0.1), box(0.1, 0.1, 0.5)]
    item = authored_object("cross", "object", cross, (0.5, 0.5, 0.5), at=(0, 0))
    assert guesser.guess(item, describe(item), None) == (Guess("object", 1.0),)


def test_a_guesser_is_asked_only_about_objects_without_a_category() -> None:
    class Sure:
        def guess(self, item: SceneObject, descriptor: Descriptor, folder: object) -> tuple[Guess, ...]:
            return (Guess("bowl", 0.75), Guess("can", 0.25))

    assert describe_guessed(can(), guesser=Sure()).beliefs == (("can", 1.0),)
    unknown = describe_guessed(can(category="object"), guesser=Sure())
    assert unknown.beliefs == (("bowl", 0.75), ("can", 0.25))
    assert admissible(unknown, describe(bowl()), "near")
    assert terms(unknown, describe(can()))["category"] == pytest.approx(0.75)
    assert describe_guessed(can(category="object")).beliefs[0][0] == "can"

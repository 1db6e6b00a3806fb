"""Sketches: what must not move them, what must, and that manifests tell who moved."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.suites.definitions import Part
from pocketworlds.benchmarks.suites.freeze import freeze_group
from pocketworlds.benchmarks.suites.sketch import (
    STATE_TOLERANCE,
    WORLD_TOLERANCE,
    of_looks,
    of_starts,
    of_world,
    same,
    sketch,
)
from pocketworlds.envs import WorldVectorEnv

numbers = st.lists(st.floats(-10, 10), min_size=1, max_size=300).map(np.array)


@settings(deadline=None, max_examples=100)
@given(values=numbers, data=st.data())
def test_one_number_that_changes_is_noticed_and_rounding_is_not(values: np.ndarray, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    changed = values.copy()
    changed[place] += 1e-6
    assert not same(sketch(changed), sketch(values), STATE_TOLERANCE)
    rounded = values * (1 + 2e-16) + 1e-15
    assert same(sketch(rounded), sketch(values), STATE_TOLERANCE)


@settings(deadline=None, max_examples=100)
@given(values=numbers, data=st.data())
def test_numbers_that_change_places_are_noticed(values: np.ndarray, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(0, len(values) - 1)) for _ in range(2))
    changed = values.copy()
    changed[[a, b]] = changed[[b, a]]
    if a != b and abs(values[a] - values[b]) > 1e-3:
        assert not same(sketch(changed), sketch(values), STATE_TOLERANCE)


def test_nothing_has_a_sketch_too() -> None:
    assert sketch() == sketch(np.zeros((0, 3))) == (0.0, 0.0)


@pytest.fixture(scope="module")
def env() -> WorldVectorEnv:
    made = gym.make_vec("PocketWorlds/PickPlace-v0", num_envs=2).unwrapped
    assert isinstance(made, WorldVectorEnv)
    made.reset(seed=3)
    return made


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        ("body_mass", "masses"),
        ("geom_friction", "contacts"),
        ("geom_size", "shapes"),
        ("actuator_gainprm", "actuators"),
        ("jnt_range", "joints"),
        ("body_pos", "bodies"),
        ("body_inertia", "inertia"),
    ],
)
def test_a_world_of_which_one_thing_changed_says_which(env: WorldVectorEnv, array: str, kind: str) -> None:
    before, values = of_world(env.world), getattr(env.world.model, array)
    place = np.unravel_index(np.argmax(np.abs(values)), values.shape)
    kept = values[place]
    values[place] *= 1.01
    try:
        after = of_world(env.world)
    finally:
        values[place] = kept
    assert [name for name in before if not same(after[name], before[name], WORLD_TOLERANCE)] == [kind]
    assert of_world(env.world) == before


def test_looks_are_told_apart_from_what_moves(env: WorldVectorEnv) -> None:
    before, moved = of_looks(env.world), of_world(env.world)
    env.world.drawn.geom_rgba[5] = 0.123
    assert not same(of_looks(env.world), before, WORLD_TOLERANCE)
    assert of_world(env.world) == moved


def test_a_pose_that_changes_by_a_micrometre_is_another_start(env: WorldVectorEnv) -> None:
    before = of_starts(env)
    env.simulator.sensors()["object_pos"][1, 0, 2] += 1e-6
    after = of_starts(env)
    assert after[0] == before[0]
    assert not same(after[1], before[1], STATE_TOLERANCE)


def test_what_is_frozen_in_batches_is_what_each_seed_begins_with() -> None:
    part = Part("Push", "PocketWorlds/Push-v0", "", {}, seed=11, episodes=103)
    group = freeze_group(part)
    assert (group.episodes, group.seeds()[-1], set(group.scenes)) == (103, 113, set(group.worlds))
    for k in (0, 99, 102):
        single = gym.make(group.env_id, **group.where()).unwrapped
        single.reset(seed=group.seeds()[k])
        assert same(of_starts(single.vector)[0], group.starts[k], STATE_TOLERANCE)  # type: ignore[attr-defined]

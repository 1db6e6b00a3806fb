"""Random numbers of cousins: ranges, held-out parts, and streams of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds.digital_cousins.draws import INNER, SPLITS, Draws, Split, axis_seed
from scipy import stats

MANY = 4000


def draws(split: Split = "train", spread: float = 1.0, seed: int = 0) -> Draws:
    return Draws(axis_seed(seed, 0, "mass"), split, spread)


@given(st.integers(0, 2**32), st.sampled_from(SPLITS), st.floats(0, 4), st.floats(1, 10), st.floats(0, 3))
def test_all_numbers_are_in_their_ranges(seed: int, split: Split, spread: float, factor: float, most: float):
    own = draws(split, spread, seed)
    assert abs(own.share()) <= 1
    assert abs(own.shift(most)) <= most * spread
    assert 0 <= own.amount(most) <= most * spread
    assert factor**-spread * (1 - 1e-12) <= own.factor(factor) <= factor**spread * (1 + 1e-12)
    assert math.hypot(*own.disc(most)) <= most * spread + 1e-12
    assert 0 <= own.count(3) <= round(3 * spread)


@pytest.mark.parametrize("name", ["shift", "factor", "amount", "disc"])
def test_what_testing_sees_training_never_saw(name: str):
    def size(own: Draws) -> float:
        value = getattr(own, name)(2.0)
        if name == "factor":
            return abs(math.log(value)) / math.log(2.0)
        return (math.hypot(*value) / 2) ** 2 if name == "disc" else abs(value) / 2.0

    seen = {split: [size(draws(split, seed=k)) for k in range(500)] for split in SPLITS}
    assert max(seen["train"]) <= INNER + 1e-12
    assert max(seen["validation"]) <= INNER + 1e-12
    assert min(seen["test"]) >= INNER - 1e-12
    assert max(seen["test"]) <= 1 + 1e-12


def test_a_spread_of_nothing_changes_nothing():
    for split in SPLITS:
        own = draws(split, 0.0)
        for _ in range(20):
            assert own.shift(2.0) == 0
            assert own.factor(3.0) == 1
            assert own.amount(2.0) == 0
            assert own.disc(1.0) == (0, 0)
            assert own.count(5) == 0
            assert not own.chance(1.0)


def test_logarithms_of_factors_are_uniform():
    own = draws()
    logs = [math.log(own.factor(2.0)) / math.log(2.0) for _ in range(MANY)]
    assert stats.kstest(logs, "uniform", args=(-INNER, 2 * INNER)).pvalue > 0.01
    own = draws("test", 2.0)
    logs = np.array([math.log(own.factor(2.0)) / math.log(2.0) / 2 for _ in range(MANY)])
    assert stats.kstest(np.abs(logs), "uniform", args=(INNER, 1 - INNER)).pvalue > 0.01
    assert 0.45 < (logs > 0).mean() < 0.55


def test_discs_are_covered_evenly():
    own = draws()
    points = np.array([own.disc(1.0) for _ in range(MANY)])
    # The area within radius r grows with its square (whatever is inside INNER of the area).
    assert stats.kstest((points**2).sum(axis=1), "uniform", args=(0, INNER)).pvalue > 0.01
    assert stats.kstest(np.arctan2(points[:, 1], points[:, 0]), "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 0.01


@given(st.integers(1, 40), st.integers(0, 1000))
def test_the_last_third_of_a_pool_is_for_testing(size: int, seed: int):
    first = size - size // 3
    for split in ("train", "validation"):
        assert draws(split, seed=seed).pick(size) in range(first if size >= 3 else size)
    assert draws("test", seed=seed).pick(size) in (range(first, size) if size >= 3 else range(size))


def test_all_of_a_pool_comes_up():
    own, held = draws(), draws("test")
    assert {own.pick(9) for _ in range(200)} == set(range(6))
    assert {held.pick(9) for _ in range(200)} == {6, 7, 8}


def test_axes_cousins_seeds_and_things_have_streams_of_their_own():
    seeds = [(seed, index, axis) for seed in (0, 1) for index in (0, 1, 10) for axis in ("mass", "look")]
    found = [Draws(axis_seed(*each), "train", 1.0) for each in seeds]
    first = [own.share() for own in found]
    first += [Draws(axis_seed(*each), "train", 1.0).of(name).share() for each in seeds for name in ("mug", "can")]
    assert len(set(first)) == len(first)


def test_a_thing_draws_the_same_whatever_others_draw():
    one, two = draws("test", 2.0), draws("test", 2.0)
    two.of("can").share()
    two.share()
    assert [one.of("mug").shift(1.0), one.of("mug").held_out] == [two.of("mug").shift(1.0), True]

"""What decides about success is found, and chance is not taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from pocketworlds.digital_cousins.effects import effects

COUSINS = 120


def table(rng: np.random.Generator, factors: int = 30) -> dict[str, list]:
    found: dict[str, list] = {f"f{k}.x": rng.uniform(0.5, 2, COUSINS).tolist() for k in range(factors)}
    found["instance.mug"] = rng.choice(["twin", *(f"mug_{k}" for k in range(12))], COUSINS).tolist()
    found["clutter.added"] = rng.integers(0, 3, COUSINS).tolist()
    found["mass.clutter_1"] = [v if rng.random() < 0.4 else None for v in rng.uniform(0, 1, COUSINS).tolist()]
    found["constant.x"] = [1.0] * COUSINS
    found["nothing.x"] = [None] * COUSINS
    return found


def outcomes(rng: np.random.Generator, rate: np.ndarray, episodes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return rng.binomial(episodes, rate).astype(float), np.full(COUSINS, float(episodes))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["heavy", "word", "count", "ends", "missing"])
def test_the_factor_that_decides_comes_first(kind: str, seed: int):
    rng = np.random.default_rng(seed)
    columns = table(rng)
    if kind == "heavy":
        name, bad = "f7.x", np.array(columns["f7.x"]) > 1.4
    elif kind == "word":
        name, bad = "instance.mug", np.isin(columns["instance.mug"], ["mug_2", "mug_5", "mug_7"])
    elif kind == "count":
        name, bad = "clutter.added", np.array(columns["clutter.added"]) == 2
    elif kind == "ends":
        name, bad = "f3.x", np.abs(np.array(columns["f3.x"]) - 1.25) > 0.45  # at both ends of its range
    else:
        name = "mass.clutter_1"
        bad = np.array([v is not None and v > 0.5 for v in columns[name]])
    found = effects(columns, *outcomes(rng, np.where(bad, 0.1, 0.9)))
    if kind == "missing":  # what most cousins have not got explains the less of all
        assert name in [effect.factor for effect in found[:3]]
        return
    assert found[0].factor == name
    assert found[0].clear
    assert found[0].explains > 2 * found[1].explains
    assert found[0].interval[0] > 0.3
    assert sum(effect.clear for effect in found) <= 2


def test_chance_alone_is_seldom_taken_for_an_effect():
    wrong = 0
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        found = effects(table(rng), *outcomes(rng, rng.beta(1, 1, COUSINS)))  # some cousins are hard, for no reason
        wrong += any(effect.clear for effect in found)
    assert wrong <= 4  # one in twenty is expected, whatever the number of factors


def test_counts_and_bins_add_up():
    rng = np.random.default_rng(0)
    columns = table(rng)
    successes, trials = outcomes(rng, np.full(COUSINS, 0.5))
    trials[:20] = successes[:20] = 0
    found = {effect.factor: effect for effect in effects(columns, successes, trials)}
    assert "constant.x" not in found
    assert "nothing.x" not in found
    for name, effect in found.items():
        there = np.array([value is not None for value in columns[name]])
        assert sum(b.trials for b in effect.bins) == trials[there].sum()
        assert sum(b.successes for b in effect.bins) == successes[there].sum()
        assert effect.difference == pytest.approx(max(b.rate for b in effect.bins) - min(b.rate for b in effect.bins))
        assert 0 <= effect.explains <= 1
        assert 0 < effect.chance <= 1
    for each in found["f0.x"].bins:
        values, tried = np.array(columns["f0.x"]), trials > 0
        inside = tried & (values >= each.low) & (values <= each.high)
        assert each.trials == trials[inside].sum()
    rare = found["instance.mug"].bins[-1]
    assert (rare.label, rare.low) == ("another", None)


def test_a_factor_that_tells_all_explains_all():
    bad = np.arange(COUSINS) % 2 == 0
    columns = {"a.x": np.where(bad, 1.0, 0.0).tolist(), "b.x": np.random.default_rng(0).uniform(size=COUSINS).tolist()}
    first = effects(columns, 4.0 * ~bad, np.full(COUSINS, 4.0))[0]
    assert first.explains == pytest.approx(1, abs=0.02)
    assert (first.difference, first.interval) == (1.0, (1.0, 1.0))
    assert first.told() == "it fails most where a.x is 1: it solves 0% there and 100% elsewhere"


def test_nothing_tried_or_nothing_varied_has_no_effects():
    nothing = np.zeros(3)
    assert effects({"a.x": [1.0, 2.0, 3.0]}, nothing, nothing) == []
    assert effects({"a.x": [1.0, 1.0, 1.0]}, np.ones(3), np.ones(3)) == []
    always = effects({"a.x": [1.0, 2.0, 3.0]}, np.ones(3), np.ones(3))
    assert (always[0].explains, always[0].clear) == (0.0, False)


def test_the_same_is_found_again():
    rng = np.random.default_rng(1)
    columns, (successes, trials) = table(rng), outcomes(rng, np.full(COUSINS, 0.4))
    assert effects(columns, successes, trials, seed=3) == effects(columns, successes, trials, seed=3)

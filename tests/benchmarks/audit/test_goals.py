"""What is asked of a model: not met by who is rosy, or by who knows nothing but the time."""

from __future__ import annotations

import numpy as np
import pytest
from pocketworlds.benchmarks.audit.goals import goals
from pocketworlds.benchmarks.audit.ood import TAU, _Seen, _wrong
from pocketworlds.benchmarks.audit.ranking import compare
from pocketworlds.benchmarks.audit.report import plain
from scipy.stats import mannwhitneyu

HORIZONS = (1, 5, 10, 20, 50)


def ranked(physics: list[float], model: list[float]) -> dict:
    ends = [["".join("1" if k < 10 * share else "0" for k in range(10)) for share in each] for each in (physics, model)]
    rows = [{"name": str(k), "kind": "a", "physics": a, "model": b} for k, (a, b) in enumerate(zip(*ends, strict=True))]
    return dict(plain({**compare(rows), "starts": 10}))


def test_who_calls_everybody_a_success_misses_what_ranking_asks_for() -> None:
    told = ranked([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [1.0] * 6)
    missed = {goal.name for goal in goals({"ranking": told}) if not goal.met}
    names = {"Pearson r", "low end of r", "slope, least", "bias in points", "MMRV"}
    assert missed == {f"ranking: {name}" for name in names}


def test_where_physics_ranks_nobody_there_is_no_rank_to_find() -> None:
    told = ranked([0.5] * 6, [0.5, 0.5, 0.6, 0.5, 0.5, 0.5])
    assert {goal.name for goal in goals({"ranking": told})} == {"ranking: bias in points", "ranking: MMRV"}


def seen(bound: dict[int, np.ndarray], error: dict[int, np.ndarray]) -> _Seen:
    return _Seen(bound, error, *(np.zeros(1) for _ in range(4)))


def test_a_bound_that_knows_the_time_alone_knows_nothing() -> None:
    rng = np.random.default_rng(0)
    error = {h: rng.exponential(0.0008 * h, 400) for h in HORIZONS}
    clock = _wrong([seen({h: np.full(400, float(h)) for h in HORIZONS}, error)])
    assert clock["auroc"] == pytest.approx(0.5)
    assert clock["mixed"] == clock["time"] > 0.75
    noisy = {h: each + rng.normal(0, 0.01, 400) for h, each in error.items()}
    told = _wrong([seen(noisy, error)])
    pairs = []
    for h in HORIZONS:
        bad = error[h] > TAU
        if bad.any() and not bad.all():
            pairs.append((mannwhitneyu(noisy[h][bad], noisy[h][~bad]).statistic, bad.sum() * (~bad).sum()))
    wins, count = np.sum(pairs, axis=0)
    assert told["auroc"] == pytest.approx(wins / count, abs=1e-12)
    assert told["time"] == pytest.approx(clock["time"])

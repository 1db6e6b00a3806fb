"""Statistics: against SciPy, against published definitions worked out by hand, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pocketworlds.benchmarks.statistics import (
    auroc,
    auroc_interval,
    cluster_interval,
    correspondence,
    coverage_error,
    drop_one,
    f1,
    fisher_interval,
    interquartile_mean,
    mcnemar,
    mmrv,
    paired_difference,
    pearson,
    probability_of_improvement,
    risk_coverage,
    slope,
    spearman,
    stratified_bootstrap,
    wilson,
)
from scipy import stats

RNG = np.random.default_rng(0)
SHARES = arrays(np.float64, st.integers(4, 20), elements=st.integers(0, 100).map(lambda v: v / 100))


def test_correlations_and_the_slope_are_scipys():
    x = RNG.random(25)
    y = 0.6 * x + 0.2 * RNG.random(25)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0])
    assert np.isnan(pearson(np.ones(5), x[:5]))
    low, high = fisher_interval(pearson(x, y), 25)
    told = stats.pearsonr(x, y).confidence_interval(0.95)
    assert (low, high) == pytest.approx((told.low, told.high))


def test_what_is_said_of_a_simulator_is_what_each_statistic_says():
    real = np.random.default_rng(1).random(9)
    simulated = 0.5 + 0.5 * real  # rosy, and in the same order
    found = correspondence(real, simulated)
    assert (found.r, found.slope, found.mmrv) == (pytest.approx(1), pytest.approx(0.5), 0.0)
    assert found.bias == pytest.approx(0.5 - real.mean() / 2)
    simulated[0] = 1 - simulated[0]
    found = correspondence(real, simulated)
    told = stats.pearsonr(real, simulated)
    assert found.r == pytest.approx(told.statistic)
    assert found.r_interval == pytest.approx(tuple(told.confidence_interval(0.95)))
    without = [np.corrcoef(np.delete(real, k), np.delete(simulated, k))[0, 1] for k in range(9)]
    assert found.r_range == pytest.approx((min(without), max(without)))


def test_seven_policies_with_a_correlation_of_0_929_say_little():
    low, high = fisher_interval(0.929, 7)
    assert low < 0.6
    assert high > 0.98
    assert fisher_interval(0.9, 3) == (-1.0, 1.0)
    assert fisher_interval(1.0, 10) == (1.0, 1.0)


def test_leaving_one_out_finds_the_pair_that_all_rests_on():
    x, y = np.array([0.1, 0.12, 0.11, 0.13, 0.9]), np.array([0.2, 0.1, 0.22, 0.08, 0.9])
    assert pearson(x, y) > 0.95
    assert drop_one(x, y)[0] < 0


def test_mmrv_by_hand():
    """SIMPLER's: three policies, the last two swapped by the simulator."""
    real, simulated = np.array([0.1, 0.5, 0.7]), np.array([0.2, 0.8, 0.6])
    assert mmrv(real, simulated) == pytest.approx((0.0 + 0.2 + 0.2) / 3)
    assert mmrv(real, real) == 0.0
    assert mmrv(real, -real) == pytest.approx((0.6 + 0.4 + 0.6) / 3)


@given(SHARES, st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_mmrv_and_ranks_do_not_depend_on_order_or_scale(real: np.ndarray, seed: int):
    rng = np.random.default_rng(seed)
    simulated, order = rng.integers(0, 5, len(real)) / 5, rng.permutation(len(real))
    assert mmrv(real[order], simulated[order]) == pytest.approx(mmrv(real, simulated))
    assert mmrv(real, 0.3 * simulated + 0.1) == pytest.approx(mmrv(real, simulated))
    assert 0 <= mmrv(real, simulated) <= np.ptp(real) + 1e-12


def test_f1_by_hand():
    truth = np.array([1, 1, 1, 0, 0], dtype=bool)
    assert f1(truth, np.array([1, 1, 0, 1, 0], dtype=bool)) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert f1(truth, truth) == 1.0
    assert f1(~truth & truth, ~truth & truth) == 1.0
    assert f1(truth, np.zeros(5, dtype=bool)) == 0.0


@given(st.integers(0, 10_000), st.integers(3, 40))
@settings(max_examples=40, deadline=None)
def test_auroc_is_the_share_of_pairs_in_order(seed: int, count: int):
    rng = np.random.default_rng(seed)
    score, positive = rng.integers(0, 6, count).astype(float), rng.random(count) < 0.5
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    if pairs:
        assert auroc(score, positive) == pytest.approx(np.mean(pairs))
        assert auroc(np.exp(score), positive) == pytest.approx(auroc(score, positive))
    else:
        assert np.isnan(auroc(score, positive))


def test_the_interval_of_an_auroc_holds_most_of_the_time():
    """The true area of two normals one apart is Phi(1 / sqrt 2)."""
    true = stats.norm.cdf(1 / np.sqrt(2))
    inside = 0
    for _ in range(300):
        score = np.concatenate([RNG.normal(1, 1, 40), RNG.normal(0, 1, 60)])
        area = auroc(score, np.arange(100) < 40)
        low, high = auroc_interval(area, 40, 60)
        inside += low <= true <= high
    assert 270 <= inside <= 300


def test_calibration_error_of_good_and_of_bad_bounds():
    error = np.abs(RNG.normal(0, 1, 5000))
    scale = RNG.uniform(0.5, 2, 5000)
    good = scale * stats.halfnorm.ppf(0.9)
    assert coverage_error(good, error * scale) < 0.03
    # Right on the whole, wrong everywhere: the same bound for all.
    same = np.full(5000, np.quantile(error * scale, 0.9))
    order = np.argsort(scale)
    assert (error * scale <= same).mean() == pytest.approx(0.9, abs=0.01)
    assert coverage_error(same[order] + 1e-9 * np.arange(5000), (error * scale)[order]) > 0.05
    assert coverage_error(np.zeros(100), np.ones(100)) == pytest.approx(0.9)


def test_risk_falls_with_coverage_where_the_score_knows():
    error = RNG.random(1000)
    shares = (0.25, 0.5, 1.0)
    knows, guesses = risk_coverage(error, error, shares), risk_coverage(RNG.random(1000), error, shares)
    assert knows == pytest.approx([0.125, 0.25, 0.5], abs=0.03)
    assert guesses == pytest.approx([0.5] * 3, abs=0.06)
    assert knows[-1] == pytest.approx(guesses[-1])


def test_interquartile_mean_and_its_interval():
    scores = np.arange(8.0)[:, None]
    assert interquartile_mean(scores) == pytest.approx(np.mean([2, 3, 4, 5]))
    low, high = stratified_bootstrap(scores)
    assert low < 3.5 < high
    assert stratified_bootstrap(np.full((5, 2), 0.4)) == pytest.approx((0.4, 0.4))
    # Strata: a task that is always 0 and one that is always 1 are never mixed up.
    mixed = np.tile([0.0, 1.0], (4, 1))
    assert stratified_bootstrap(mixed) == pytest.approx((0.5, 0.5))


def test_the_cluster_bootstrap_counts_episodes_and_not_frames():
    values = np.repeat(RNG.normal(0, 1, 12), 50)
    apart, together = cluster_interval(values, np.repeat(np.arange(12), 50)), cluster_interval(values, np.arange(600))
    assert apart[1] - apart[0] > 3 * (together[1] - together[0])


@settings(deadline=None)
@given(total=st.integers(1, 300), share=st.floats(0, 1))
def test_wilson_agrees_with_scipy(total: int, share: float) -> None:
    hits = round(share * total)
    expected = stats.binomtest(hits, total).proportion_ci(method="wilson")
    assert wilson(hits, total) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_of_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


SCORES = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.integers(0, 20).map(lambda v: v / 20))


@settings(deadline=None, max_examples=200)
@given(better=SCORES, worse=SCORES)
def test_aggregates_are_those_of_rliable(better: np.ndarray, worse: np.ndarray) -> None:
    metrics = pytest.importorskip("rliable.metrics", reason="rliable is not installed: pip install rliable")
    assert interquartile_mean(better) == pytest.approx(metrics.aggregate_iqm(better), abs=1e-9)
    told = metrics.probability_of_improvement(better, worse)
    assert probability_of_improvement(better, worse) == pytest.approx(told, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_a_paired_comparison_looks_at_what_only_one_solves(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    only, other = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    apart, (low, high) = paired_difference(first.astype(float), second.astype(float))
    assert apart == pytest.approx((only - other) / len(pairs), abs=1e-9)
    assert low <= apart + 1e-9
    assert apart <= high + 1e-9
    # Twice the smaller tail of a fair coin, thrown once for each of them.
    tail = stats.binom.cdf(min(only, other), only + other, 0.5)
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail), abs=1e-9)

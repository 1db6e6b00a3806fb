"""What decides in cousins: against SciPy, against a factor that was made to decide, and by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.leaderboard.factors import correlations, influences, table
from pocketworlds.benchmarks.leaderboard.results import Results
from pocketworlds.benchmarks.suites.cousins import cousins_of
from pocketworlds.benchmarks.suites.manifest import Suite, load_suite
from pocketworlds.cli import app
from scipy import stats
from typer.testing import CliRunner

from .boards import kept, small_results

GROUP = "OpenDrawer-train"


@pytest.fixture(scope="module")
def suite() -> Suite:
    """Of the cousins that come along, a hundred episodes in as many as a hundred of them."""
    return load_suite("cousins-v1")


def decided(suite: Suite, factor: str | None) -> Results:
    """A run whose ends in `GROUP` are decided by one factor, or by nothing."""
    found = cousins_of(suite.group(GROUP).keywords)
    assert found is not None
    cousins, chosen = found
    place = dict(zip(suite.group(GROUP).worlds, chosen, strict=True))
    results = small_results(suite, share=0.5, seed=3)
    played = []
    for each in results.played:
        rows = each.episodes
        if each.name == GROUP and factor is not None:
            values = [cousins.table[factor][place[row.scene]] for row in rows]
            middle = float(np.median(list({row.scene: v for row, v in zip(rows, values, strict=True)}.values())))
            rows = tuple(
                row.model_copy(update={"success": value > middle, "ever": True, "first_success": 1.0, "error": False})
                for row, value in zip(rows, values, strict=True)
            )
        played.append(each.model_copy(update={"episodes": rows}))
    return results.model_copy(update={"played": tuple(played)}).signed()


def test_a_factor_that_decides_is_found(suite: Suite) -> None:
    found = influences(decided(suite, "articulation.drawer.friction"), suite.group(GROUP))
    assert found[0].factor == "articulation.drawer.friction"
    assert found[0].r > 0.8
    assert found[0].p < 0.001
    assert found[0].low.successes == 0
    assert found[0].high.successes == found[0].high.episodes
    assert sum(each.p < 0.05 for each in found) < 10  # others only as far as they go with it
    assert "articulation.drawer.friction" in table(GROUP, found).text()


def test_nothing_is_found_where_nothing_decides(suite: Suite) -> None:
    found = influences(decided(suite, None), suite.group(GROUP))
    assert len(found) > 50
    assert min(each.p for each in found) > 0.05
    assert influences(decided(suite, None), suite.group("OpenDrawer-twin")) == []


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_correlations_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors, wins = rng.normal(size=(3, 12)), rng.integers(0, 5, size=12).astype(float)
    wins[:2] = 0, 4
    r, p = correlations(factors, wins, np.full(12, 4.0), count=20, seed=seed)
    for k in range(3):
        assert r[k] == pytest.approx(stats.pearsonr(stats.rankdata(factors[k]), wins).statistic)
    assert ((p > 0) & (p <= 1)).all()


def test_p_holds_for_all_factors_together() -> None:
    """Of runs in which none of forty factors matters, about one in twenty has a factor with p below 0.05."""
    rng = np.random.default_rng(0)
    least = []
    for trial in range(200):
        wins = rng.binomial(4, 0.5, size=16).astype(float)
        _, p = correlations(rng.normal(size=(40, 16)), wins, np.full(16, 4.0), count=200, seed=trial)
        least.append(p.min())
    assert 0.01 < np.mean(np.array(least) <= 0.05) < 0.1


def test_the_command_says_it(suite: Suite, tmp_path: Path) -> None:
    file = kept(decided(suite, "articulation.drawer.friction"), tmp_path)
    result = CliRunner().invoke(app, ["bench", "factors", str(file)])
    assert result.exit_code == 0, result.output
    assert f"What decides in {GROUP}" in result.stdout
    first = result.stdout.split(f"What decides in {GROUP}")[1].splitlines()[2]
    assert first.split()[0] == "articulation.drawer.friction"
    other = kept(small_results(load_suite("hand-v1")), tmp_path / "hand")
    result = CliRunner().invoke(app, ["bench", "factors", str(other)])
    assert result.exit_code == 2
    assert "has no cousins" in result.stderr

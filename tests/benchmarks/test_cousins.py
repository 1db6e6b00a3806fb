"""Figures of sets of cousins: coverage against numbers put there by hand, the rest against what the sets hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pocketworlds.benchmarks.cousins import CousinsResult, coverage, main, run_cousins
from pocketworlds.digital_cousins.factors import SETTINGS, Shares

from ..digital_cousins.families import COUNT, small_set

BOTH = next(s for s in SETTINGS if s.how == "shift")
ONE = next(s for s in SETTINGS if s.how == "amount")


def drawn(*values: float) -> Shares:
    return Shares(np.arange(len(values)), np.array(values))


def test_full_ranges_are_covered_and_halves_half() -> None:
    train = (np.arange(10) + 0.5) / 10
    splits = np.array(["train"] * 10)
    assert coverage(ONE, drawn(*(0.8 * train)), splits).train_filled == 1.0
    assert coverage(BOTH, drawn(*(0.8 * train)), splits).train_filled == 0.5
    assert coverage(BOTH, drawn(*(1.6 * train - 0.8)), splits).train_filled == 1.0


def test_the_part_for_testing_is_both_ends() -> None:
    ends = 0.8 + 0.2 * (np.arange(5) + 0.5) / 5
    splits = np.array(["test"] * 10)
    assert coverage(BOTH, drawn(*ends, *-ends), splits).test_filled == 1.0
    assert coverage(BOTH, drawn(*ends, *ends), splits).test_filled == 0.5
    assert coverage(ONE, drawn(*np.linspace(0.805, 0.995, 10)), splits).test_filled == 1.0


def test_numbers_on_the_wrong_side_are_counted() -> None:
    splits = np.array(["train", "train", "test", "test", "validation"])
    found = coverage(BOTH, drawn(0.5, -0.9, 0.9, 0.3, 0.95), splits)
    assert (found.train, found.test, found.leaked, found.inner) == (2, 2, 1, 1)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pocketworlds.digital_cousins.build.write_report", lambda *given, **options: None)
        return [small_set(folder / kinship, kinship=kinship).folder for kinship in ("far", "twin", "near")]


def test_farther_kin_is_farther_away_and_all_are_faithful(sets: list[Path]) -> None:
    result = run_cousins(sets)
    far, twin, near = result.sets
    assert result.monotone == {"laid": True}
    assert twin.distance == 0.0
    assert not twin.coverage
    assert twin.swapped == 0
    for figures in result.sets:
        assert figures.cousins == COUNT
        assert figures.hard_kept == figures.hard > 4 * COUNT
        assert figures.soft_kept == figures.soft
        assert figures.same[figures.asked] == figures.swapped
    for figures in (far, near):
        assert all(found.leaked == 0 for found in figures.coverage.values())
        assert all(found.both == 0 for found in figures.stand_ins.values() if found.train > 1)
        assert figures.coverage["mass.factor"].train_filled == 1.0
    swapped = CousinsResult((replace(far, distance=near.distance), replace(near, distance=far.distance)))
    assert swapped.monotone == {"laid": False}
    assert "laid: NO" in swapped.text()


def test_it_runs_as_a_module(sets: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    main([str(sets[1]), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["sets"][0]["kinship"] == "twin"
    assert told["monotone"] == {}

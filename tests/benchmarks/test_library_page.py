"""The page of the asset library says what the library is; its figures are within bounds and measured anew here."""

from __future__ import annotations

import json

import pytest
from pocketworlds.benchmarks.library_page import DATA, PAGE, PICTURES, page
from pocketworlds.digital_cousins.library import CATEGORIES, category
from pocketworlds.digital_cousins.library.checks import check_category

FIGURES = json.loads(DATA.read_text(encoding="utf-8"))


def test_page_is_what_the_library_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(FIGURES)


def test_every_category_has_its_picture_and_all_are_small() -> None:
    files = list(PICTURES.iterdir())
    assert {path.stem for path in files} == {*CATEGORIES, "all"}
    assert sum(path.stat().st_size for path in files) < 1.5e6


def test_figures_are_of_this_library_and_within_bounds() -> None:
    assert set(FIGURES["categories"]) == set(CATEGORIES)
    for row in FIGURES["categories"].values():
        assert row["problems"] == []
        assert abs(row["volume"] - 1) < 0.1
        assert row["inertia"] < 0.05
        assert row["drift"] < 0.002


@pytest.mark.parametrize("name", ["mug", "cabinet", "knife"])
def test_figures_are_the_worst_of_the_seeds(name: str) -> None:
    row = FIGURES["categories"][name]
    for seed in (0, 7):
        _, found = check_category(category(name), seed)
        assert abs(found.volume_ratio - 1) <= abs(row["volume"] - 1) + 1e-9
        assert found.drift <= row["drift"] + 1e-6
        assert found.shapes <= row["shapes"]

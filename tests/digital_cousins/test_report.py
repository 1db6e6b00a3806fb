"""The page of a set and its pictures: they say what the set holds, and refer to nothing outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pocketworlds.digital_cousins import contact_sheet, report
from pocketworlds.digital_cousins.contact_sheet import SHOWN, chosen
from pocketworlds.digital_cousins.cousin_set import CousinSet, Entry
from pocketworlds.digital_cousins.draws import SPLITS
from pocketworlds.digital_cousins.family import make_family
from pocketworlds.digital_cousins.pools import Pool
from pocketworlds.digital_cousins.report import write_report
from pocketworlds.errors import MissingDependencyError
from pocketworlds.scenes.gl import ensure_gl

from .families import COUNT, FEW, small_set

EMPTY = {"meta", "img", "link", "br"}


class Reader(HTMLParser):
    """Text and attributes of a page, and which tags are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(folder: Path) -> Reader:
    reader = Reader()
    reader.feed((folder / "index.html").read_text(encoding="utf-8"))
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CousinSet:
    return small_set(tmp_path_factory.mktemp("sets") / "made")


@pytest.fixture(scope="module")
def pools(made: CousinSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pool]:
    folder = tmp_path_factory.mktemp("family")
    manifest = made.manifest
    return dict(make_family(made.twin, folder, FEW, manifest.config, seed=manifest.seed).pools)


def test_the_page_refers_to_nothing_but_its_own_picture(made: CousinSet) -> None:
    page = read(made.folder)
    assert set(page.links) <= {"contact_sheet.jpg"}
    assert "://" not in (made.folder / "index.html").read_text(encoding="utf-8")


def test_the_page_says_what_the_set_holds(made: CousinSet) -> None:
    text = " ".join(" ".join(read(made.folder).words).split())
    manifest = made.manifest
    assert f"{COUNT} variants" in text
    for split in SPLITS:
        assert f"{len(made.indices(split))} {split}" in text
    assert f"{manifest.tried} candidates tried" in text
    for reason, count in manifest.rejected.items():
        assert f"{reason} {count} " in text
    for axis in ("instance", "mass.factor", "pose.shift", "servo.latency", "noise.pose"):
        assert axis in text


def test_every_stand_in_is_there_with_the_distance_it_was_matched_by(made: CousinSet, pools: dict[str, Pool]) -> None:
    rows = re.findall(r"<tr>.*?</tr>", (made.folder / "index.html").read_text(encoding="utf-8"), re.DOTALL)
    cells = [re.sub(r"<[^>]+>", " ", row).split() for row in rows]
    checked = 0
    for name, pool in pools.items():
        for candidate in pool.candidates if name else ():
            assert candidate.match is not None
            told = f"{candidate.match.distance:.3f}"
            (row,) = {tuple(c) for c in cells if c[0] == candidate.asset.name and told in c}
            terms = [f"{value:.2f}" for value in candidate.match.terms.values()]
            at = row.index(told) + 1
            assert list(row[at : at + len(terms)]) == terms
            column = made.table[f"instance.{name}"]
            used = [sum(column[k] == candidate.asset.name for k in made.indices(split)) for split in SPLITS]
            assert [int(v) for v in row[-3:]] == used
            checked += 1
    assert checked > 5


def test_without_graphics_the_page_says_so_and_the_rest_is_there(
    made: CousinSet, pools: dict[str, Pool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*given: object, **options: object) -> None:
        raise MissingDependencyError("no OpenGL here; install libegl1")

    monkeypatch.setattr(contact_sheet, "Photographer", missing)
    for name in ("cousins", "meshes", "textures", "twin.json"):
        (tmp_path / name).symlink_to(made.folder / name)
    rows = [made.factors(k) for k in range(len(made))]
    write_report(tmp_path, made.manifest, rows, pools)
    assert not (tmp_path / "contact_sheet.jpg").exists()
    page = read(tmp_path)
    assert page.links == []
    assert "cannot render: no OpenGL here; install libegl1" in " ".join(" ".join(page.words).split())


def test_the_sheet_shows_the_twin_and_cousins(made: CousinSet) -> None:
    try:
        ensure_gl()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with Image.open(made.folder / "contact_sheet.jpg") as sheet:
        width, height = sheet.size
        rows = -(-(COUNT + 1) // 5)
        assert (width, height) == (5 * 230 + 6, rows * 196 + 6)
        pixels = np.asarray(sheet.convert("RGB"), dtype=int)
    bands = [pixels[196 * (k // 5) + 186, 230 * (k % 5) + 220] for k in range(COUNT + 1)]
    assert sum(red > blue + 80 for red, _, blue in bands) == len(made.indices("test"))  # orange
    assert sum(blue > red + 80 for red, _, blue in bands) == len(made.indices("train"))  # blue


def test_shown_are_all_splits_from_the_nearest_to_the_farthest() -> None:
    splits = ["train"] * 8 + ["validation", "test"]
    entries = [Entry(index=k, split=splits[k % 10], sha256="", distance=(k * 37 % 200) / 200) for k in range(200)]
    found = [entries[k] for k in chosen(entries)]
    assert len({e.index for e in found}) == SHOWN
    for split in SPLITS:
        shown, there = ([e.distance for e in some if e.split == split] for some in (found, entries))
        assert (shown[0], shown[-1]) == (min(there), max(there))
        assert shown == sorted(shown)


def test_a_set_of_the_twin_itself_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "write_contact_sheet", lambda *given, **options: None)
    text = " ".join(read(small_set(tmp_path / "same", kinship="twin").folder).words)
    assert "no stand-ins" in " ".join(text.split())

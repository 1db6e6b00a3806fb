"""Submissions that want something else: what they say is shown as words, and names no file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.leaderboard.results import Results, load_results
from pocketworlds.benchmarks.site.write import write_site
from pocketworlds.benchmarks.words import printable, shortened, slug
from pocketworlds.errors import SuiteError

from ..leaderboard.boards import forged, kept, small_results
from .conftest import SUITE, SUITES
from .reading import Page

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "</style><script>alert(1)</script><style>",
    "</title></head><body onload=alert(1)>",
    "<!-- <svg/onload=alert(1)>",
    "]]><script>alert(1)</script>",
    "{{ 7 * 191 }}{% for x in range(9) %}x{% endfor %}{# #}",
    "../../../../etc/passwd",
    "/etc/passwd\0.html",
    "C:\\Windows\\win.ini",
    "CON",
    "index.html",
    "..",
    "\u202egpj.exe\u2066",
    "\x1b[31mred\x07\x08",
    "a\nb\r\nc\td",
    "   ",
    "\u200b",
    "W" * 200,
    "\u202e" * 50,
    "日本語, ελληνικά",
    "&lt;b&gt;&amp;",
    "`$(reboot)`; rm -rf /",
    "%2e%2e%2f%00",
    "-" * 60,
]
FILES = re.compile(r"[a-z0-9_.-]+(/[a-z0-9_.-]+)*")
SAFE = re.compile(r"(\.\./)*[a-z0-9_.-]+(/[a-z0-9_.-]+)*(#[A-Za-z0-9_-]+)?|#[A-Za-z0-9_-]+|data:,")
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "nav",
        "main",
        "footer",
        "script",
        "h1",
        "h2",
        "p",
        "a",
    ),
    *("span", "bdi", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "form", "label", "input", "output"),
    *("figure", "figcaption", "svg", "rect", "line", "text", "circle", "details", "summary", "pre", "code", "dl", "dt"),
    *("dd", "video"),
}


def hostile(said: str) -> Results:
    """Says it wherever it may."""
    command = (said * 3)[:2000]
    agent = {
        "address": said,
        "keywords": {"obs_mode": said, "control_mode": said, said: said},
        "files": {said: {said: said}},
    }
    return small_results(SUITE, said[:200], agent=agent, machine={said: said, "cpu": said}, command=command)


def check_page(file: Path, folder: Path) -> Page:
    """Nothing on a page is the submission's but words."""
    page = Page(file)
    template = (Path(write_site.__code__.co_filename).parent / "site.js").read_text()
    assert page.scripts == [template]
    assert {tag.lower() for tag, _ in page.tags} <= TAGS
    for tag, told in page.tags:
        assert not [name for name in told if name.startswith("on")], (tag, told)
        for name in ("href", "src", "action", "formaction", "poster", "data", "xlink:href", "srcdoc", "srcset"):
            if name in told:
                assert SAFE.fullmatch(told[name]), told[name]
                if not told[name].startswith(("#", "data:,")):
                    assert (file.parent / told[name].partition("#")[0]).resolve().is_relative_to(folder.resolve())
        if "style" in told:
            assert re.fullmatch(r"[a-z:;.#0-9%]*", told["style"]), told["style"]
    assert all(each.isprintable() or each == "\n" for each in page.source)
    return page


def check_site(folder: Path) -> list[Page]:
    """Of every file that it is one of ours, and of every page that it holds nothing else."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert all(FILES.fullmatch(str(path.relative_to(folder))) for path in files)
    assert all(len(path.name) < 120 for path in folder.rglob("*"))
    assert {path.name for path in files} <= {"index.html", "results.json", "small-v1.html", "leaderboard.json"}
    return [check_page(path, folder) for path in files if path.suffix == ".html"]


def test_whatever_is_said_is_but_words(tmp_path: Path) -> None:
    for number, said in enumerate(HOSTILE):
        kept(hostile(said), tmp_path / "runs" / f"{number}")
    told = write_site([tmp_path / "runs"], tmp_path / "site", suites=SUITES)
    assert told.refused == {}
    pages = check_site(tmp_path / "site")
    assert len(pages) == 2 + len(HOSTILE)
    board = next(page for page in pages if page.file.name == "small-v1.html")
    names = [row.cells[1].text for row in board.table("Rank Agent")]
    for said in HOSTILE:
        shown = " ".join(printable(said).split())
        assert any((shortened(shown, 48) or "agent") in name for name in names), said
    assert "1337" not in board.text
    links = [row.cells[1].links for row in board.table("Rank Agent")]
    assert len({link for (link,) in links}) == len(HOSTILE)


def test_names_that_look_the_same_are_kept_apart(tmp_path: Path) -> None:
    for number, name in enumerate(("Agent", "agent", " agent ", "agent\u200b", "agent\u200c", "x" * 100, "x" * 101)):
        kept(small_results(SUITE, name, seed=number), tmp_path / "runs" / f"{number}")
    write_site([tmp_path / "runs"], tmp_path / "site", suites=SUITES)
    labels = [row.cells[1].text for row in Page(tmp_path / "site" / "small-v1.html").table("Rank Agent")]
    assert len(set(labels)) == 7
    assert all(re.search(r"\([0-9a-f]{8}\)", label) for label in labels)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=words.filter(bool), said=words)
def test_any_words_are_but_words(tmp_path: Path, name: str, said: str) -> None:
    run = hostile(said or "-")
    run = run.model_copy(update={"agent": run.agent.model_copy(update={"name": name})}).signed()
    kept(run, tmp_path / "run")
    write_site([tmp_path / "run"], tmp_path / "site", suites=SUITES, replace=True)
    check_site(tmp_path / "site")


EXTREMES: list[dict[str, Any]] = [
    {"energy": 0.0},
    {"energy": 5e-324},
    {"energy": 1e9},
    {"energy": None},
    {"peak_force": 1e9},
    {"smoothness": None},
    {"smoothness": -1e9},
    {"reward": 0.0},
    {"decisions": 1},
]


@pytest.mark.parametrize("extreme", EXTREMES, ids=str)
def test_numbers_at_the_edge_are_shown(tmp_path: Path, extreme: dict[str, Any]) -> None:
    run = small_results(SUITE)
    played = tuple(
        each.model_copy(update={"episodes": tuple(row.model_copy(update=extreme) for row in each.episodes)})
        for each in run.played
    )
    latency = run.latency.model_copy(update={"median": 0.0, "slow": 0.0})
    kept(run.model_copy(update={"played": played, "latency": latency}).signed(), tmp_path / "run")
    write_site([tmp_path / "run"], tmp_path / "site", suites=SUITES)
    for page in check_site(tmp_path / "site"):
        assert not re.search(r"\b(nan|inf)\b", page.text)
    json.loads((tmp_path / "site" / "leaderboard.json").read_text(), parse_constant=pytest.fail)


def test_reasons_can_be_printed_on_any_terminal(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    run = json.loads(small_results(SUITE).written())
    for told in ({**run, "\x1b[2J\u202e": 1}, {**run, "suite": "\x1b[2J"}, {**run, "suite": "core-v1\n\nvalid: all"}):
        file.write_text(json.dumps(forged(told)))
        with pytest.raises(SuiteError) as caught:
            load_results(file, SUITES)
        assert all(each.isprintable() or each == "\n" for each in str(caught.value))


def test_words() -> None:
    assert printable("a\x00\u202e\ud800b\nc") == "a���b\nc"
    assert printable(3) == 3
    assert slug("../My Agent (2)") == "my-agent-2"
    assert slug("日本") == "agent"
    assert len(slug("x" * 300)) == 40
    assert shortened("x" * 10, 4) == "xxx…"

"""The site in a real browser: sorting and filtering, keys, phones, the dark, and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..leaderboard.boards import kept, small_results
from .browser import Browser, browser, find_browser
from .conftest import SUITE, SUITES, Site, write_site
from .test_hostile import HOSTILE, hostile

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason="no Chromium was found: apt-get install chromium, or give its path in POCKETWORLDS_CHROMIUM",
)

LEAST_CONTRAST = """(() => {
  const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const bright = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(part => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = each => {
    for (let place = each; place; place = place.parentElement) {
      const colour = getComputedStyle(place).backgroundColor;
      if (!/, 0\\)$/.test(colour)) { return colour; }
    }
    return 'rgb(255, 255, 255)';
  };
  let least = 99, where = '';
  const words = 'p, td, th, a, h1, h2, dt, dd, caption, figcaption, pre, .soft, .tag, label, output';
  document.querySelectorAll(words).forEach(each => {
    const [low, high] = [bright(getComputedStyle(each).color), bright(paper(each))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (each.textContent.trim() && ratio < least) { least = ratio; where = each.outerHTML.slice(0, 200); }
  });
  return [least, where];
})()"""
NAMES = "[...document.querySelectorAll('[data-run]')].filter(row => !row.hidden).map(row => row.cells[1].innerText)"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    pytest.importorskip("websockets", reason="websockets drives the browser: pip install websockets")
    with browser(str(PROGRAM), tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def board(tab: Browser, site: Site) -> Iterator[Browser]:
    """The page of the suite."""
    tab.complaints.clear()
    tab.open(site.folder / "small-v1.html")
    yield tab
    assert tab.complaints == []


def names(tab: Browser) -> list[str]:
    """Of the agents that are shown, in their order."""
    return [name.split()[0] for name in tab.tell(NAMES)]


def click(tab: Browser, head: str) -> list[str | None]:
    """Presses the head of a column of the first table; gives what all heads say of the order."""
    code = f"""(() => {{
      const heads = [...document.querySelectorAll('table')[0].tHead.rows[0].cells];
      heads.find(head => head.innerText.startsWith({head!r})).querySelector('button').click();
      return heads.map(head => head.getAttribute('aria-sort'));
    }})()"""
    found: list[str | None] = tab.tell(code)
    return found


def test_heads_sort(board: Browser) -> None:
    given = names(board)
    assert given[0] == "expert"
    told = click(board, "Success (95")
    assert told[2] == "ascending"
    assert names(board) == given[::-1]
    assert click(board, "Success (95")[2] == "descending"
    assert names(board) == given
    told = click(board, "Agent")
    assert told[1] == "ascending"
    assert [value for value in told if value] == ["ascending"]
    assert names(board) == ["expert", "flow", "never", "twice", "twice"]
    assert click(board, "Decision")[6] == "ascending"
    assert names(board) == ["expert", "flow", "twice", "twice", "never"]


def test_what_has_no_number_stays_last(board: Browser, site: Site) -> None:
    board.tell("document.querySelectorAll('[data-run]')[0].cells[4].setAttribute('data-value', '')")
    for _ in range(2):
        click(board, "Successes per kJ")
        assert names(board)[-1] == "expert"


def test_keys_sort(board: Browser) -> None:
    given = names(board)
    board.tell("document.querySelectorAll('thead button')[1].focus()")
    board.press("Enter")
    assert names(board) == sorted(given)
    board.press(" ", "Space")
    assert names(board)[0] == "twice"
    board.press("Tab")
    assert "Success" in board.tell("document.activeElement.innerText")
    reached = board.tell("[...document.querySelectorAll('.scroll')].every(box => box.tabIndex === 0)")
    assert reached


def test_words_filter_every_table_and_plot(board: Browser) -> None:
    board.tell("(() => { const f = document.querySelector('form.filter'); f.elements.words.focus(); })()")
    board.call("Input.insertText", text="TWI")
    assert names(board) == ["twice", "twice"]
    assert board.tell("document.querySelector('form.filter output').textContent") == "2 of 5 shown"
    shown = "[...document.querySelectorAll('{}')].filter(part => !part.hidden).length"
    assert board.tell(shown.format(".bar")) == 2
    assert board.tell(shown.format(".matrix tbody tr")) == 2
    assert board.tell(shown.format('tr[data-runs*=" "]')) == 1  # pairs
    board.press("Enter")  # does not load the page anew
    assert names(board) == ["twice", "twice"]
    board.call("Input.insertText", text=" nothing")
    assert names(board) == []


def test_privileged_agents_can_be_left_out(board: Browser) -> None:
    board.tell("document.querySelector('[name=fair]').click()")
    assert "expert" not in names(board)
    assert len(names(board)) == 4


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of hostile submissions."""
    folder = tmp_path_factory.mktemp("strange")
    for number, said in enumerate(HOSTILE):
        kept(hostile(said), folder / "runs" / f"{number}")
    kept(small_results(SUITE, "usual"), folder / "runs" / "usual")
    videos = folder / "runs" / "usual" / "videos"
    videos.mkdir()
    (videos / f"{'long' * 40}.mp4").write_bytes(b"")
    write_site([folder / "runs"], folder / "site", suites=SUITES)
    return folder / "site"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_is_wider_than_the_window(tab: Browser, strange: Path, site: Site, width: int, dark: bool) -> None:
    tab.complaints.clear()
    pages = [*sorted(site.folder.rglob("*.html")), *(sorted(strange.rglob("*.html")) if not dark else [])]
    for page in pages:
        tab.open(page, width=width, dark=dark)
        tab.tell("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert tab.tell("window.innerWidth") == width
        assert tab.tell("document.documentElement.scrollWidth") <= width, page
        shown = tab.tell("getComputedStyle(document.body).backgroundColor")
        assert shown == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
        assert tab.tell("document.scripts.length") == 1
    assert tab.complaints == []


def test_wide_tables_scroll_in_their_box(tab: Browser, site: Site) -> None:
    tab.open(site.folder / "small-v1.html", width=360)
    told = tab.tell(
        "(() => { const box = document.querySelector('.scroll'); return [box.scrollWidth, box.clientWidth]; })()"
    )
    assert told[0] > told[1] > 300


def test_films_may_be_loaded_from_beside_the_page(tab: Browser, strange: Path) -> None:
    page = next(page for page in strange.rglob("index.html") if "usual" in page.parent.name)
    tab.open(page, width=360)
    tab.complaints.clear()
    load = """new Promise(done => {
      const film = document.querySelector('video');
      film.onerror = film.onloadeddata = () => done(film.currentSrc);
      film.load(); film.play().catch(() => {});
    })"""
    assert tab.tell(load).endswith(".mp4")
    assert not any("Content Security Policy" in told for told in tab.complaints)  # the film itself is an empty file


def test_scripts_of_others_do_not_run(tab: Browser, site: Site, tmp_path: Path) -> None:
    """Were something ever to slip through the escaping, the page's policy would stop it."""
    page = (site.folder / "index.html").read_text()
    slipped = '<script>window.slipped = 1</script><img src="x" onerror="window.slipped = 2"></main>'
    (tmp_path / "page.html").write_text(page.replace("</main>", slipped))
    tab.complaints.clear()
    tab.open(tmp_path / "page.html")
    assert tab.tell("typeof window.slipped") == "undefined"
    assert any("Content Security Policy" in told for told in tab.complaints)


def test_without_scripts_all_is_there(tab: Browser, site: Site) -> None:
    tab.complaints.clear()
    tab.open(site.folder / "small-v1.html", script=False)
    told = tab.call("DOM.getDocument", depth=-1)
    html = tab.call("DOM.getOuterHTML", nodeId=told["root"]["nodeId"])["outerHTML"]
    assert "<button" not in html
    assert 'class="filter" hidden' in html
    assert html.count("data-run=") == 5


def test_ink_stands_out_in_light_and_dark(tab: Browser, site: Site) -> None:
    """WCAG 2.2: text needs a contrast of 4.5 to what is behind it."""
    for dark in (False, True):
        for page in (site.folder / "index.html", site.folder / "small-v1.html", site.page(site.runs["flow"])):
            tab.open(page, dark=dark)
            least, where = tab.tell(LEAST_CONTRAST)
            assert least >= 4.5, (page, dark, where)

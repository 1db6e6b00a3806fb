"""The site: its numbers are those of the results, what is refused is not on it, and it appears whole or not at all."""

from __future__ import annotations

import ast
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pocketworlds.benchmarks.leaderboard.curves import LearningCurve, write_curves
from pocketworlds.benchmarks.leaderboard.results import Results, load_results
from pocketworlds.benchmarks.leaderboard.summary import line, total
from pocketworlds.benchmarks.site import write
from pocketworlds.benchmarks.site.shade import contrast, shade
from pocketworlds.benchmarks.site.write import SiteTold, write_site
from pocketworlds.benchmarks.statistics import mcnemar, paired_difference, stratified_bootstrap, wilson
from pocketworlds.benchmarks.suites.manifest import load_suite
from pocketworlds.errors import SuiteError
from scipy import stats

from ..leaderboard.boards import COUSINS, kept, small_results
from .conftest import SUITE, SUITES, Site
from .reading import Page


def told_of(results: Results) -> list[list[dict[str, Any]]]:
    """Episodes of every group, from the file."""
    return [each["episodes"] for each in json.loads(results.written())["played"]]


def wins(results: Results) -> np.ndarray:
    """(groups, episodes), 0 or 1."""
    return np.array([[float(row["success"]) for row in rows] for rows in told_of(results)])


def ranked(site: Site) -> list[Results]:
    """Runs as they should stand."""
    return sorted(site.runs.values(), key=lambda run: (-wins(run).mean(axis=1).mean(), run.sha256))


def write_some(folder: Path, out: Path, runs: Sequence[Results], **options: Any) -> SiteTold:
    """A site of runs."""
    for number, run in enumerate(runs):
        kept(run, folder / f"{number}")
    return write_site([folder], out, suites=SUITES, **options)


# Numbers ------------------------------------------------------------------------------------------------------------


def test_the_table_of_agents_says_what_the_results_say(site: Site) -> None:
    rows = Page(site.folder / "small-v1.html").table("Rank Agent")
    order = ranked(site)
    assert len(rows) == len(order) == 5
    for row, run in zip(rows, order, strict=True):
        rank, name, success, middle, frugal, first, decision, rate, sees, _ = row.cells
        won, every = wins(run), [each for rows in told_of(run) for each in rows]
        mean = won.mean(axis=1).mean()
        assert int(rank.text) == 1 + sum(wins(other).mean() > mean + 1e-12 for other in order)
        assert run.agent.name in name.text
        assert ("privileged" in name.text) == run.agent.privileged
        low, high = stratified_bootstrap(won.T, statistic=lambda drawn: drawn.mean(axis=0).mean(), count=1000)
        shown, below, _, above = success.text.split()
        assert shown == f"{mean:.3f}"
        one = 1 / won.size  # bootstraps of so few episodes move by whole ones
        assert float(below.strip("()")) == pytest.approx(low, abs=one + 1e-3)
        assert float(above.strip("()")) == pytest.approx(high, abs=one + 1e-3)
        assert float(success.attributes["data-value"]) == pytest.approx(mean)
        iqm = stats.trim_mean(won.mean(axis=1), 0.25)
        assert middle.text.split()[0] == f"{iqm:.3f}"
        work = sum(each["energy"] for each in every)
        assert frugal.text == f"{1000 * won.sum() / work:.2f}"
        times = [each["first_success"] for each in every if each["first_success"] is not None]
        assert first.text == f"{np.median(times):.2f}"
        assert decision.text == f"{1000 * run.latency.median:.2f}"
        assert rate.text.replace(",", "") == f"{run.latency.steps / run.latency.median:.0f}"
        assert run.agent.keywords["obs_mode"] in sees.text


def test_intervals_of_the_site_are_those_of_the_summary(tmp_path: Path) -> None:
    run = small_results(SUITE, seed=9)
    write_some(tmp_path / "runs", tmp_path / "site", [run])
    whole = total(run)
    found = Page(tmp_path / "site" / "small-v1.html").table("Rank Agent")[0]
    low, high = whole.mean_interval
    assert found.cells[2].text.split() == [f"{whole.mean:.3f}", f"({low:.3f}", "to", f"{high:.3f})"]
    low, high = whole.iqm_interval
    assert found.cells[3].text.split() == [f"{whole.iqm:.3f}", f"({low:.3f}", "to", f"{high:.3f})"]


def test_the_matrix_says_how_often_each_succeeds_where(site: Site) -> None:
    rows = Page(site.folder / "small-v1.html").table("Agent Push OpenDrawer-test")
    for row, run in zip(rows, ranked(site), strict=True):
        for cell, won in zip(row.cells[1:], wins(run), strict=True):
            low, high = wilson(int(won.sum()), len(won))
            assert cell.text == f"{won.mean():.2f}"
            assert f"{int(won.sum())} of {len(won)}, 95 % between {low:.3f} to {high:.3f}" in cell.attributes["title"]
            style = dict(part.split(":") for part in cell.attributes["style"].split(";"))
            assert (style["background"], style["color"]) == shade(won.mean())


def test_pairs_are_compared_on_the_same_episodes(site: Site) -> None:
    rows = Page(site.folder / "small-v1.html").table("First Second")
    pairs = list(itertools.combinations(ranked(site), 2))
    assert len(rows) == len(pairs) == 10
    for row, (first, second) in zip(rows, pairs, strict=True):
        a, b = wins(first).ravel(), wins(second).ravel()
        apart, (low, high) = paired_difference(a, b)
        assert first.agent.name in row.cells[0].text
        assert second.agent.name in row.cells[1].text
        assert row.cells[2].text.split() == [f"{apart:+.3f}", f"({low:+.3f}", "to", f"{high:+.3f})"]
        p = mcnemar(a > 0, b > 0)
        assert row.cells[3].text == ("< 0.001" if p < 0.001 else f"{p:.3f}")
        better = np.mean([(x > y) + (x == y) / 2 for x in a for y in b])
        assert row.cells[4].text == f"{better:.3f}"


def test_the_page_of_a_run_says_what_its_groups_came_to(site: Site) -> None:
    for run in site.runs.values():
        page = Page(site.page(run))
        for row, played in zip(page.table("Group Success"), run.played, strict=True):
            each = line(played.episodes)
            low, high = each.interval
            told = [cell.text for cell in row.cells]
            assert told[0] == played.name
            assert told[1].split() == [f"{each.share:.3f}", f"({low:.3f}", "to", f"{high:.3f})"]
            numbers = (each.seconds, ".2f"), (each.energy, ".1f"), (each.per_kilojoule, ".2f"), (each.smoothness, ".1f")
            assert told[2:4] == [str(each.episodes), f"{each.ever / each.episodes:.3f}"]
            assert told[4:8] == ["-" if value is None else format(value, form) for value, form in numbers]
            assert told[8:] == [f"{each.peak_force:.1f}", f"{each.reward:.1f}", str(each.errors)]


def test_cousins_are_told_by_their_distance(site: Site) -> None:
    run = site.runs["twice a"]
    rows = Page(site.page(run)).table("Scene Distance")
    assert [row.cells[0].text for row in rows] == sorted(COUSINS, key=lambda name: COUSINS[name])
    for row in rows:
        name = row.cells[0].text
        own = [each for each in run.group("OpenDrawer-test") if each.scene == name]
        won = sum(each.success for each in own)
        low, high = wilson(won, len(own))
        assert row.cells[1].text == f"{COUSINS[name]:.3f}"
        assert row.cells[2].text.split() == [f"{won / len(own):.3f}", f"({low:.3f}", "to", f"{high:.3f})"]
        assert row.cells[3].text == str(len(own))


def test_scenes_whose_distance_nobody_knows_are_told_by_name(tmp_path: Path) -> None:
    groups = tuple(each.model_copy(update={"distances": {}}) for each in SUITE.groups)
    suite = SUITE.model_copy(update={"groups": groups, "name": "unknown-v1"})
    kept(small_results(suite), tmp_path / "run")
    told = write_site([tmp_path / "run"], tmp_path / "site", suites={suite.name: suite})
    rows = Page(tmp_path / "site" / next(iter(told.shown.values()))).table("Scene Success")
    assert [row.cells[0].text for row in rows] == sorted(COUSINS)


def test_failed_episodes_are_told_with_what_plays_them_again(site: Site) -> None:
    run = site.runs["twice a"]
    page = Page(site.page(run))
    for played in run.played:
        failed = [each for each in played.episodes if not each.success]
        told = ", ".join(f"{each.seed}{' (physics diverged)' if each.error else ''}" for each in failed)
        assert f"Seeds: {told}" in page.text
        assert f"env.reset(seed={failed[0].seed})" in page.text
        assert f".play(agent, [{failed[0].number}]))" in page.text


def test_what_begins_a_failed_episode_runs(tmp_path: Path) -> None:
    suite = load_suite("core-v1")
    kept(small_results(suite, share=0.5), tmp_path / "run")
    told = write_site([tmp_path / "run"], tmp_path / "site")
    page = (tmp_path / "site" / next(iter(told.shown.values()))).read_text()
    begins, plays = (part.partition("</pre>")[0] for part in page.split("<pre>")[1:3])
    found: dict[str, Any] = {}
    exec(begins.replace("&#39;", "'"), found)
    try:
        assert found["env"].unwrapped.spec.id == "PocketWorlds/Reach-v0"
    finally:
        found["env"].close()
    ast.parse(plays.replace("&#39;", "'"))


def test_the_command_and_every_hash_are_there(site: Site) -> None:
    for run in site.runs.values():
        text = Page(site.page(run)).text
        assert (run.command or "did not tell the command") in text
        assert all(told in text for told in (run.sha256, run.suite_sha256, "ab" * 32, "a processor", run.agent.address))


def test_results_can_be_had_from_the_site(site: Site) -> None:
    for run in site.runs.values():
        file = site.page(run).parent / "results.json"
        assert load_results(file, SUITES) == run
        assert file.read_text() == run.written()


def test_programs_can_read_the_ranking(site: Site) -> None:
    told = json.loads((site.folder / "leaderboard.json").read_text())["small-v1"]
    assert told["sha256"] == SUITE.digest
    assert [each["sha256"] for each in told["runs"]] == [run.sha256 for run in ranked(site)]
    assert [each["mean"] for each in told["runs"]] == [pytest.approx(wins(run).mean()) for run in ranked(site)]


# What is on it ------------------------------------------------------------------------------------------------------


def test_what_is_refused_is_told_and_not_shown(site: Site) -> None:
    refused = {file.parent.name: why for file, why in site.told.refused.items()}
    assert set(refused) == {"bad", "changed", "again"} or set(refused) == {"bad", "changed", "1"}
    assert "Field required" in refused["bad"]
    assert "digest" in refused["changed"]
    assert "the same as" in next(why for name, why in refused.items() if name not in ("bad", "changed"))
    assert len(site.told.shown) == len(list((site.folder / "runs").iterdir())) == 5
    assert site.told.suites == ["small-v1"]


def test_agents_of_the_same_name_are_kept_apart(site: Site) -> None:
    text = Page(site.folder / "small-v1.html").text
    for name in ("twice a", "twice b"):
        assert f"twice ({site.runs[name].sha256[:8]})" in text
    assert "flow (" not in text


def test_ranks_are_shared_by_those_that_succeed_as_often(tmp_path: Path) -> None:
    runs = [small_results(SUITE, f"agent {k}", share=share, seed=k) for k, share in enumerate((0.0, 1.0, 0.0, 1.0))]
    write_some(tmp_path / "runs", tmp_path / "site", runs)
    rows = Page(tmp_path / "site" / "small-v1.html").table("Rank Agent")
    assert [row.cells[0].text for row in rows] == ["1", "1", "3", "3"]


def test_every_column_is_explained(site: Site) -> None:
    page = Page(site.folder / "small-v1.html")
    heads = [cell.text.partition("(")[0].partition("[")[0].strip() for cell in page.tables[0][0].cells]
    told = page.text.partition("What the columns mean")[2]
    assert all(f"\n{head}" in told for head in heads if head not in ("Agent", "File"))
    assert "privileged" in told


def test_links_lead_somewhere(site: Site) -> None:
    pages = sorted(site.folder.rglob("*.html"))
    assert len(pages) == 7
    for file in pages:
        page = Page(file)
        anchors = [told["id"] for _, told in page.tags if "id" in told]
        assert len(set(anchors)) == len(anchors)
        for tag, told in page.tags:
            link = told.get("href") or told.get("src") or ""
            if link.startswith("#"):
                assert link[1:] in anchors
            elif link and tag != "link":
                assert (file.parent / link).is_file(), link
            if "aria-labelledby" in told:
                assert told["aria-labelledby"] in anchors


def test_the_index_tells_of_every_suite(site: Site) -> None:
    page = Page(site.folder / "index.html")
    rows = page.table("Rank Agent Success")
    assert [run.agent.name in row.cells[1].text for row, run in zip(rows, ranked(site), strict=True)] == [True] * 5
    assert "2 groups, 24 episodes" in page.text


def test_films_are_taken_along(tmp_path: Path) -> None:
    kept(small_results(SUITE), tmp_path / "run")
    videos = tmp_path / "run" / "videos"
    videos.mkdir()
    (tmp_path / "secret").write_text("secret")
    (videos / "Push seed 107.mp4").write_bytes(b"film 1")
    (videos / '"><script>alert(1)<script>.MP4').write_bytes(b"film 2")
    (videos / "notes.txt").write_text("no film")
    (videos / "link.mp4").symlink_to(tmp_path / "secret")
    (videos / "folder.mp4").mkdir()
    os.mkfifo(videos / "pipe.mp4")
    told = write_site([tmp_path / "run"], tmp_path / "site", suites=SUITES)
    page = Page(tmp_path / "site" / next(iter(told.shown.values())))
    films = [attributes for tag, attributes in page.tags if tag == "video"]
    copied = sorted(path.name for path in (page.file.parent / "videos").iterdir())
    assert copied == ["000-script-alert-1-script.mp4", "001-push-seed-107.mp4"]
    assert [film["src"] for film in films] == [f"videos/{name}" for name in copied]
    assert all(film["preload"] == "none" and "controls" in film for film in films)
    assert (page.file.parent / "videos" / copied[1]).read_bytes() == b"film 1"


def test_films_behind_a_link_are_left_where_they_are(tmp_path: Path) -> None:
    kept(small_results(SUITE), tmp_path / "run")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "a.mp4").write_bytes(b"")
    (tmp_path / "run" / "videos").symlink_to(tmp_path / "others")
    write_site([tmp_path / "run"], tmp_path / "site", suites=SUITES)
    assert not list((tmp_path / "site").rglob("*.mp4"))


def test_runs_without_physics_tell_no_energy(tmp_path: Path) -> None:
    run = small_results(SUITE)
    played = tuple(
        each.model_copy(update={"episodes": tuple(row.model_copy(update={"energy": None}) for row in each.episodes)})
        for each in run.played
    )
    write_some(tmp_path / "runs", tmp_path / "site", [run.model_copy(update={"played": played}).signed()])
    page = Page(tmp_path / "site" / "small-v1.html")
    assert page.table("Rank Agent")[0].cells[4].text == "-"
    assert "No run tells its energy" in page.text


# The folder ---------------------------------------------------------------------------------------------------------


def test_the_same_files_give_the_same_site(tmp_path: Path, site: Site) -> None:
    files = [kept(run, tmp_path / name) for name, run in site.runs.items()]
    write_site(files[::-1], tmp_path / "site", suites=SUITES)
    for file in sorted(path for path in site.folder.rglob("*") if path.is_file()):
        assert (tmp_path / "site" / file.relative_to(site.folder)).read_bytes() == file.read_bytes()


def test_a_site_takes_the_place_of_none_but_an_earlier_one(tmp_path: Path) -> None:
    kept(small_results(SUITE), tmp_path / "run")
    out = tmp_path / "site"
    write_site([tmp_path / "run"], out, suites=SUITES)
    with pytest.raises(SuiteError, match="exists already"):
        write_site([tmp_path / "run"], out, suites=SUITES)
    (out / "old.html").write_text("")
    write_site([tmp_path / "run"], out, suites=SUITES, replace=True)
    assert not (out / "old.html").exists()
    with pytest.raises(SuiteError, match="is not a leaderboard site"):
        write_site([out], tmp_path / "run", suites=SUITES, replace=True)


def test_a_failure_leaves_the_earlier_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(small_results(SUITE), tmp_path / "run")
    write_site([tmp_path / "run"], tmp_path / "site", suites=SUITES)
    before = (tmp_path / "site" / "index.html").read_bytes()

    def fails(boards: object) -> str:
        raise OSError("the disk is full")

    monkeypatch.setattr(write, "index_page", fails)
    with pytest.raises(OSError, match="full"):
        write_site([tmp_path / "run"], tmp_path / "site", suites=SUITES, replace=True)
    assert (tmp_path / "site" / "index.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "site"]


def test_without_anything_to_show_there_is_no_site(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "results.json").write_text("{}")
    for files in ([], [tmp_path / "empty"], [tmp_path / "nowhere"], [tmp_path / "results.json"]):
        with pytest.raises(SuiteError, match="nothing to show"):
            write_site(files, tmp_path / "site", suites=SUITES)
    assert not (tmp_path / "site").exists()


def test_stages_are_told(tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []
    kept(small_results(SUITE), tmp_path / "run")
    write_site([tmp_path / "run"], tmp_path / "site", lambda stage, share: heard.append((stage, share)), suites=SUITES)
    assert {stage for stage, share in heard if share == 1.0} == {"reading submissions", "ranking", "writing pages"}
    assert all(0 <= share <= 1 for _, share in heard)


# Shades -------------------------------------------------------------------------------------------------------------


def test_shares_can_be_read_on_their_shade_and_told_apart_without_colours() -> None:
    shades = [shade(k / 100) for k in range(101)]
    assert min(contrast(paper, ink) for paper, ink in shades) >= 4.5
    bright = [contrast(paper, "#000000") for paper, _ in shades]
    assert all(after < before for before, after in itertools.pairwise(bright))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


# How an agent learned -----------------------------------------------------------------------------------------------


def test_learning_curves_are_drawn_and_damaged_ones_are_told(tmp_path: Path) -> None:
    run = small_results(SUITE, "mine")
    place = kept(run, tmp_path / "runs" / "0").parent
    said = "<script>alert(1)</script>"
    write_curves(
        place,
        [
            LearningCurve("Push", "control steps", "success in exams", [(0.0, 0.125), (500.0, 0.25), (1000.0, 0.75)]),
            LearningCurve("other", said, said.upper(), [(1.0, 2.0)]),
        ],
    )
    (place / "curves" / "bad.csv").write_text("what,is,this\n")
    told = write_site([tmp_path / "runs"], tmp_path / "site", suites=SUITES)
    assert list(told.refused) == [place / "curves" / "bad.csv"]
    page = Page(tmp_path / "site" / told.shown[place / "results.json"])
    titles = [told["aria-label"] for tag, told in page.tags if tag == "svg"]
    assert titles[:2] == ["Push", "other"]
    for words in ("0.125 at 0", "0.25 at 500", "0.75 at 1000", "control steps", "success in exams", said):
        assert words in page.text
    assert said not in page.source
    assert said.upper() not in page.source


def test_little_success_does_not_look_like_much(tmp_path: Path) -> None:
    place = kept(small_results(SUITE, "mine"), tmp_path / "runs" / "0").parent
    points = {"Lift": [(0.0, 0.0), (10.0, 0.02)], "Reach": [(0.0, 0.0), (10.0, 1.0)]}
    write_curves(place, [LearningCurve(name, "steps", "success", each) for name, each in points.items()])
    write_curves(place, [LearningCurve("Slow", "steps", "loss", [(0.0, 3.0), (10.0, 0.5)])])
    told = write_site([tmp_path / "runs"], tmp_path / "site", suites=SUITES)
    tags = Page(tmp_path / "site" / told.shown[place / "results.json"]).tags
    begins = [k for k, (tag, _) in enumerate(tags) if tag == "svg"]
    ways = {
        tags[first][1]["aria-label"]: next(told["points"] for tag, told in tags[first:] if tag == "polyline").split()
        for first in begins[:3]
    }
    risen = {name: [float(each.split(",")[1]) for each in way] for name, way in ways.items()}
    climbs = {name: heights[0] - heights[-1] for name, heights in risen.items()}
    assert climbs["Lift"] == pytest.approx(0.02 * climbs["Reach"], abs=0.1)
    assert climbs["Slow"] < -climbs["Reach"] / 2  # on an axis of its own


def test_runs_without_curves_say_nothing_of_them(site: Site) -> None:
    for run in site.runs.values():
        assert "How it learned" not in site.page(run).read_text()

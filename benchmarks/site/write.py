"""Writes the site.

told = write_site([Path("out/leaderboard")], Path("site"))
told.refused  # by file, why it is not shown

index.html           all suites                          leaderboard.json     the same numbers, for programs
core-v1.html         a suite: agents, groups, pairs      runs/<run>/          index.html, results.json, videos/
"""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import SuiteError
from ...folders import check_free, new_folder, write_texts
from ..leaderboard.curves import read_curves
from ..leaderboard.results import FILE
from ..suites.manifest import Suite
from ..words import printable, slug
from .board import Standing, by_suite, pairs, standings, unique_keys
from .collect import Submission, collect
from .pages import COMPARED, index_page, run_page, suite_page

REPORT = "leaderboard.json"
_NOUN = "leaderboard site"
_VIDEOS = "videos"
_FILMS = 40
"""Of a run, at most."""

Notify = Callable[[str, float], None]


@dataclass(frozen=True)
class SiteTold:
    """What became of submissions.

    Attributes:
        folder: the site. shown: by file, the page of the run below `folder`. refused: by file, why it is not shown.
        suites: names of those that have a page.
    """

    folder: Path
    shown: Mapping[Path, str]
    refused: Mapping[Path, str]
    suites: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable data."""
        return {
            "folder": str(self.folder),
            "shown": {str(file): page for file, page in self.shown.items()},
            "refused": {str(file): why for file, why in self.refused.items()},
            "suites": list(self.suites),
        }


def write_site(
    files: Sequence[Path],
    out: Path,
    notify: Notify = lambda stage, share: None,
    *,
    suites: Mapping[str, Suite] | None = None,
    replace: bool = False,
) -> SiteTold:
    """Writes the folder `out`; it appears complete or not at all. The same files give the same bytes.

    Args:
        files: results, or folders that are searched for `results.json`; films (`*.mp4`) in a folder `videos` beside one
            and learning curves in a folder `curves` are taken along. out: a folder that is not there, or an earlier
            site if `replace`.
        notify: is told of stages. suites: by name, those that do not come with PocketWorlds.

    Raises:
        SuiteError: there is nothing to show, or `out` cannot be written. What is refused is told in `SiteTold`.
    """
    check_free(out, replace=replace, marks=(REPORT,), noun=_NOUN, error=SuiteError)
    notify("reading submissions", 0.0)
    found, refused = collect(files, suites)
    notify("reading submissions", 1.0)
    if not found:
        first = next(iter(refused.values()), f"there is no {FILE} in {', '.join(map(str, files)) or 'nothing'}")
        raise SuiteError(f"there is nothing to show: {first}")
    boards = _boards(found, notify)
    shown: dict[Path, str] = {}
    with new_folder(out, replace=replace, marks=(REPORT,), noun=_NOUN, error=SuiteError) as folder:
        for number, (suite, runs) in enumerate(boards):
            notify("writing pages", number / len(boards))
            write_texts(folder, {f"{suite.name}.html": suite_page(suite, runs, list(pairs(runs, COMPARED)))})
            for run in runs:
                shown[run.submission.file] = f"runs/{run.key}/index.html"
                place = folder / "runs" / run.key
                films = _films(run.submission.file.parent / _VIDEOS, place / _VIDEOS)
                curves, unreadable = read_curves(run.submission.file.parent)
                refused |= unreadable
                page = run_page(suite, run, len(runs), films, curves)
                write_texts(place, {"index.html": page, FILE: run.results.written()})
        report = json.dumps(_report(boards), indent=1, allow_nan=False) + "\n"
        write_texts(folder, {"index.html": index_page(boards), REPORT: report})
        notify("writing pages", 1.0)
    return SiteTold(out, shown, refused, [suite.name for suite, _ in boards])


def _boards(found: Sequence[Submission], notify: Notify) -> list[tuple[Suite, list[Standing]]]:
    keys, done = unique_keys(found), 0
    boards = []

    def ranked(begun: float, part: float, share: float) -> None:
        notify("ranking", begun + share * part)

    for suite, own in by_suite(found):
        note = partial(ranked, done / len(found), len(own) / len(found))
        boards.append((suite, standings(own, keys, note)))
        done += len(own)
    notify("ranking", 1.0)
    return boards


def _films(folder: Path, place: Path) -> list[dict[str, str]]:
    """Copies films; links are left out, lest they lead out of the submission."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    files = sorted(each for each in folder.iterdir() if each.suffix.lower() == ".mp4")
    ordinary = [each for each in files if stat.S_ISREG(each.lstat().st_mode)]
    told = []
    for number, each in enumerate(ordinary[:_FILMS]):
        name = f"{number:03d}-{slug(each.stem)}.mp4"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each, place / name)
        told.append({"file": name, "told": printable(each.stem)})
    return told


def _report(boards: Sequence[tuple[Suite, Sequence[Standing]]]) -> dict[str, Any]:
    return {
        suite.name: {
            "sha256": suite.digest,
            "runs": [
                {
                    "name": printable(run.results.agent.name),
                    "privileged": run.results.agent.privileged,
                    "rank": run.rank,
                    **asdict(run.total),
                    "groups": {name: line.successes / line.episodes for name, line in run.lines.items()},
                    "page": f"runs/{run.key}/index.html",
                    "sha256": run.results.sha256,
                }
                for run in runs
            ],
        }
        for suite, runs in boards
    }

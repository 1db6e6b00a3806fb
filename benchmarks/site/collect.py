"""Submissions: results that can be shown, and those that cannot, with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import SuiteError
from ..leaderboard.results import FILE, Results, load_results
from ..suites.manifest import Suite, load_suite


@dataclass(frozen=True)
class Submission:
    """Results that were checked.

    Attributes:
        file: where they were found. results: what it says. suite: what was played.
    """

    file: Path
    results: Results
    suite: Suite


def collect(
    paths: Sequence[Path], suites: Mapping[str, Suite] | None = None
) -> tuple[list[Submission], dict[Path, str]]:
    """Reads all results among `paths`; gives those that are valid, and the reason for each that is not.

    Args:
        paths: files, or folders that are searched for `results.json`. suites: by name, those that do not come with
            PocketWorlds.
    """
    known = dict(suites or {})
    shown: list[Submission] = []
    refused: dict[Path, str] = {}
    first: dict[str, Path] = {}
    for file in found_files(paths):
        try:
            results = load_results(file, suites)
            if results.suite not in known:
                known[results.suite] = load_suite(results.suite)
        except SuiteError as error:
            refused[file] = str(error)
            continue
        if results.sha256 in first:
            refused[file] = f"it is the same as {first[results.sha256]}"
            continue
        first[results.sha256] = file
        shown.append(Submission(file, results, known[results.suite]))
    return shown, refused


def found_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are given, and every `results.json` below a folder, in the order of their names."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, inner, names in os.walk(path):  # does not follow links
            inner.sort()
            if FILE in names or FILE in inner:
                yield Path(folder) / FILE

"""Results that are handed in, for tests of what is read and what is refused."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pocketworlds.benchmarks.leaderboard.results import Results, load_results
from pocketworlds.benchmarks.suites.manifest import Suite
from pocketworlds.errors import SuiteError

from .boards import paths, small_results, small_suite

Told = dict[str, Any]
SUITE = small_suite()
SUITES = {SUITE.name: SUITE}
RESULTS = small_results(SUITE)
TOLD: Told = json.loads(RESULTS.written())
# Of the first and the last episode of each group every part, of those between none.
PATHS = [path for path in paths(TOLD) if path and not (path[0] == "played" and len(path) > 3 and 0 < path[3] < 5)]


def reason(file: Path, suites: Mapping[str, Suite] | None = SUITES) -> str:
    """Why a file is refused; fails if it is not."""
    with pytest.raises(SuiteError) as caught:
        load_results(file, suites)
    told = str(caught.value)
    assert len(told) > len(str(file)) + 10, told
    return told


def outcome(file: Path, content: bytes) -> Results | None:
    """What is read, None if it is refused."""
    file.write_bytes(content)
    try:
        return load_results(file, SUITES)
    except SuiteError as error:
        if str(file) not in str(error):
            raise
        return None


def changed(path: tuple[Any, ...], value: Any, told: Told = TOLD) -> Told:
    """The same with another value in one place."""
    found = copy.deepcopy(told)
    place: Any = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


def rows(told: Told, group: int = 0) -> list[Told]:
    found: list[Told] = told["played"][group]["episodes"]
    return found


def sensible(found: Results) -> None:
    """It is of the suite's very episodes, and can be written and shown."""
    assert (found.suite, found.suite_sha256) == (SUITE.name, SUITE.digest)
    for group, played in zip(SUITE.groups, found.played, strict=True):
        assert [row.seed for row in played.episodes] == group.seeds()
        for row in played.episodes:
            assert row.ever or not row.success
            assert all(value is None or math.isfinite(value) for value in (row.reward, row.energy, row.first_success))
    written = found.written().encode()
    json.loads(written, parse_constant=pytest.fail)

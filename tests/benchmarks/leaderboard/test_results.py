"""Results: what was written is read, and whatever else is handed in is refused with a reason, never with another error.

Digests are no secret: whoever changes a file can make one that fits. So each lie is told both ways, and one that does
not contradict the suite or itself is only found out by playing its episodes again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pocketworlds.benchmarks.leaderboard.results import load_results

from .boards import forged, kept, small_results, small_suite
from .handed_in import PATHS, RESULTS, SUITE, SUITES, TOLD, Told, changed, outcome, reason, rows, sensible

# What is true -------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = kept(RESULTS, tmp_path)
    assert load_results(file, SUITES) == RESULTS
    assert load_results(tmp_path, SUITES) == RESULTS
    assert file.read_text() == load_results(file, SUITES).written()
    assert forged(TOLD) == TOLD  # the digest of these tests is the program's


def test_the_form_of_the_file_does_not_matter(file: Path) -> None:
    backwards = dict(reversed(list(TOLD.items())))
    for content in (json.dumps(TOLD), json.dumps(backwards, indent=3), f" \n{json.dumps(TOLD)}\r\n"):
        assert outcome(file, content.encode()) == RESULTS


def test_a_lie_that_contradicts_nothing_is_left_to_playing_again(file: Path) -> None:
    told = copy.deepcopy(TOLD)
    lost = next(row for row in told["played"][0]["episodes"] if not row["success"])
    lost |= {"success": True, "ever": True, "error": False, "first_success": 0.5}
    file.write_text(json.dumps(told))
    assert "digest" in reason(file)
    file.write_text(json.dumps(forged(told)))
    assert load_results(file, SUITES).sha256 != RESULTS.sha256


# What was changed ---------------------------------------------------------------------------------------------------

OTHERS: list[Any] = [None, True, -1, 0, 10**400, 1.5, -0.5, "", "other", "x" * 3000, [], ["x"], {}, {"x": 1}]


def test_every_part_that_is_replaced_is_noticed(file: Path) -> None:
    tried = 0
    for path in PATHS:
        before: Any = TOLD
        for key in path:
            before = before[key]
        for other in OTHERS:
            if other != before or type(other) is not type(before):
                file.write_text(json.dumps(changed(path, other)))
                reason(file)
                tried += 1
    assert tried > 1000


def test_every_part_that_is_replaced_under_a_fitting_digest_is_refused_or_makes_sense(file: Path) -> None:
    for path in PATHS:
        if path == ("sha256",):
            continue
        for other in OTHERS:
            told = forged(changed(path, other))
            found = outcome(file, json.dumps(told).encode())
            if found is not None:
                sensible(found)


def test_every_part_that_is_missing_is_noticed(file: Path) -> None:
    for path in PATHS:
        told = copy.deepcopy(TOLD)
        place: Any = told
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        file.write_text(json.dumps(told))
        reason(file)
        free = path[0] == "machine" or path[:2] in (("agent", "keywords"), ("agent", "files"))
        if path != ("sha256",) and not (free and len(path) > 1 + (path[0] == "agent")):
            file.write_text(json.dumps(forged(told)))
            reason(file)


def test_every_part_that_is_added_is_noticed(file: Path) -> None:
    tried = 0
    for path in [(), *PATHS]:
        value: Any = TOLD
        for key in path:
            value = value[key]
        if isinstance(value, dict):
            told = forged(changed((*path, "more"), 1) if path else {**TOLD, "more": 1})
            tried += 1
            if path in {("machine",), ("agent", "keywords")}:  # say what they like
                assert outcome(file, json.dumps(told).encode()) is not None
            else:
                file.write_text(json.dumps(told))
                reason(file)
    assert tried > 8


# Lies, each under a digest that fits --------------------------------------------------------------------------------


def won(told: Told) -> Told:
    return next(row for row in rows(told) if row["success"])


def lost(told: Told) -> Told:
    return next(row for row in rows(told) if not row["ever"])


def swap(told: Told, a: int, b: int, *names: str) -> None:
    first, second = rows(told)[a], rows(told)[b]
    for name in names or tuple(first):
        first[name], second[name] = second[name], first[name]


LIES: dict[str, Callable[[Told], Any]] = {
    "a success that never was": lambda told: lost(told).update(success=True),
    "a success without its time": lambda told: won(told).update(first_success=None),
    "a time without a success": lambda told: lost(told).update(first_success=1.0),
    "a success that was not at any step": lambda told: won(told).update(ever=False),
    "a success of broken physics": lambda told: won(told).update(error=True),
    "a time that lies before the start": lambda told: won(told).update(first_success=-0.05),
    "a time that is no number": lambda told: won(told).update(first_success="0.5"),
    "success as a number": lambda told: won(told).update(success=1),
    "success as a word": lambda told: won(told).update(success="true"),
    "energy below nothing": lambda told: won(told).update(energy=-1.0),
    "energy as a word": lambda told: won(told).update(energy="1.0"),
    "force below nothing": lambda told: won(told).update(peak_force=-1.0),
    "return below nothing": lambda told: won(told).update(reward=-1.0),
    "a return beyond all steps": lambda told: won(told).update(reward=40.5),
    "no decision": lambda told: won(told).update(decisions=0),
    "more decisions than steps": lambda told: won(told).update(decisions=41),
    "half a decision": lambda told: won(told).update(decisions=1.5),
    "a decision as true": lambda told: won(told).update(decisions=True),
    "another number": lambda told: rows(told)[2].update(number=3),
    "another seed": lambda told: rows(told)[2].update(seed=103),
    "other seeds": lambda told: [row.update(seed=row["seed"] + 1000) for row in rows(told)],
    "another scene": lambda told: rows(told)[2].update(scene="tabletop"),
    "a cousin for another": lambda told: rows(told, 1)[0].update(scene=rows(told, 1)[1]["scene"]),
    "another start": lambda told: rows(told)[2].update(start=[0.0, 0.0]),
    "a start that is a little off": lambda told: rows(told)[2]["start"].__setitem__(
        0, rows(told)[2]["start"][0] + 1e-6
    ),
    "a start that is cut": lambda told: rows(told)[2].update(start=[0.0]),
    "a start that is long": lambda told: rows(told)[2].update(start=[0.0, 0.0, 0.0]),
    "a start of words": lambda told: rows(told)[2].update(start=["0", "0"]),
    "a start that is none": lambda told: rows(told)[2].update(start=None),
    "starts that changed places": lambda told: swap(told, 0, 1, "start"),
    "episodes that changed places": lambda told: swap(told, 0, 1),
    "episodes that changed places but for their numbers": lambda told: swap(told, 0, 1, "start", "scene", "success"),
    "an episode that is missing": lambda told: rows(told).pop(),
    "the first one missing": lambda told: rows(told).pop(0),
    "an episode too many": lambda told: rows(told).append({**rows(told)[-1], "number": 6, "seed": 106}),
    "an episode twice": lambda told: rows(told).insert(1, rows(told)[0]),
    "the best one everywhere": lambda told: told["played"][0].update(episodes=[won(told)] * 6),
    "no episodes": lambda told: rows(told).clear(),
    "no groups": lambda told: told["played"].clear(),
    "a group that is missing": lambda told: told["played"].pop(),
    "a group twice": lambda told: told["played"].append(told["played"][0]),
    "a group too many": lambda told: told["played"].append({"name": "Lift", "episodes": []}),
    "groups that changed places": lambda told: told["played"].reverse(),
    "groups under each other's name": lambda told: [
        each.update(name=name) for each, name in zip(told["played"], ("OpenDrawer-test", "Push"), strict=True)
    ],
    "a group of another name": lambda told: told["played"][0].update(name="push"),
    "a group as a word": lambda told: told["played"].__setitem__(0, "Push"),
    "groups by name": lambda told: told.update(played={each["name"]: each["episodes"] for each in told["played"]}),
    "another suite": lambda told: told.update(suite="core-v1"),
    "a suite that is a path": lambda told: told.update(suite="../small-v1"),
    "another suite's digest": lambda told: told.update(suite_sha256="0" * 64),
    "the digest in capitals": lambda told: told.update(suite_sha256=told["suite_sha256"].upper()),
    "half a digest": lambda told: told.update(suite_sha256=told["suite_sha256"][:12]),
    "a schema to come": lambda told: told.update(schema=2),
    "a schema of words": lambda told: told.update(schema="1"),
    "no agent": lambda told: told.update(agent=None),
    "no name": lambda told: told["agent"].update(name=""),
    "a long name": lambda told: told["agent"].update(name="x" * 201),
    "a long address": lambda told: told["agent"].update(address="x" * 2001),
    "a long command": lambda told: told.update(command="x" * 2001),
    "a word for privileged": lambda told: told["agent"].update(privileged="no"),
    "keywords in a list": lambda told: told["agent"].update(keywords=[]),
    "files that are numbers": lambda told: told["agent"].update(files={"": {"a": 1}}),
    "a machine of lists": lambda told: told["machine"].update(cpu=["a"]),
    "a machine of objects": lambda told: told["machine"].update(cpu={"a": 1}),
    "decisions in no time before": lambda told: told["latency"].update(median=-1.0),
    "decisions for no steps": lambda told: told["latency"].update(steps=0.0),
    "no decisions timed": lambda told: told["latency"].update(decisions=0),
    "time before time": lambda told: told.update(seconds=-1.0),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused_even_under_a_digest_that_fits(file: Path, lie: str) -> None:
    told = copy.deepcopy(TOLD)
    LIES[lie](told)
    assert json.dumps(told) != json.dumps(TOLD)
    file.write_text(json.dumps(told))
    reason(file)
    file.write_text(json.dumps(forged(told)))
    assert "digest" not in reason(file)


def test_a_digest_of_something_else_is_none(file: Path) -> None:
    for digest in ("", "0" * 64, RESULTS.sha256.upper(), RESULTS.sha256[:-1], RESULTS.sha256 + " ", SUITE.digest):
        file.write_text(json.dumps({**TOLD, "sha256": digest}))
        reason(file)


def test_results_of_another_suite_are_refused(tmp_path: Path) -> None:
    other = small_suite("other-v1")
    file = kept(small_results(other), tmp_path)
    assert "small-v1" in reason(file)
    assert "there is no suite 'other-v1'" in reason(file, None)
    longer = small_suite(episodes=7)
    assert "small-v1" in reason(kept(small_results(longer), tmp_path))

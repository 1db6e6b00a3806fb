"""Results: what was written is read, and whatever else is handed in is refused with a reason, never with another error.

Digests are no secret: whoever changes a file can make one that fits. So each lie is told both ways, and one that does
not contradict the suite or itself is only found out by playing its episodes again.
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.leaderboard.results import FILE, Results, load_results
from pocketworlds.benchmarks.suites.manifest import Suite, load_suite
from pocketworlds.errors import SuiteError

from .boards import forged, kept, paths, small_results, small_suite

Told = dict[str, Any]
SUITE = small_suite()
RESULTS = small_results(SUITE)
TOLD: Told = json.loads(RESULTS.written())
# Of the first and the last episode of each group every part, of those between none.
PATHS = [path for path in paths(TOLD) if path and not (path[0] == "played" and len(path) > 3 and 0 < path[3] < 5)]


def reason(file: Path, suite: Suite | None = SUITE) -> str:
    """Why a file is refused; fails if it is not."""
    with pytest.raises(SuiteError) as caught:
        load_results(file, suite)
    told = str(caught.value)
    assert len(told) > len(str(file)) + 10, told
    return told


def outcome(file: Path, content: bytes) -> Results | None:
    """What is read, None if it is refused."""
    file.write_bytes(content)
    try:
        return load_results(file, SUITE)
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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture
def _soon() -> Iterator[None]:
    """What hangs fails."""

    def late(number: int, frame: object) -> None:
        pytest.fail("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# What is true -------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = kept(RESULTS, tmp_path)
    assert load_results(file, SUITE) == RESULTS
    assert load_results(tmp_path, SUITE) == RESULTS
    assert file.read_text() == load_results(file, SUITE).written()
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
    assert load_results(file, SUITE).sha256 != RESULTS.sha256


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
                _sensible(found)


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


def _sensible(found: Results) -> None:
    """It is of the suite's very episodes, and can be written and shown."""
    assert (found.suite, found.suite_sha256) == (SUITE.name, SUITE.digest)
    for group, played in zip(SUITE.groups, found.played, strict=True):
        assert [row.seed for row in played.episodes] == group.seeds()
        for row in played.episodes:
            assert row.ever or not row.success
            assert all(value is None or math.isfinite(value) for value in (row.reward, row.energy, row.first_success))
    written = found.written().encode()
    json.loads(written, parse_constant=pytest.fail)


# Lies, each under a digest that fits --------------------------------------------------------------------------------


def rows(told: Told, group: int = 0) -> list[Told]:
    found: list[Told] = told["played"][group]["episodes"]
    return found


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


# What is no such file -----------------------------------------------------------------------------------------------

TEXT = RESULTS.written()
GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n",
    "a zero": b"\0",
    "zeros": b"\0" * 5000,
    "a word": b"results",
    "a number": b"1",
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "a list of results": f"[{TEXT}]".encode(),
    "results twice": f"{TEXT}{TEXT}".encode(),
    "results and more": f"{TEXT}x".encode(),
    "results before others": f"{TEXT}, {{}}".encode(),
    "a mark of byte order": b"\xef\xbb\xbf" + b"{}",
    "another alphabet": b"\xff\xfe" + TEXT.encode("utf-16-le")[:999],
    "Latin": TEXT.replace("somebody", "\xe9").encode("latin-1"),
    "binary": bytes(range(256)) * 20,
    "an archive": b"PK\x03\x04" + bytes(range(256)),
    "a page": b"<!doctype html><script>alert(1)</script>",
    "YAML": b"schema: 1\nsuite: small-v1\n",
    "a comment": b"// results\n" + TEXT.encode(),
    "a comma too many": TEXT.replace('"seconds": 12.5,', '"seconds": 12.5,,').encode(),
    "NaN": TEXT.replace('"seconds": 12.5', '"seconds": NaN').encode(),
    "Infinity": TEXT.replace('"seconds": 12.5', '"seconds": Infinity').encode(),
    "-Infinity": TEXT.replace('"seconds": 12.5', '"seconds": -Infinity').encode(),
    "beyond all numbers": TEXT.replace('"seconds": 12.5', '"seconds": 1e999').encode(),
    "a number without end": TEXT.replace('"seconds": 12.5', '"seconds": ' + "9" * 9999).encode(),
    "digits without end": TEXT.replace('"seconds": 12.5', '"seconds": 0.' + "9" * 99999 + "e9").encode(),
    "a number of 400 digits": TEXT.replace('"seconds": 12.5', '"seconds": ' + "9" * 400).encode(),
    "a name twice": TEXT.replace('"seconds": 12.5', '"seconds": 12.5, "seconds": 12.5').encode(),
    "a success twice": TEXT.replace('"success": false', '"success": true, "success": false', 1).encode(),
    "deep lists": b"[" * 100_000,
    "deep lists that end": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a bad escape": TEXT.replace("somebody", "\\x41").encode(),
    "half a surrogate": TEXT.replace('"somebody"', '"\\ud800"').encode(),
    "a raw control character": TEXT.replace("somebody", "\x07").encode(),
    "single quotes": TEXT.replace('"', "'").encode(),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_refused(file: Path, kind: str) -> None:
    file.write_bytes(GARBAGE[kind])
    reason(file)
    reason(file, None)


def test_what_is_cut_off_is_refused_wherever_it_is_cut(file: Path) -> None:
    content = TEXT.encode()
    whole = len(content.rstrip())
    cuts = [*range(0, whole, 13), *range(whole - 20, whole)]
    for cut in cuts:
        assert outcome(file, content[:cut]) is None
    assert len(cuts) > 200


def test_what_lost_its_beginning_or_its_middle_is_refused(file: Path) -> None:
    content = TEXT.encode()
    for cut in range(1, len(content), 97):
        assert outcome(file, content[cut:]) is None
        found = outcome(file, content[:cut] + content[cut + 40 :])
        assert found is None or found == RESULTS  # only blanks are lost


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_are_refused(file: Path, content: bytes) -> None:
    assert outcome(file, content) is None
    assert outcome(file, content + TEXT.encode()) in (None, RESULTS)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(TEXT) - 1), byte=st.integers(0, 255))
def test_a_byte_that_changed_is_noticed_unless_it_says_the_same(file: Path, place: int, byte: int) -> None:
    content = bytearray(TEXT.encode())
    content[place] = byte
    assert outcome(file, bytes(content)) in (None, RESULTS)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from([path for path in PATHS if path != ("sha256",)]), value=anything)
def test_anything_anywhere_is_refused_or_makes_sense(file: Path, path: tuple[Any, ...], value: Any) -> None:
    told = changed(path, value)
    found = outcome(file, json.dumps(told).encode())
    assert found is None or found == RESULTS
    found = outcome(file, json.dumps(forged(told)).encode())
    if found is not None:
        _sensible(found)


# What is no ordinary file, or wants something of the reader ----------------------------------------------------------


def test_places_that_hold_no_results(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / FILE).mkdir(parents=True)
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "up.json").symlink_to(tmp_path)
    (tmp_path / "null.json").symlink_to("/dev/null")
    (tmp_path / "passwords.json").symlink_to("/etc/passwd")
    (tmp_path / "thing.json").write_text("{}")
    names = ("empty", "folder", "folder/results.json", "dangling.json", "loop.json", "up.json", "null.json")
    for name in (*names, "passwords.json", "thing.json/results.json", "nowhere", "x" * 300):
        told = reason(tmp_path / name)
        assert "root:" not in told


def test_a_link_to_results_is_read(tmp_path: Path) -> None:
    kept(RESULTS, tmp_path / "a")
    (tmp_path / "link.json").symlink_to(tmp_path / "a" / FILE)
    assert load_results(tmp_path / "link.json", SUITE) == RESULTS


def test_what_is_too_large_is_not_read(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate((64 << 20) + 1)
    assert "larger" in reason(file)


@pytest.mark.usefixtures("_soon")
def test_a_pipe_is_refused(file: Path) -> None:
    os.mkfifo(file)
    reason(file)


@pytest.mark.usefixtures("_soon")
@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_device_without_end_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> bytes:
        raise AssertionError("it would be read without end")

    monkeypatch.setattr(Path, "read_bytes", fails)
    file.symlink_to("/dev/zero")
    reason(file)


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize("levels", [50, 200, 400, 800, 2000, 20_000])
def test_deep_keywords_are_refused_or_shown(file: Path, levels: int) -> None:
    told = changed(("agent", "keywords", "obs_mode"), 12345)
    content = json.dumps(forged(told)).replace("12345", "[" * levels + "1" + "]" * levels)
    assert outcome(file, content.encode()) is None  # its digest does not fit
    if levels < 900:
        found = outcome(file, json.dumps(forged(changed(("agent", "keywords", "obs_mode"), deep(levels)))).encode())
        if found is not None:
            _sensible(found)


BEYOND = [
    ("agent", "keywords", "obs_mode"),
    ("agent", "keywords", "more"),
    ("machine", "cores"),
    ("latency", "median"),
    ("seconds",),
]


@pytest.mark.parametrize("path", BEYOND, ids=".".join)
def test_numbers_beyond_all_numbers_are_refused(file: Path, path: tuple[str, ...]) -> None:
    told = forged(changed(path, float("inf")))
    assert outcome(file, json.dumps(told).replace("Infinity", "1e999").encode()) is None


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["\ud83d"]], ids=["text", "name", "list"])
@pytest.mark.parametrize(
    "path", [("agent", "keywords", "obs_mode"), ("agent", "name"), ("machine", "cpu"), ("command",)], ids=".".join
)
def test_halves_of_characters_are_refused(file: Path, path: tuple[str, ...], value: Any) -> None:
    assert outcome(file, json.dumps(forged(changed(path, value))).encode()) is None


@pytest.mark.parametrize(
    "name", ["a\0b", "x" * 2000, "", ".", "/", "~", "core-v1/", "core-v1.json", "/dev/zero", "$HOME"]
)
def test_a_suite_is_known_by_its_name_alone(file: Path, name: str) -> None:
    file.write_text(json.dumps(forged({**TOLD, "suite": name})))
    reason(file, None)


def test_a_submission_brings_no_suite_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = small_suite("own-v1")
    (tmp_path / "own-v1").write_text(own.written())
    monkeypatch.chdir(tmp_path)
    assert load_suite("own-v1") == own  # a file may be named where a suite is asked for, but not in a submission
    reason(kept(small_results(own), tmp_path), None)


def test_numbers_that_add_up_to_too_much_are_refused(file: Path) -> None:
    for path in (("energy",), ("peak_force",), ("smoothness",), ("first_success",)):
        told = copy.deepcopy(TOLD)
        for row in rows(told):
            if row[path[0]] is not None:
                row[path[0]] = 1.7e308
        assert outcome(file, json.dumps(forged(told)).encode()) is None


def test_more_than_anybody_reads_is_refused(file: Path) -> None:
    many = {f"name {k}": "x" * 200 for k in range(5000)}
    for path in (("machine",), ("agent", "keywords"), ("agent", "files")):
        value = {"": many} if path[-1] == "files" else many
        assert outcome(file, json.dumps(forged(changed(path, value))).encode()) is None

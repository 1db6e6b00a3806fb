"""What is no results file: refused with a reason, whatever it is."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.leaderboard.results import FILE, load_results
from pocketworlds.benchmarks.suites.manifest import load_suite

from .boards import forged, kept, small_results, small_suite
from .handed_in import PATHS, RESULTS, SUITES, TOLD, changed, outcome, reason, rows, sensible

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
        sensible(found)


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
    assert load_results(tmp_path / "link.json", SUITES) == RESULTS


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
            sensible(found)


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

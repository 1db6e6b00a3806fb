from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pocketworlds.real2sim.stages import StageRunner, cache_root, fingerprint, peak_memory_mb

Progress = Callable[[float], None]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POCKETWORLDS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Work:
    """A stage that counts how often it worked."""

    def __init__(self, result: object = ("the", "result")) -> None:
        self.calls = 0
        self.result = result

    def __call__(self, progress: Progress) -> object:
        self.calls += 1
        progress(0.5)
        return self.result


def nothing(result: object) -> dict[str, float | int | str]:
    return {}


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_second_run_reuses_what_the_first_finished() -> None:
    work = Work({"voxels": [1, 2, 3]})
    first, second = StageRunner("capture"), StageRunner("capture")
    assert first.run("fusion", work, nothing) == second.run("fusion", work, nothing) == {"voxels": [1, 2, 3]}
    assert work.calls == 1
    assert [record.cached for record in first.records + second.records] == [False, True]


def test_interrupted_run_resumes_where_it_stopped() -> None:
    fusion, structure = Work("surface"), Work("planes")

    def interrupted(progress: Progress) -> object:
        raise KeyboardInterrupt

    runner = StageRunner("capture")
    runner.run("fusion", fusion, nothing)
    with pytest.raises(KeyboardInterrupt):
        runner.run("structure", interrupted, nothing)
    again = StageRunner("capture")
    assert again.run("fusion", fusion, nothing) == "surface"
    assert again.run("structure", structure, nothing) == "planes"
    assert (fusion.calls, structure.calls) == (1, 1)
    assert [(record.name, record.cached) for record in again.records] == [("fusion", True), ("structure", False)]


@pytest.mark.parametrize(
    "damage",
    [b"", b"not a pickle", b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"cposix\nno_such_name\n."],
    ids=["empty", "text", "claims exabytes", "unknown class"],
)
def test_damaged_cache_is_done_again(own_cache: Path, damage: bytes) -> None:
    work = Work()
    StageRunner("capture").run("fusion", work, nothing)
    (file,) = own_cache.rglob("*.pickle")
    file.write_bytes(damage)
    again = StageRunner("capture")
    assert again.run("fusion", work, nothing) == ("the", "result")
    assert work.calls == 2
    assert not again.records[0].cached
    # And what was done again is kept again.
    StageRunner("capture").run("fusion", work, nothing)
    assert work.calls == 2


def test_truncated_cache_is_done_again(own_cache: Path) -> None:
    work = Work(list(range(10000)))
    StageRunner("capture").run("fusion", work, nothing)
    (file,) = own_cache.rglob("*.pickle")
    file.write_bytes(file.read_bytes()[:-100])
    assert StageRunner("capture").run("fusion", work, nothing) == list(range(10000))
    assert work.calls == 2


class Unpicklable:
    def __reduce__(self) -> str:
        raise RuntimeError("power cut while writing")


def test_interrupted_write_is_never_taken_for_a_result(own_cache: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        StageRunner("capture").run("fusion", Work(["x" * 10000, Unpicklable()]), nothing)
    assert not [name for name in files(own_cache) if name.endswith(".pickle")]
    work = Work("whole")
    assert StageRunner("capture").run("fusion", work, nothing) == "whole"
    assert work.calls == 1


def test_stages_and_captures_do_not_share_results() -> None:
    one, two, three = Work(1), Work(2), Work(3)
    assert StageRunner("capture").run("fusion", one, nothing) == 1
    assert StageRunner("capture").run("structure", two, nothing) == 2
    assert StageRunner("another").run("fusion", three, nothing) == 3


def test_uncached_stage_works_every_time(own_cache: Path) -> None:
    work = Work()
    for _ in range(2):
        StageRunner("capture").run("assembly", work, nothing, cached=False)
    assert work.calls == 2
    assert files(own_cache) == []


def test_failing_stage_leaves_no_result(own_cache: Path) -> None:
    def failing(progress: Progress) -> object:
        raise ValueError("no floor")

    runner = StageRunner("capture")
    with pytest.raises(ValueError, match="no floor"):
        runner.run("structure", failing, nothing)
    assert files(own_cache) == []
    assert runner.records == []


def test_finished_scan_leaves_no_cache_behind(own_cache: Path) -> None:
    runner, other = StageRunner("capture"), StageRunner("other")
    runner.run("fusion", Work(), nothing)
    other.run("fusion", Work(), nothing)
    runner.finish()
    assert not runner.folder.exists()
    assert files(other.folder) == ["fusion.pickle"]
    runner.finish()


def test_record_has_time_memory_and_figures() -> None:
    runner = StageRunner("capture")
    runner.run("fusion", Work([1, 2, 3]), lambda result: {"vertices": len(list(result))})  # type: ignore[call-overload]
    (record,) = runner.records
    assert record.summary == {"vertices": 3}
    assert 0 <= record.seconds < 5
    assert 20 < record.peak_memory_mb < 100_000
    assert record.peak_memory_mb <= peak_memory_mb()


def test_progress_starts_at_zero_and_ends_at_one() -> None:
    seen: list[tuple[str, float]] = []

    def work(progress: Progress) -> int:
        for share in (0.25, 1.0):
            progress(share)
        return 7

    runner = StageRunner("capture", lambda name, share: seen.append((name, share)))
    runner.run("fusion", work, nothing)
    assert {name for name, _ in seen} == {"fusion"}
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares.count(1.0) == 1, "only a finished stage is at 1"


def test_fingerprint_follows_the_capture(tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    (folder / "depth").mkdir(parents=True)
    (folder / "depth" / "0.png").write_bytes(b"first")
    (folder / "info.json").write_bytes(b"{}")
    prints = [fingerprint(folder)]
    assert fingerprint(folder) == prints[0]
    (folder / "depth" / "0.png").write_bytes(b"longer")
    prints.append(fingerprint(folder))
    (folder / "depth" / "1.png").write_bytes(b"")
    prints.append(fingerprint(folder))
    (folder / "depth" / "1.png").rename(folder / "depth" / "2.png")
    prints.append(fingerprint(folder))
    os.utime(folder / "info.json", ns=(1, 1))
    prints.append(fingerprint(folder))
    (folder / "info.json").unlink()
    prints.append(fingerprint(folder))
    assert len(set(prints)) == len(prints)


def test_fingerprint_of_a_file_and_of_where_it_lies(tmp_path: Path) -> None:
    for name in ("a.r3d", "b.r3d"):
        (tmp_path / name).write_bytes(b"zip")
        os.utime(tmp_path / name, ns=(5, 5))
    assert fingerprint(tmp_path / "a.r3d") != fingerprint(tmp_path / "b.r3d")
    before = fingerprint(tmp_path / "a.r3d")
    (tmp_path / "a.r3d").write_bytes(b"zipped")
    assert fingerprint(tmp_path / "a.r3d") != before


def test_cache_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("POCKETWORLDS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "pocketworlds"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_root() == tmp_path / "home" / ".cache" / "pocketworlds"

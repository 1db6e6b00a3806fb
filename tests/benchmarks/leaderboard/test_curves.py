"""Learning curves beside results: what is written is read again, and what is no curve is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.leaderboard.curves import FOLDER, LearningCurve, read_curve, read_curves, write_curves
from pocketworlds.errors import SuiteError

finite = st.floats(-1e9, 1e9)


@settings(max_examples=50)
@given(xs=st.lists(st.integers(0, 10**9), min_size=1, max_size=30, unique=True), data=st.data())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, xs: list[int], data: st.DataObject) -> None:
    points = [(float(x), data.draw(finite)) for x in sorted(xs)]
    curve = LearningCurve("Push", "control steps", "success, in training", points)
    place = tmp_path_factory.mktemp("run")
    write_curves(place, [curve])
    assert read_curves(place) == ([curve], {})


@settings(max_examples=50)
@given(ys=st.lists(finite, min_size=1, max_size=200), most=st.integers(1, 60))
def test_thinned_curves_keep_their_mean(ys: list[float], most: int) -> None:
    curve = LearningCurve("a", "x", "y", [(float(k), y) for k, y in enumerate(ys)])
    thin = curve.thinned(most)
    assert 1 <= len(thin) <= most
    size = -(-len(ys) // most)
    weights = [min(size, len(ys) - k * size) for k in range(len(thin))]
    np.testing.assert_allclose(np.average([y for _, y in thin], weights=weights), np.mean(ys), rtol=1e-9, atol=1e-3)
    assert [x for x, _ in thin] == sorted({x for x, _ in thin})
    if len(ys) <= most:
        assert thin == list(curve.points)


BAD = {
    "nothing": b"",
    "only-names": b"steps,success\n",
    "three-columns": b"steps,a,b\n1,2,3\n",
    "one-column": b"steps\n1\n",
    "ragged": b"steps,success\n1,0.5\n2\n",
    "words": b"steps,success\n1,good\n",
    "infinite": b"steps,success\n1,inf\n",
    "no-number": b"steps,success\nnan,0.5\n",
    "huge": b"steps,success\n1,1e300\n",
    "falls": b"steps,success\n2,0.5\n1,0.5\n",
    "stands": b"steps,success\n2,0.5\n2,0.5\n",
    "no-text": b"steps,success\n1,0.5\n\xff\xfe\n",
    "open-quote": b'steps,success\n1,"0.5\n',
    "long-name": b"s" * 61 + b",success\n1,0.5\n",
    "long": b"steps,success\n" + b"\n" * (1 << 20),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_curve_is_refused_and_others_are_shown(name: str, tmp_path: Path) -> None:
    write_curves(tmp_path, [LearningCurve("Push", "updates", "loss", [(1.0, 0.5)])])
    bad = tmp_path / FOLDER / f"{name}.csv"
    bad.write_bytes(BAD[name])
    with pytest.raises(SuiteError, match=f"{name}.csv"):
        read_curve(bad)
    shown, refused = read_curves(tmp_path)
    assert [curve.name for curve in shown] == ["Push"]
    assert list(refused) == [bad]


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_curve_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("run") / "a.csv"
    file.write_bytes(content)
    try:
        found = read_curve(file)
    except SuiteError:
        return
    assert np.isfinite(found.points).all()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("nowhere.csv", "folder.csv"):
        with pytest.raises(SuiteError, match=f"{name} cannot be read"):
            read_curve(tmp_path / name)


def test_links_and_folders_are_left_out(tmp_path: Path) -> None:
    assert read_curves(tmp_path) == ([], {})
    secret = tmp_path / "secret.csv"
    secret.write_text("steps,success\n1,0.5\n")
    run = tmp_path / "run"
    (run / FOLDER / "a.csv").mkdir(parents=True)
    (run / FOLDER / "b.csv").symlink_to(secret)
    os.mkfifo(run / FOLDER / "c.csv")
    assert read_curves(run) == ([], {})
    other = tmp_path / "other"
    other.mkdir()
    (other / FOLDER).symlink_to(run / FOLDER, target_is_directory=True)
    assert read_curves(other) == ([], {})


def test_a_run_without_curves_has_no_folder_for_them(tmp_path: Path) -> None:
    write_curves(tmp_path, [])
    assert not list(tmp_path.iterdir())

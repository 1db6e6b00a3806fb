"""The demo: its capture is whole, it tells the truth about tries that failed, and (slow) it does what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest
from pocketworlds.agents.record import EpisodeSummary
from pocketworlds.cli import app
from pocketworlds.demo import FILM, SCENE, Demo, demo_capture, run_demo
from pocketworlds.real2sim.readers import open_capture
from pocketworlds.real2sim.report import CaptureInfo, SceneReport
from pocketworlds.scenes import load_scene
from typer.testing import CliRunner


def demo(*successes: bool) -> Demo:
    """A demo whose tries ended so."""
    info = CaptureInfo(path_name="demo_capture", format="stray-scanner", frames_total=60, frames_used=60)
    report = SceneReport(
        scene="demo_capture", summary="All.", trust=(), caution=(), capture=info, objects=(), structure=(), stages=()
    )
    tries = tuple(
        (f"can_{k}", EpisodeSummary(Path(FILM), f"lift the can_{k}", success, 40 if success else None, 60, 12.5))
        for k, success in enumerate(successes)
    )
    return Demo(Path(SCENE), Path(FILM), report, tries, 60.0)


def test_embedded_capture_is_small_and_whole() -> None:
    capture = open_capture(demo_capture())
    assert capture.format == "stray-scanner"
    assert len(capture.frames) == 60
    assert not capture.skipped
    for frame in (capture.frames[0], capture.frames[-1]):
        assert frame.load_color is not None
        assert frame.load_depth is not None
        assert frame.load_confidence is not None
        assert frame.load_color().shape == (480, 640, 3)
        assert frame.load_depth().shape == frame.load_confidence().shape == (192, 256)
    assert sum(file.stat().st_size for file in demo_capture().rglob("*")) < 4.5e6


def test_first_try_is_told() -> None:
    told = "\n".join(demo(True).lines())
    assert "The arm was told to lift the can_0, and did, after 40 steps" in told
    assert "tries" not in told


def test_failed_tries_are_told() -> None:
    told = "\n".join(demo(False, True).lines())
    assert "lift the can_0, and failed in 60 steps" in told
    assert "That took 2 tries with different objects" in told
    assert demo(False, True).success
    assert [one["success"] for one in demo(False, True).to_dict()["tries"]] == [False, True]


def test_failed_lift_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pocketworlds.demo.run_demo", lambda out, notify: demo(False, False, False))
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["success"] is False


def test_demo_does_not_overwrite_what_is_not_a_scene(tmp_path: Path) -> None:
    (tmp_path / SCENE).mkdir()
    (tmp_path / SCENE / "diary.txt").write_text("mine")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "will not be overwritten" in result.stderr


@pytest.mark.slow
def test_demo_goes_from_the_capture_to_a_lift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKETWORLDS_CACHE", str(tmp_path / "cache"))
    result = run_demo(tmp_path)
    assert result.success, result.lines()
    scene = load_scene(result.scene)
    assert len([item for item in scene.objects if item.mobility == "free"]) == 5
    assert scene.settled
    assert (result.scene / "report.html").stat().st_size > 10_000
    assert (result.scene / "preview.png").is_file()
    with av.open(str(result.film)) as film:
        assert sum(1 for _ in film.decode(video=0)) == result.tries[-1][1].steps + 1
    # What another program would do with it: nothing of ours is needed.
    code = """
import mujoco, sys
model = mujoco.MjModel.from_xml_path(sys.argv[1])
data = mujoco.MjData(model)
while data.time < 10:
    mujoco.mj_step(model, data)
assert not any(warning.number for warning in data.warning)
assert "pocketworlds" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(result.scene / "scene.xml")], check=True, timeout=120)

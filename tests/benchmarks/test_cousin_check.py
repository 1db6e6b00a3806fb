"""The re-check of cousins: known overlaps and falls are measured, and whatever is spoilt in a set is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import pytest
from pocketworlds.benchmarks.cousin_check import check_set, drift, main, penetration
from pocketworlds.digital_cousins.cousin_set import CousinSet
from pocketworlds.errors import SceneError

from ..digital_cousins.families import COUNT, small_set


def world(bodies: str) -> tuple[mujoco.MjModel, mujoco.MjData]:
    floor = '<geom type="plane" size="1 1 .1"/>'
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{floor}{bodies}</worldbody></mujoco>")
    return model, mujoco.MjData(model)


def ball(height: float) -> str:
    return f'<body pos="0 0 {height}"><freejoint/><geom size="0.1"/></body>'


def test_a_ball_in_the_floor_is_in_it_by_what_it_was_put_in() -> None:
    assert penetration(*world(ball(0.097))) == pytest.approx(0.003, abs=1e-9)
    assert penetration(*world(ball(0.2))) == 0.0


def test_a_ball_falls_as_far_as_physics_says() -> None:
    assert drift(*world(ball(10.0)), 0.5) == pytest.approx(0.5 * 9.81 * 0.5**2, rel=0.01)


def test_a_creeping_drawer_counts_but_not_a_cap_on_a_spring() -> None:
    slide = '<body pos="0 0 1"><joint type="slide" axis="0 0 1" damping="100" stiffness="{}"/><geom size="0.1"/></body>'
    assert drift(*world(slide.format(0)), 2.0) > 0.002
    assert drift(*world(slide.format(2000)), 2.0) == 0.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CousinSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pocketworlds.digital_cousins.build.write_report", lambda *given, **options: None)
        return small_set(tmp_path_factory.mktemp("sets") / "made", look={"on": False})


def spoilt(made: CousinSet, out: Path, change: Callable[[dict[str, Any]], None], *, honest: bool = True) -> Path:
    """A copy of the set with its first cousin changed; with `honest`, hashes are those of the changed file."""
    shutil.copytree(made.folder, out)
    path = out / made.manifest.entries[0].file
    contents = json.loads(path.read_text())
    change(contents)
    path.write_text(json.dumps(contents))
    if honest:
        manifest = json.loads((out / "cousins.json").read_text())
        manifest["entries"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (out / "cousins.json").write_text(json.dumps(manifest))
    return out


def lifted(name: str, by: float) -> Callable[[dict[str, Any]], None]:
    def change(contents: dict[str, Any]) -> None:
        (item,) = [item for item in contents["scene"]["objects"] if item["name"] == name]
        item["body"]["pose"]["position"][2] += by

    return change


def test_a_set_as_it_was_made_holds(made: CousinSet, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(made.folder), "--workers", "1", "--json"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["cousins"], told["failed"], told["damaged"]) == (True, COUNT, [], [])
    assert told["penetration"] < 1e-3
    assert told["drift"] < 2e-3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lifted("can", -0.004), "overlap by"),
        (lifted("can", 0.01), "moves by"),
        (lifted("cube", 0.2), "cube no longer stands on tray"),
        (lambda contents: contents["scene"]["objects"].pop(1), "is missing"),
    ],
    ids=["sunk", "floating", "out of its tray", "gone"],
)
def test_what_is_wrong_is_said(
    made: CousinSet, tmp_path: Path, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    result = check_set(spoilt(made, tmp_path / "bad", change), workers=1)
    assert not result.ok
    (failed,) = [cousin for cousin in result.cousins if cousin.failures]
    assert failed.index == made.manifest.entries[0].index
    assert why in "; ".join(failed.failures)
    assert why in result.text()


def test_changed_and_missing_files_are_found(made: CousinSet, tmp_path: Path) -> None:
    folder = spoilt(made, tmp_path / "bad", lambda contents: None, honest=False)
    (folder / "factors.parquet").unlink()
    result = check_set(folder, workers=1)
    assert set(result.damaged) == {made.manifest.entries[0].file, "factors.parquet"}
    assert not result.ok
    (folder / "twin.json").write_text("{}")
    with pytest.raises(SceneError, match=r"twin\.json"):
        check_set(folder, workers=1)

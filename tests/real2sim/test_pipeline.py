from __future__ import annotations

import json
import shutil
from pathlib import Path

import mujoco
import numpy as np
import pytest
from pocketworlds.errors import CaptureError, SceneError
from pocketworlds.real2sim import pipeline
from pocketworlds.real2sim.capture import Capture, Frame, Intrinsics
from pocketworlds.real2sim.pipeline import ScanOptions, scan, scene_name
from pocketworlds.scenes import Scene
from pocketworlds.scenes.folder import load_scene
from pocketworlds.scenes.scene import Name
from pydantic import TypeAdapter

from . import synthetic

BOXES = {(-0.12, -0.05): (0.12, 0.08, 0.06), (0.10, -0.08): (0.07, 0.06, 0.10)}
CAN = (0.02, 0.12)
GEOMETRY = ScanOptions(texture=False)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    things = [synthetic.table(), synthetic.can(0.07, 0.11, CAN)]
    things += [synthetic.box(size, xy) for xy, size in BOXES.items()]
    poses = synthetic.orbit(count=18, distance=0.55, elevations=(30, 50, 65))
    return synthetic.write_capture(tmp_path_factory.mktemp("captures") / "my desk", things, poses)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POCKETWORLDS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def scanned(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> pipeline.ScanResult:
    folder = tmp_path_factory.mktemp("scanned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKETWORLDS_CACHE", str(folder / "cache"))
        result = scan(capture, folder / "desk", options=GEOMETRY)
    assert not list((folder / "cache").rglob("*.pickle")), "a finished scan leaves nothing in the cache"
    return result


def folder_of(result: pipeline.ScanResult) -> Path:
    assert result.scene.folder is not None
    return Path(result.scene.folder)


def test_folder_is_complete(scanned: pipeline.ScanResult) -> None:
    folder = folder_of(scanned)
    names = {path.name for path in folder.iterdir()}
    assert {"scene.json", "scene.xml", "preview.png", "report.html", "report.json", "meshes"} <= names
    assert sorted(path.name for path in folder.parent.iterdir()) in (["cache", "desk"], ["desk"])
    assert load_scene(folder) == scanned.scene
    report = json.loads((folder / "report.json").read_text())
    assert report["capture"]["frames_total"] == 18


def true_place(scene: Scene, xy: tuple[float, float]) -> np.ndarray:
    world = np.array(scene.source["world_from_capture"])
    return np.asarray(world[:2, :2] @ xy + world[:2, 3])


def test_objects_are_those_that_were_there(scanned: pipeline.ScanResult) -> None:
    objects = list(scanned.scene.objects)
    assert len(objects) == 3
    for xy, size in {**BOXES, CAN: (0.07, 0.07, 0.11)}.items():
        place = true_place(scanned.scene, xy)
        item = min(objects, key=lambda o: float(np.linalg.norm(np.array(o.body.pose.position[:2]) - place)))
        np.testing.assert_allclose(item.body.pose.position[:2], place, atol=0.003)
        np.testing.assert_allclose(sorted(item.size[:2]), sorted(size[:2]), atol=0.004)
        assert item.size[2] == pytest.approx(size[2], abs=0.004)
        assert item.body.pose.position[2] == pytest.approx(size[2] / 2, abs=0.003)
        assert item.mobility == "free"
        assert item.support == "floor"
    assert {item.category for item in objects} == {"box", "can"}


def test_scene_stays_at_rest_in_plain_mujoco(scanned: pipeline.ScanResult) -> None:
    model = mujoco.MjModel.from_xml_path(str(folder_of(scanned) / "scene.xml"))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    bodies = [model.body(item.name).id for item in scanned.scene.objects]
    start = data.xpos[bodies].copy()
    assert min((contact.dist for contact in data.contact), default=0.0) > -0.001
    mujoco.mj_step(model, data, nstep=int(3 / model.opt.timestep))
    assert np.linalg.norm(data.xpos[bodies] - start, axis=1).max() < 0.002
    assert sum(int(w.number) for w in data.warning) == 0


def test_stages_are_reported_in_order(scanned: pipeline.ScanResult) -> None:
    names = [stage.name for stage in scanned.report.stages]
    assert names == ["load", "fusion", "structure", "instances", "completion", "meshes", "assembly", "settle"]
    assert all(stage.seconds >= 0 for stage in scanned.report.stages)
    assert not any(stage.cached for stage in scanned.report.stages)


def assert_same(one: Scene, two: Scene) -> None:
    """The same objects to a micrometre: Open3D orders vertices by thread, which moves the last digits of sums."""
    assert [item.name for item in one.objects] == [item.name for item in two.objects]
    for first, second in zip(one.objects, two.objects, strict=True):
        np.testing.assert_allclose(first.size, second.size, atol=1e-6)
        np.testing.assert_allclose(first.body.pose.position, second.body.pose.position, atol=1e-6)
        assert first.body.collision == second.body.collision


def test_interrupted_scan_leaves_nothing_and_resumes(
    capture: Path, scanned: pipeline.ScanResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control-C while assembling; the run after it reuses every finished stage and ends as if nothing had happened."""
    out = tmp_path / "scenes" / "desk"

    def interrupted(*arguments: object, **keywords: object) -> Scene:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "assemble", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(capture, out, options=GEOMETRY)
    assert not out.exists()
    assert list(out.parent.iterdir()) == []
    seen: list[tuple[str, float]] = []
    result = scan(capture, out, options=GEOMETRY, notify=lambda name, share: seen.append((name, share)))
    reused = {stage.name for stage in result.report.stages if stage.cached}
    assert reused == {"fusion", "structure", "instances", "completion", "meshes"}
    assert_same(result.scene, scanned.scene)
    assert seen[0] == ("load", 0.0)
    assert seen[-1] == ("settle", 1.0)

    # Existing scenes are replaced only when asked to, and only by a finished one.
    with pytest.raises(SceneError, match="exists already"):
        scan(capture, out, options=GEOMETRY)
    (out / "old.txt").write_text("of the first scan")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "fuse", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(capture, out, options=GEOMETRY, replace_existing=True)
    assert (out / "old.txt").exists()
    replaced = scan(capture, out, options=GEOMETRY, replace_existing=True)
    assert not (out / "old.txt").exists()
    assert [path.name for path in out.parent.iterdir()] == ["desk"]
    assert_same(replaced.scene, scanned.scene)


def test_existing_folder_that_is_no_scene_is_never_replaced(capture: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(SceneError, match="not a scene folder"):
        scan(capture, tmp_path, options=GEOMETRY, replace_existing=True)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"precious"


def test_capture_without_depth_is_one_error_and_no_folder(capture: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    shutil.copytree(capture, flat)
    for path in (*flat.glob("depth_*"), *flat.glob("conf_*")):
        path.unlink()
    with pytest.raises(CaptureError, match="depth"):
        scan(flat, tmp_path / "out" / "scene", options=GEOMETRY)
    assert not list((tmp_path / "out").glob("*"))


def test_frames_without_geometry_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame(0, None, np.eye(4), Intrinsics(60, 60, 32, 24, 64, 48), lambda: np.zeros((48, 64, 3), np.uint8))
    monkeypatch.setattr(pipeline, "open_capture", lambda path: Capture(tmp_path, "pictures only", (frame,)))
    with pytest.raises(CaptureError, match="neither depth frames, nor a mesh, nor a room"):
        scan(tmp_path, tmp_path / "out" / "scene")
    assert not list((tmp_path / "out").glob("*"))


def test_wall_only_is_one_error_and_no_folder(tmp_path: Path) -> None:
    wall = synthetic.thing(synthetic.trimesh.creation.box((0.1, 3, 3), synthetic.turn((1.0, 0, 0))))
    poses = [synthetic.look_at((-0.2, 0.1 * i, 0), (1, 0.1 * i, 0)) for i in range(4)]
    folder = synthetic.write_capture(tmp_path / "wall", [wall], poses)
    with pytest.raises(CaptureError, match="floor or table"):
        scan(folder, tmp_path / "out" / "scene", options=GEOMETRY)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("file", "name"), [("my desk", "my_desk"), ("scan (1).zip", "scan__1"), ("日本.usdz", "scene"), (".r3d", "r3d")]
)
def test_scene_name_is_valid(file: str, name: str) -> None:
    assert scene_name(Path(file)) == name
    assert TypeAdapter(Name).validate_python(name) == name

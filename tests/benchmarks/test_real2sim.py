"""The benchmark end to end on one small real scan, its scores on scenes rebuilt by hand, and its tables."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from pocketworlds.benchmarks.ground_truth_scenes import GroundTruthScene, TruthObject, generate_scene
from pocketworlds.benchmarks.real2sim import run_benchmark
from pocketworlds.benchmarks.real2sim_results import BenchmarkResult
from pocketworlds.benchmarks.real2sim_scene import failed_scene, score_scene
from pocketworlds.errors import SceneError
from pocketworlds.real2sim.phone import PhoneModel
from pocketworlds.scenes import Scene
from pocketworlds.scenes.scene import (
    Body,
    CollisionGeom,
    Estimate,
    Inertial,
    Pose,
    Provenance,
    SceneObject,
    Surface,
    Visual,
)
from pocketworlds.scenes.settle import FROZEN_NOTE

SEED = 27  # three objects apart on a table
SMALL = PhoneModel(width=160, height=120, supersample=1)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def bench(out: Path) -> Callable[..., BenchmarkResult]:
    def run(**options: object) -> BenchmarkResult:
        return run_benchmark(count=1, seed=SEED, workers=1, phone=SMALL, maximum_frames=24, **{"out": out, **options})

    return run


@pytest.fixture(scope="module")
def result(bench: Callable[..., BenchmarkResult]) -> BenchmarkResult:
    return bench()


@pytest.fixture(scope="module")
def truth() -> GroundTruthScene:
    return generate_scene(SEED, "apart", "table")


# One real scan --------------------------------------------------------------------------------------------------------


def test_benchmark_of_one_scan(result: BenchmarkResult) -> None:
    (scene,) = result.scenes
    assert scene.error == ""
    assert scene.true_objects == 3
    assert len(scene.objects) + len(scene.missed) == 3
    assert len(scene.objects) + len(scene.false) == scene.found_objects
    assert len(scene.objects) >= 2  # 24 small frames: worse than the real thing, but no accident
    assert [stage.name for stage in scene.stages][-1] == "settle"
    assert all(stage.peak_memory_mb > 0 for stage in scene.stages)
    assert scene.penetration_mm is not None
    assert scene.support_shift_mm is not None
    for item in scene.objects:
        assert 0.25 <= item.box_iou <= 1
        assert item.chamfer_mm < 20
        assert [m.kind for m in item.motions] == ["push +x", "push +y", "drop", "tilted drop"]
        assert (item.yaw_deg is None) == (item.category == "can")


def test_finished_scenes_are_used_again(bench: Callable[..., BenchmarkResult], result: BenchmarkResult) -> None:
    heard: list[tuple[str, float]] = []
    again = bench(notify=lambda name, share: heard.append((name, share)))
    assert again.scenes == result.scenes
    assert ("1 scenes", 1.0) in heard
    assert all(0 <= share <= 1 for _, share in heard)


def test_result_is_written_as_json_and_tables(result: BenchmarkResult, out: Path) -> None:
    data = json.loads((out / "results.json").read_text())
    assert data == json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (out / "results.md").read_text() == result.markdown()
    assert data["header"]["seeds"] == [SEED]
    assert data["header"]["versions"]["mujoco"]
    text = result.table()
    for words in (
        "Acceptance",
        "contact: recall",
        "not run",
        "The worst 5",
        "Missed",
        "rebuilt against original",
        "MB",
    ):
        assert words in text
    assert "its own settings" in text
    assert "## Acceptance" in result.markdown()


def test_stopping_ends_the_workers(tmp_path: Path) -> None:
    def stop(name: str, share: float) -> None:
        if name.startswith("apart"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(count=1, seed=SEED, out=tmp_path, phone=SMALL, notify=stop)
    assert not multiprocessing.active_children()
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_folder_of_somebody_else_is_left_alone(tmp_path: Path, fresh: bool) -> None:
    mine = tmp_path / f"apart-table-{SEED:04d}"
    mine.mkdir()
    (mine / "thesis.txt").write_text("all of it")
    with pytest.raises(SceneError, match="not made by this benchmark"):
        run_benchmark(count=1, seed=SEED, out=tmp_path, fresh=fresh)
    assert (mine / "thesis.txt").exists()


def test_unwritable_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SceneError, match="cannot write"):
        run_benchmark(count=1, out=tmp_path / "file" / "bench")


# Scenes rebuilt by hand -----------------------------------------------------------------------------------------------


def rebuilt(
    truth: GroundTruthScene, folder: Path, world: np.ndarray, objects: list[TruthObject], frozen: tuple[str, ...] = ()
) -> Scene:
    """A scene of exactly these objects, each colliding as one hull, in a world that `world` takes to the truth."""
    wood = Estimate(value=0.5, low=0.3, high=0.8, source="test")
    inverse = np.linalg.inv(world)
    items = []
    for number, o in enumerate(objects):
        corners = (o.vertices - o.box_center) @ turned(o.yaw)
        mesh = trimesh.Trimesh(corners, o.faces, process=False)
        mesh.export(folder / f"{number}.obj")
        mesh.convex_hull.export(folder / f"{number}_hull.obj")
        hull = mesh.convex_hull
        hull.density = o.mass / hull.volume
        i = hull.moment_inertia
        size = tuple(float(v) for v in np.ptp(corners, axis=0))
        place = tuple(inverse[:3, :3] @ o.box_center + inverse[:3, 3] + np.array([0, 0, 1e-4]))
        yaw = o.yaw + np.arctan2(inverse[1, 0], inverse[0, 0])
        notes = (f"It fell; {FROZEN_NOTE}.",) if o.name in frozen else ()
        items.append(
            SceneObject(
                name=f"found_{number}",
                category=o.category,
                mobility="fixed" if o.name in frozen else "free",
                size=size,
                support="table",
                body=Body(
                    pose=Pose(position=place, quaternion=(np.cos(yaw / 2), 0, 0, np.sin(yaw / 2))),
                    collision=(CollisionGeom(shape="mesh", size=size, mesh=f"{number}_hull.obj"),),
                    visual=Visual(mesh=f"{number}.obj"),
                    inertial=Inertial(
                        mass=Estimate(value=o.mass, low=o.mass, high=o.mass, source="test"),
                        com=tuple(hull.center_mass),
                        inertia=(i[0, 0], i[1, 1], i[2, 2], i[0, 1], i[0, 2], i[1, 2]),
                    ),
                    friction=Estimate(value=o.friction, low=o.friction, high=o.friction, source="test"),
                ),
                provenance=Provenance(completion="exact", observed_fraction=1, fit_error=0, notes=notes),
            )
        )
    middle = inverse[:3, :3] @ [*truth.surface_center, truth.surface_height] + inverse[:3, 3]
    table = Surface(
        name="table",
        kind="table",
        pose=Pose(position=(middle[0], middle[1], middle[2] - 0.05)),
        size=(3.0, 3.0, 0.1),
        friction=wood,
    )
    scene = Scene(name="rebuilt", surfaces=(table,), objects=tuple(items), settled=True)
    # The capture's world is the rebuilt world here.
    return scene.model_copy(update={"source": {"world_from_capture": np.eye(4).tolist()}}).in_folder(folder)


def turned(yaw: float) -> np.ndarray:
    return np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])


def shifted(yaw: float = 0.0, height: float = 0.0) -> np.ndarray:
    world = np.eye(4)
    world[:3, :3] = turned(yaw)
    world[:3, 3] = [0.3, -0.1, height]
    return world


def test_exact_scene_scores_full_marks(truth: GroundTruthScene, tmp_path: Path) -> None:
    world = shifted(yaw=0.5)
    score = score_scene(truth, rebuilt(truth, tmp_path, world, list(truth.objects)), world)
    assert len(score.objects) == score.true_objects == score.found_objects == score.well_found
    assert not score.missed
    assert not score.false
    assert not score.unstable
    assert score.support_shift_mm == pytest.approx(0, abs=1e-6)
    for item in score.objects:
        # Not quite one for round things: they are polygons, whose box depends a little on its yaw.
        assert item.box_iou > 0.97
        assert item.yaw_deg is None or item.yaw_deg < 0.01
        assert item.solid_iou == pytest.approx(1, abs=0.01)
        assert item.center_mm < 0.3
        assert item.mass_ratio == pytest.approx(1)
        assert item.stable
        # One hull instead of several parts, a tenth of a millimetre of air: nearly the same motion.
        assert not any(m.failure for m in item.motions)


def test_height_of_the_phone_is_taken_out_and_told(truth: GroundTruthScene, tmp_path: Path) -> None:
    scene = rebuilt(truth, tmp_path, shifted(), list(truth.objects))
    score = score_scene(truth, scene, shifted(height=0.006))
    assert score.support_shift_mm == pytest.approx(-6, abs=1e-6)
    assert all(item.center_mm < 0.3 for item in score.objects)
    # Too far: that is another surface.
    lost = score_scene(truth, scene, shifted(height=0.3))
    assert lost.support_shift_mm is None
    assert len(lost.missed) == 3


def test_faults_are_named(truth: GroundTruthScene, tmp_path: Path) -> None:
    """One missing, one twice as far away, one fixed in place."""
    first, second, third = truth.objects
    step = np.array([0.0, 0.4, 0.0])
    away = replace(second, vertices=second.vertices + step, box_center=second.box_center + step)
    scene = rebuilt(truth, tmp_path, shifted(), [away, third], frozen=(third.name,))
    score = score_scene(truth, scene, shifted())
    assert [f.name for f in score.missed] == [first.name, second.name]
    assert all("nothing was rebuilt there" in f.reason for f in score.missed)
    assert [f.name for f in score.false] == ["found_0"]
    assert "no true object there" in score.false[0].reason
    assert score.frozen == ("found_1",)
    (item,) = score.objects
    assert item.frozen
    assert not item.stable
    assert [m.kind for m in item.motions if m.failure] == ["push +x", "push +y", "drop", "tilted drop"]


def test_failed_scan_misses_everything(truth: GroundTruthScene, result: BenchmarkResult) -> None:
    score = failed_scene(truth, "no depth")
    whole = BenchmarkResult(result.header, (score,))
    recall = next(check for check in whole.checks() if check.name == "apart: recall")
    assert recall.value == 0
    assert not recall.passed
    assert "not rebuilt: no depth" in whole.table()
    json.dumps(whole.to_dict(), allow_nan=False)

"""The benchmark's scenes: is the truth true? Volumes by formula, gaps by surface distance, rest by simulating on."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks import ground_truth_objects as objects
from pocketworlds.benchmarks.ground_truth_scenes import (
    GroundTruthScene,
    benchmark_set,
    generate_scene,
    truth_record,
    write_scene,
)
from pocketworlds.real2sim.phone import PhoneModel
from scipy.spatial import cKDTree

MAKERS = {
    **objects.MAKERS,
    "hammer": objects.make_hammer,
    "screwdriver": objects.make_screwdriver,
    "wrench": objects.make_wrench,
}
CASES = [(0, "apart", "table"), (4, "apart", "floor"), (1, "contact", "table"), (5, "contact", "floor")]


@functools.cache
def scene(seed: int, layout: str, support: str) -> GroundTruthScene:
    return generate_scene(seed, layout, support)  # type: ignore[arg-type]


def surface(vertices: np.ndarray, faces: np.ndarray, spacing: float = 0.004) -> np.ndarray:
    """Points on a mesh, no farther apart than `spacing`."""
    points, _ = trimesh.remesh.subdivide_to_size(vertices, faces, spacing, max_iter=12)
    return np.asarray(points)


@pytest.mark.parametrize("kind", sorted(MAKERS))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_solids_are_closed_and_stand_on_zero(kind: str, seed: int) -> None:
    blueprint = MAKERS[kind](np.random.default_rng(seed))
    mesh = blueprint.solid.mesh()
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    assert abs(mesh.bounds[0, 2]) < 1e-6
    assert 0.02 < blueprint.mass < 3.0
    assert 0.004 < min(mesh.extents) < max(mesh.extents) < 0.35
    density = blueprint.mass / mesh.volume
    assert 200 < density < 7900
    centre, inertia = blueprint.inertial()
    assert trimesh.bounds.contains(mesh.bounds, [centre])[0]
    a, b, c = np.linalg.eigvalsh(inertia)
    assert a > 0
    assert c <= a + b + 1e-12
    assert len(mesh.vertices) < 400


def test_volumes_by_formula() -> None:
    box = objects.make_box(np.random.default_rng(1))
    assert box.solid.mesh().volume == pytest.approx(np.prod(8 * np.array(box.parts[0].size)) / 64, rel=1e-9)
    can = objects.make_can(np.random.default_rng(1))
    radius, half = can.parts[0].size
    prism = 0.5 * 32 * np.sin(2 * np.pi / 32) * radius**2 * 2 * half
    assert can.solid.mesh().volume == pytest.approx(prism, rel=1e-9)
    assert can.mass == pytest.approx(0.36, abs=0.15)


@pytest.mark.parametrize("make", [objects.make_bowl, objects.make_mug])
def test_bowl_and_mug_are_hollow(make: Callable[[np.random.Generator], objects.Blueprint]) -> None:
    """Little material for their hull, and no collision part fills the cavity from floor to rim."""
    for seed in range(5):
        blueprint = make(np.random.default_rng(seed))
        mesh = blueprint.solid.mesh()
        assert mesh.volume < 0.5 * mesh.convex_hull.volume
        height = mesh.bounds[1, 2]
        column = np.stack([np.zeros(20), np.zeros(20), np.linspace(0.1, 1.0, 20) * height], axis=-1)
        column += [0.012, 0.005, 0.0]
        for part in blueprint.parts:
            assert np.all(_outside_hull(column[2:], _part_mesh(part)) > 0)


@pytest.mark.parametrize("kind", ["bowl", "mug", "hammer", "wrench", "bottle"])
def test_collision_parts_cover_the_solid_and_little_else(kind: str) -> None:
    """Every surface point lies within 1.5 mm of a part, every part corner within 1.5 mm of the solid."""
    blueprint = MAKERS[kind](np.random.default_rng(5))
    mesh = blueprint.solid.mesh()
    hulls = [_part_mesh(part) for part in blueprint.parts]
    points = surface(mesh.vertices, mesh.faces, 0.008)
    away = np.min([_outside_hull(points, hull) for hull in hulls], axis=0)
    assert np.percentile(away, 99) < 0.0015
    corners = np.concatenate([hull.vertices for hull in hulls])
    protrude = _outside_hull(corners, mesh.convex_hull)
    assert protrude.max() < 0.0015


def _part_mesh(part: objects.Part) -> trimesh.Trimesh:
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, np.array(part.quat))
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = turn.reshape(3, 3), part.pos
    if part.kind == "box":
        mesh = trimesh.creation.box(2 * np.array(part.size))
    elif part.kind == "cylinder":
        mesh = trimesh.creation.cylinder(part.size[0], 2 * part.size[1])
    elif part.kind == "capsule":
        mesh = trimesh.creation.capsule(height=2 * part.size[1], radius=part.size[0], count=[8, 8])
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
    else:
        return trimesh.convex.convex_hull(part.points)
    return mesh.apply_transform(frame)


def _outside_hull(points: np.ndarray, hull: trimesh.Trimesh) -> np.ndarray:
    """How far points lie outside a convex mesh (a lower bound, 0 inside)."""
    normal, origin = hull.face_normals, hull.triangles[:, 0]
    return np.maximum(np.max(points @ normal.T - np.sum(normal * origin, axis=1), axis=1), 0.0)


@pytest.mark.parametrize("case", CASES)
def test_scene_is_at_rest(case: tuple[int, str, str]) -> None:
    s = scene(*case)
    model, data = s.simulation()
    assert data.ncon > 0
    assert data.contact.dist.min() > -0.001
    start, fastest = data.qpos.copy(), 0.0
    for _ in range(250):
        mujoco.mj_step(model, data)
        fastest = max(fastest, float(np.abs(data.qvel).max()))
    assert fastest < 0.01
    assert np.abs(data.qpos - start).max() < 0.001


@pytest.mark.parametrize("case", CASES)
def test_truth_is_the_model(case: tuple[int, str, str]) -> None:
    """Vertices, mass and height of the truth against the compiled model and its visual meshes."""
    s = scene(*case)
    model, data = s.simulation()
    for o in s.objects:
        body = model.body(o.name).id
        assert model.body_mass[body] == pytest.approx(o.mass)
        assert np.allclose(data.xpos[body], o.position)
        mesh = trimesh.Trimesh(o.vertices, o.faces, process=False)
        assert mesh.is_watertight
        assert mesh.volume == pytest.approx(o.volume)
        drawn = []
        for g in np.flatnonzero((model.geom_bodyid == body) & (model.geom_group == 2)):
            m = model.geom_dataid[g]
            local = model.mesh_vert[model.mesh_vertadr[m] :][: model.mesh_vertnum[m]]
            drawn.append(local @ data.geom_xmat[g].reshape(3, 3).T + data.geom_xpos[g])
        drawn_points = np.concatenate(drawn)
        assert np.allclose(drawn_points.min(axis=0), o.vertices.min(axis=0), atol=2e-5)
        assert np.allclose(drawn_points.max(axis=0), o.vertices.max(axis=0), atol=2e-5)
        # The box holds every vertex, and touches it on all six sides.
        c, q = np.cos(o.yaw), np.sin(o.yaw)
        local = (o.vertices - o.box_center) @ np.array([[c, -q, 0], [q, c, 0], [0, 0, 1]])
        assert np.allclose(local.max(axis=0), o.box_size / 2, atol=1e-9)
        assert np.allclose(local.min(axis=0), -o.box_size / 2, atol=1e-9)
        if o.stands_on in ("table", "floor"):
            assert o.vertices[:, 2].min() == pytest.approx(s.surface_height, abs=0.001)
        else:
            below = next(b for b in s.objects if b.name == o.stands_on)
            assert o.vertices[:, 2].min() == pytest.approx(below.vertices[:, 2].max(), abs=0.001)
            assert below.name in o.touches


@pytest.mark.parametrize("case", CASES)
def test_layout_keeps_its_word(case: tuple[int, str, str]) -> None:
    """Distances between sampled surfaces, which the generator never looks at."""
    s = scene(*case)
    trees = [cKDTree(surface(o.vertices, o.faces)) for o in s.objects]
    gap = np.full((len(trees), len(trees)), np.inf)
    for i, a in enumerate(trees):
        for j in range(i):
            gap[i, j] = gap[j, i] = a.query(trees[j].data)[0].min()
    if s.layout == "apart":
        assert gap.min() >= 0.0195
        assert not any(o.touches for o in s.objects)
        assert all(o.stands_on == s.support for o in s.objects)
        return
    touching = 0
    for i, a in enumerate(s.objects):
        for j, b in enumerate(s.objects):
            if b.name in a.touches:
                assert a.name in b.touches
                assert gap[i, j] < 0.005  # 1 mm, plus the spacing of the samples
                touching += 1
            elif i != j:
                assert gap[i, j] > 0.0005
    stacked = sum(o.stands_on != s.support for o in s.objects)
    assert stacked >= 1
    assert touching // 2 > stacked  # so some touch side by side


def test_scene_is_a_pure_function_of_its_arguments() -> None:
    first, second = generate_scene(3, "contact", "table"), generate_scene(3, "contact", "table")
    assert json.dumps(truth_record(first)) == json.dumps(truth_record(second))
    assert np.array_equal(first.model.tex_data, second.model.tex_data)
    other = generate_scene(3, "apart", "table")
    assert truth_record(first)["objects"] != truth_record(other)["objects"]


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    layout=st.sampled_from(["apart", "contact"]),
    support=st.sampled_from(["table", "floor"]),
)
def test_any_seed_gives_a_sound_scene(seed: int, layout: str, support: str) -> None:
    s = generate_scene(seed, layout, support)  # type: ignore[arg-type]
    assert 3 <= len(s.objects) <= 10
    assert len({o.name for o in s.objects}) == len(s.objects)
    assert s.model.nv == 6 * len(s.objects)
    assert (s.surface_size is None) == (support == "floor")
    assert support == "floor" or 0.4 <= s.surface_height <= 0.8
    visible = s.model.geom_dataid[(s.model.geom_group == 2) & (s.model.geom_dataid >= 0)]
    assert s.model.mesh_vertnum[visible].sum() < 4500
    for o in s.objects:
        assert np.all(np.isfinite(o.vertices))
        assert o.vertices[:, 2].min() > s.surface_height - 0.001
        if s.surface_size is not None:
            assert np.all(np.abs(o.vertices[:, :2] - s.surface_center) < np.array(s.surface_size) / 2)
    path = s.path()
    assert 90 <= path.frames <= 120
    assert 200 <= abs(path.sweep_deg) <= 360


def test_pushing_the_scene_moves_the_object() -> None:
    """It is a simulation: a push of 3 N sends the first free-standing box or can sliding, and nothing explodes."""
    s = scene(0, "apart", "table")
    model, data = s.simulation()
    target = min(s.objects, key=lambda o: o.mass)
    body = model.body(target.name).id
    for step in range(500):
        data.xfrc_applied[body, 0] = 3.0 if step < 100 else 0.0
        mujoco.mj_step(model, data)
    assert np.linalg.norm(data.xpos[body] - target.position) > 0.01
    assert np.all(np.isfinite(data.qpos))
    assert not any(w.number for w in data.warning)


def test_written_scene_is_complete(tmp_path: Path) -> None:
    s = scene(1, "contact", "table")
    home = write_scene(s, tmp_path, phone=PhoneModel(width=320, height=240))
    record = json.loads((home / "truth.json").read_text())
    assert record["name"] == s.name == home.name
    assert np.array(record["world_from_arkit_zup"]).shape == (4, 4)
    assert len(record["world_from_camera"]) == len(list((home / "capture" / "depth").glob("*.png"))) == s.path().frames
    for entry, truth in zip(record["objects"], s.objects, strict=True):
        mesh = trimesh.load(home / entry["mesh"], process=False)
        assert mesh.volume == pytest.approx(truth.volume, rel=1e-3)
        assert np.allclose(mesh.bounds, [truth.vertices.min(axis=0), truth.vertices.max(axis=0)], atol=1e-6)
        assert mesh.bounds.mean(axis=0) == pytest.approx(
            (truth.vertices.min(axis=0) + truth.vertices.max(axis=0)) / 2, abs=1e-6
        )
    assert not (home / "poses.json").exists()


def test_set_alternates() -> None:
    rows = list(benchmark_set(24))
    assert len({seed for seed, _, _ in rows}) == 24
    assert sum(layout == "apart" for _, layout, _ in rows) == 12
    assert sum(support == "floor" for _, _, support in rows) == 8

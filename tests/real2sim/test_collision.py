from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh
from pocketworlds.real2sim.capture import Float
from pocketworlds.real2sim.collision import CollisionShape, build_collision
from pocketworlds.real2sim.meshing import ObjectMesh, body_frame
from pocketworlds.scenes import convex
from pocketworlds.scenes.convex import MAX_PARTS, MAX_VERTICES

from . import synthetic
from .synthetic import BOTTLE


def object_mesh(mesh: trimesh.Trimesh) -> ObjectMesh:
    """A mesh in its body frame, which sits at the middle of its bounding box."""
    low, high = mesh.bounds
    vertices = np.asarray(mesh.vertices) - (low + high) / 2
    return ObjectMesh(vertices, np.asarray(mesh.faces, np.int64), high - low, body_frame((low + high) / 2, 0.0))


def bowl() -> ObjectMesh:
    return object_mesh(synthetic.revolved(synthetic.bowl_profile(), (0, 0)).mesh)


def step() -> ObjectMesh:
    """An L in side view: two boxes glued together."""
    lower = trimesh.creation.box((0.2, 0.1, 0.05))
    upper = trimesh.creation.box((0.08, 0.1, 0.1), trimesh.transformations.translation_matrix((-0.06, 0, 0.075)))
    return object_mesh(trimesh.boolean.union([lower, upper], engine="manifold"))


def union_of(shapes: list[CollisionShape]) -> list[trimesh.Trimesh]:
    parts = []
    for shape in shapes:
        assert shape.vertices is not None
        parts.append(trimesh.Trimesh(shape.vertices, shape.faces))
    return parts


def covered(points: Float, parts: list[trimesh.Trimesh], slack: float) -> Float:
    """Which points lie within `slack` [m] of any convex part, by its face planes."""
    found = np.zeros(len(points), bool)
    for part in parts:
        planes = np.column_stack([part.face_normals, -(part.face_normals * part.triangles[:, 0]).sum(axis=1)])
        found |= (points @ planes[:, :3].T + planes[:, 3] <= slack).all(axis=1)
    return found


@pytest.mark.parametrize("method", ["box", "cylinder", "sphere"])
def test_primitive_stays_primitive(method: str) -> None:
    mesh = object_mesh(trimesh.creation.box((0.1, 0.1, 0.1)))
    (shape,), how = build_collision(mesh, method)
    assert how == "primitive"
    assert shape.shape == method
    np.testing.assert_array_equal(shape.size, mesh.size)
    assert shape.vertices is None


def test_lying_cylinder_lies_along_x() -> None:
    turn = trimesh.transformations.rotation_matrix(np.pi / 2, [0, 1, 0])
    mesh = object_mesh(trimesh.creation.cylinder(0.02, 0.15, transform=turn))
    (shape,), how = build_collision(mesh, "lying cylinder")
    assert how == "primitive"
    assert shape.shape == "cylinder"
    np.testing.assert_allclose(shape.size, (0.04, 0.04, 0.15), atol=1e-9)
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, shape.quaternion)
    np.testing.assert_allclose(np.abs(rotation.reshape(3, 3) @ [0, 0, 1]), [1, 0, 0], atol=1e-12)


def test_nearly_convex_shape_becomes_one_hull_within_budget() -> None:
    bottle = synthetic.revolved([(0, 0), (0.04, 0), (0.04, 0.1), (0.03, 0.13), (0, 0.13)], (0, 0)).mesh
    mesh = object_mesh(bottle)
    (shape,), how = build_collision(mesh, "revolution")
    assert how == "hull"
    assert shape.vertices is not None
    assert len(shape.vertices) <= MAX_VERTICES
    hull = trimesh.Trimesh(shape.vertices, shape.faces)
    assert hull.is_convex
    # Vertices are dropped, never moved: the reduced hull lies inside, and has lost little.
    assert (np.abs(shape.vertices) <= mesh.size / 2 + 1e-9).all()
    assert bottle.volume * 0.9 < hull.volume <= bottle.volume * 1.001
    # It still reaches the base and the top: it will stand where the scan saw it, and as high.
    np.testing.assert_allclose([shape.vertices[:, 2].min(), shape.vertices[:, 2].max()], [-0.065, 0.065], atol=1e-6)


@pytest.mark.parametrize(("make", "volume_rel"), [(step, 0.1), (bowl, 0.5)], ids=["step", "bowl"])
def test_convex_parts_cover_the_mesh_and_stay_within_its_box(make: type, volume_rel: float) -> None:
    mesh: ObjectMesh = make()
    shapes, how = build_collision(mesh, "carved")
    assert how == "coacd"
    assert 2 <= len(shapes) <= MAX_PARTS
    parts = union_of(shapes)
    for shape, part in zip(shapes, parts, strict=True):
        assert shape.shape == "mesh"
        assert part.is_watertight
        assert part.is_convex
        assert len(part.vertices) <= MAX_VERTICES
        assert (np.abs(part.vertices) <= mesh.size / 2 + 1e-9).all()
        np.testing.assert_allclose(shape.size, np.ptp(part.vertices, axis=0))
    inside = trimesh.sample.volume_mesh(mesh.trimesh(), 3000)
    assert covered(inside, parts, 1e-6).mean() > 0.97
    surface, _ = trimesh.sample.sample_surface(mesh.trimesh(), 3000, seed=0)
    assert covered(np.asarray(surface), parts, 0.003).mean() > 0.98
    union = trimesh.boolean.union(parts, engine="manifold").volume
    assert union == pytest.approx(mesh.trimesh().volume, rel=volume_rel)


def test_step_keeps_its_notch() -> None:
    shapes, _ = build_collision(step(), "carved")
    notch = np.array([[0.05, 0.0, 0.05], [0.0, 0.03, 0.03], [0.09, -0.04, 0.06]])
    assert not covered(notch, union_of(shapes), 0.0).any()


def test_ball_dropped_into_a_bowl_rests_inside() -> None:
    mesh = bowl()
    shapes, _ = build_collision(mesh, "revolution")
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    body = spec.worldbody.add_body(pos=[0, 0, mesh.size[2] / 2])
    for number, shape in enumerate(shapes):
        assert shape.vertices is not None
        assert shape.faces is not None
        spec.add_mesh(
            name=f"part{number}", uservert=shape.vertices.ravel(), userface=shape.faces.ravel().astype(np.int32)
        )
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"part{number}")
    radius = 0.015
    ball = spec.worldbody.add_body(pos=[0.02, 0.01, 0.12])
    ball.add_freejoint()
    ball.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[radius, 0, 0], mass=0.02, friction=[0.6, 0.02, 0.01], condim=6
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, nstep=int(4 / model.opt.timestep))
    x, y, z = data.body(2).xpos
    # The floor of the bowl is 8 mm thick; CoACD may fill its inside by a few millimetres.
    assert np.hypot(x, y) < 0.035
    assert z == pytest.approx(0.008 + radius, abs=0.008)
    assert np.linalg.norm(data.qvel) < 0.05


def test_every_shape_compiles_in_mujoco() -> None:
    for mesh in (step(), object_mesh(synthetic.revolved(BOTTLE, (0, 0)).mesh)):
        shapes, _ = build_collision(mesh, "carved")
        spec = mujoco.MjSpec()
        body = spec.worldbody.add_body()
        for number, shape in enumerate(shapes):
            assert shape.vertices is not None
            spec.add_mesh(name=f"part{number}", uservert=shape.vertices.ravel())
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"part{number}")
        assert spec.compile().ngeom == len(shapes)


def test_decomposition_is_deterministic() -> None:
    first, second = (build_collision(step(), "carved")[0] for _ in range(2))
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.vertices, two.vertices)


def test_crashed_decomposition_costs_detail_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convex, "_decompose", lambda mesh: None)
    mesh = step()
    (shape,), how = build_collision(mesh, "carved")
    assert how == "hull (decomposition failed)"
    np.testing.assert_allclose(shape.size, mesh.size, atol=1e-9)


def test_script_without_main_guard_is_not_run_again(tmp_path: Path) -> None:
    """A user's three-line script decomposes once; it must not be imported again by the process that decomposes."""
    script = tmp_path / "mine.py"
    script.write_text(
        "import trimesh\n"
        "from pocketworlds.real2sim.collision import build_collision\n"
        "from pocketworlds.real2sim.meshing import ObjectMesh\n"
        "import numpy as np\n"
        "ring = trimesh.creation.annulus(0.04, 0.06, 0.05, sections=16)\n"
        "points, faces = np.asarray(ring.vertices), np.asarray(ring.faces)\n"
        "mesh = ObjectMesh(points, faces, np.ptp(points, axis=0), np.eye(4))\n"
        "print(build_collision(mesh, 'carved')[1])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["coacd"], done.stderr


@pytest.mark.parametrize("trouble", ["import os; os._exit(3)", "import time; time.sleep(60)", "print('no pickle')"])
def test_decomposition_that_fails_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{trouble}"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setattr(convex, "TIME_LIMIT", 1.0)
    _, how = build_collision(step(), "carved")
    assert how == "hull (decomposition failed)"


def test_flat_thin_parts_are_dropped_not_handed_to_mujoco(monkeypatch: pytest.MonkeyPatch) -> None:
    sliver = trimesh.creation.box((0.1, 0.05, 1e-6)).vertices
    solid = trimesh.creation.box((0.1, 0.05, 0.02)).vertices
    monkeypatch.setattr(convex, "_decompose", lambda mesh: [np.asarray(sliver), np.asarray(solid)])
    shapes, how = build_collision(step(), "carved")
    assert how == "coacd"
    assert len(shapes) == 1
    np.testing.assert_allclose(shapes[0].size, (0.1, 0.05, 0.02))

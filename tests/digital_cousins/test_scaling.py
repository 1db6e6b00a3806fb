"""Stretched objects against textbook inertias, a mesh library, and MuJoCo."""

from __future__ import annotations

import math
from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.digital_cousins.scaling import heavier_part, rotation, stretched, with_mass
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.scenes import Scene, SceneObject
from pocketworlds.scenes.mjcf import compile_scene
from pocketworlds.scenes.scene import (
    Body,
    CollisionGeom,
    Estimate,
    Handle,
    Inertial,
    Joint,
    Part,
    Pose,
    Surface,
    Vec3,
    Visual,
)

FACTOR = st.floats(0.5, 2.0)
FACTORS = st.tuples(FACTOR, FACTOR, FACTOR)


def exact(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, source="test")


def solid(mesh: trimesh.Trimesh, density: float = 500.0) -> Inertial:
    mesh.density = density
    i = mesh.moment_inertia
    return Inertial(
        mass=exact(mesh.mass),
        com=tuple(mesh.center_mass),
        inertia=(i[0, 0], i[1, 1], i[2, 2], i[0, 1], i[0, 2], i[1, 2]),
    )


def thing(shape: CollisionGeom, inertial: Inertial, **more: object) -> SceneObject:
    body = Body(collision=(shape,), inertial=inertial, friction=exact(0.7), visual=more.pop("visual", Visual()))  # type: ignore[arg-type]
    return SceneObject(name="thing", category="box", mobility="free", size=shape.size, body=body, **more)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(FACTORS)
def test_inertia_of_a_stretched_shape_is_that_of_the_stretched_mesh(factors: Vec3):
    mesh = trimesh.creation.cone(0.05, 0.12, sections=16)  # its centre of mass is not its frame
    mesh.apply_transform(trimesh.transformations.rotation_matrix(0.7, [1, 2, 3]))  # nor are its axes principal ones
    item = thing(CollisionGeom(shape="box", size=tuple(mesh.extents)), solid(mesh))
    found = stretched(item, factors).body.inertial
    grown = mesh.copy()
    grown.apply_scale(factors)
    expected = solid(grown)
    assert found.mass.value == pytest.approx(expected.mass.value, rel=1e-9)
    np.testing.assert_allclose(found.com, expected.com, atol=1e-12)
    np.testing.assert_allclose(found.inertia, expected.inertia, rtol=1e-6, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(FACTORS)
def test_stretching_back_gives_the_same_box(factors: Vec3):
    mesh = trimesh.creation.box((0.1, 0.06, 0.03))
    item = thing(CollisionGeom(shape="box", size=(0.1, 0.06, 0.03), pose=Pose(position=(0.01, 0, 0))), solid(mesh))
    back = stretched(stretched(item, factors), tuple(1 / f for f in factors))  # type: ignore[arg-type]
    np.testing.assert_allclose(back.body.collision[0].size, item.body.collision[0].size, rtol=1e-12)
    np.testing.assert_allclose(back.body.inertial.inertia, item.body.inertial.inertia, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(back.size, item.size, rtol=1e-12)


def test_a_cylinder_stays_round_and_a_leaning_board_keeps_its_angles():
    inertial = solid(trimesh.creation.cylinder(0.03, 0.1))
    round_ = stretched(thing(CollisionGeom(shape="cylinder", size=(0.06, 0.06, 0.1)), inertial), (1.2, 1.0, 0.5))
    np.testing.assert_allclose(round_.body.collision[0].size, (0.066, 0.066, 0.05))
    half = math.radians(45) / 2
    leaning = Pose(position=(0.1, 0, 0), quaternion=(math.cos(half), 0, 0, math.sin(half)))
    board = stretched(thing(CollisionGeom(shape="box", size=(0.1, 0.02, 0.3), pose=leaning), inertial), (2.0, 1.0, 1.0))
    grown = math.sqrt((2.0**2 + 1.0) / 2)  # a line at 45 degrees
    np.testing.assert_allclose(board.body.collision[0].size, (0.1 * grown, 0.02 * grown, 0.3))
    assert board.body.collision[0].pose.position == (0.2, 0.0, 0.0)
    assert board.body.collision[0].pose.quaternion == leaning.quaternion


def test_meshes_are_stretched_by_mujoco_without_new_files(tmp_path: Path):
    mesh = trimesh.creation.icosphere(2, 0.05)
    mesh.export(tmp_path / "ball.obj")
    shape = CollisionGeom(shape="mesh", size=(0.1, 0.1, 0.1), mesh="ball.obj")
    item = stretched(thing(shape, solid(mesh), visual=Visual(mesh="ball.obj")), (1.5, 1.0, 0.5))
    assert item.body.collision[0].size == pytest.approx((0.15, 0.1, 0.05))
    floor = Surface(name="floor", kind="floor", pose=Pose(), size=(1, 1, 0.1), friction=exact(0.8))
    model = compile_scene(Scene(name="ball", surfaces=(floor,), objects=(item,)).in_folder(tmp_path))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    for geom in ("thing_collision_0", "thing_visual"):
        which = model.geom(geom)
        low = model.mesh_vertadr[which.dataid[0]]
        points = model.mesh_vert[low : low + model.mesh_vertnum[which.dataid[0]]]
        points = points @ data.geom(geom).xmat.reshape(3, 3).T + data.geom(geom).xpos
        np.testing.assert_allclose(np.ptp(points, axis=0), (0.15, 0.1, 0.05), rtol=1e-5)


def test_a_drawer_goes_as_much_farther_as_its_cabinet_is_deeper():
    inertial = solid(trimesh.creation.box((0.3, 0.4, 0.1)))
    front = Body(
        pose=Pose(position=(0.2, 0.0, 0.05)),
        collision=(CollisionGeom(shape="box", size=(0.3, 0.4, 0.1)),),
        inertial=inertial,
        friction=exact(0.5),
    )
    drawer = Part(
        name="drawer",
        joint=Joint(kind="slide", axis=(1, 0, 0), range=(0.0, 0.25)),
        body=front,
        handle=Handle(position=(0.17, 0, 0), axis=(0, 1, 0), outward=(1, 0, 0)),
    )
    item = thing(CollisionGeom(shape="box", size=(0.4, 0.5, 0.3)), inertial, parts=(drawer,))
    found = stretched(item, (1.2, 1.0, 0.5)).parts[0]
    assert found.joint.range == pytest.approx((0.0, 0.3))
    assert found.body.pose.position == pytest.approx((0.24, 0.0, 0.025))
    assert found.handle is not None
    assert found.handle.position == pytest.approx((0.204, 0, 0))


def test_mass_and_inertia_grow_together():
    item = thing(CollisionGeom(shape="box", size=(0.1, 0.1, 0.1)), solid(trimesh.creation.box((0.1, 0.1, 0.1))))
    heavy = with_mass(item.body, 3.0)
    assert heavy.inertial.mass.value == pytest.approx(3 * item.body.inertial.mass.value)
    np.testing.assert_allclose(heavy.inertial.inertia, 3 * np.array(item.body.inertial.inertia))


def sag(button: SceneObject) -> float:
    """How far [m] a button's cap goes down where it weighs twice as much, in MuJoCo, without dry friction."""
    part = button.parts[0]
    joint = part.joint.model_copy(update={"friction_loss": 0.0, "range": (-1.0, 1.0)})
    item = button.model_copy(update={"parts": (part.model_copy(update={"joint": joint}),), "support": "floor"})
    floor = Surface(name="floor", kind="floor", pose=Pose(), size=(1, 1, 0.1), friction=exact(0.8))
    model = compile_scene(Scene(name="button", surfaces=(floor,), objects=(item,)))
    model.geom_contype[:] = 0
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 4000)
    assert abs(data.joint(f"{part.name}_joint").qpos[0]) < 1e-9
    model.opt.gravity[:] *= 2
    mujoco.mj_step(model, data, 4000)
    return float(data.joint(f"{part.name}_joint").qpos[0])


def test_a_spring_still_bears_a_part_that_weighs_more():
    stove = builtin_scene("kitchen").object("stove")
    before = sag(stove)
    assert before == pytest.approx(0.05 * 9.81 / 400, rel=1e-3)
    heavy = stove.model_copy(update={"parts": (heavier_part(stove.parts[0], 3.0),)})
    assert sag(heavy) == pytest.approx(before, rel=1e-3)
    assert sag(stretched(stove, (1.3, 1.1, 1.4))) == pytest.approx(before, rel=1e-3)


def test_rotation_is_mujocos():
    rng = np.random.default_rng(0)
    for _ in range(20):
        q = rng.normal(size=4)
        q /= np.linalg.norm(q)
        expected = np.zeros(9)
        mujoco.mju_quat2Mat(expected, q)
        np.testing.assert_allclose(rotation(Pose(quaternion=tuple(q))), expected.reshape(3, 3), atol=1e-12)

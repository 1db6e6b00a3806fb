"""The compiled model: plain MJCF that opens anywhere, and physics that agrees with closed forms."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch
from pocketworlds.envs.builtin.furniture import push_button
from pocketworlds.errors import SceneError
from pocketworlds.scenes import load_scene, save_scene
from pocketworlds.scenes.mjcf import build_spec, compile_scene
from pocketworlds.scenes.scene import CollisionGeom
from pocketworlds.scenes.settle import settle

from .builders import floor, scene, textured, thing

PHYSICS = (
    "nbody", "nq", "nv", "ngeom", "njnt", "nmesh", "ntex", "nmat", "nexclude", "ncam",
    "qpos0", "body_mass", "body_inertia", "body_ipos", "body_iquat", "body_pos", "body_quat", "body_parentid",
    "geom_size", "geom_pos", "geom_quat", "geom_friction", "geom_condim", "geom_contype", "geom_group", "geom_type",
    "jnt_range", "jnt_axis", "jnt_pos", "dof_damping", "dof_frictionloss", "mesh_vert", "mesh_face", "tex_data",
)  # fmt: skip


def test_written_mjcf_is_the_same_model_to_the_last_bit(tmp_path: Path) -> None:
    bound = save_scene(textured(tmp_path), tmp_path)
    compiled, opened = compile_scene(bound), mujoco.MjModel.from_xml_path(str(tmp_path / "scene.xml"))
    for field in PHYSICS:
        np.testing.assert_array_equal(getattr(opened, field), getattr(compiled, field), err_msg=field)
    for option in ("timestep", "impratio", "cone", "integrator", "jacobian"):
        assert getattr(opened.opt, option) == getattr(compiled.opt, option)
    assert opened.body("painted").mass[0] == 0.123456789
    assert opened.qpos0[0] == 0.123456789012


def test_mjcf_opens_in_plain_mujoco_from_anywhere_and_after_moving(tmp_path: Path) -> None:
    save_scene(textured(tmp_path / "made"), tmp_path / "made")
    moved = tmp_path / "else where"
    shutil.move(tmp_path / "made", moved)
    script = """
import sys, mujoco
model = mujoco.MjModel.from_xml_path(sys.argv[1])
data = mujoco.MjData(model)
mujoco.mj_step(model, data, nstep=5000)
assert "pocketworlds" not in sys.modules
print(model.nbody, model.ntex, sum(w.number for w in data.warning))
"""
    child = subprocess.run(
        [sys.executable, "-c", script, str(moved / "scene.xml")],
        cwd="/", capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    )  # fmt: skip
    assert child.stdout.split() == ["5", "2", "0"], child.stderr


def test_mjcf_names_no_absolute_path(tmp_path: Path) -> None:
    save_scene(textured(tmp_path), tmp_path)
    text = (tmp_path / "scene.xml").read_text()
    assert str(tmp_path) not in text
    files = [element.get("file") for element in ElementTree.fromstring(text).iter() if element.get("file")]
    assert sorted(str(name) for name in files) == ["meshes/hull.obj", "meshes/shell.obj", "textures/paint.png"]


def test_layout_is_as_documented(tmp_path: Path) -> None:
    model = compile_scene(textured(tmp_path))
    assert model.joint("painted_joint").type == mujoco.mjtJoint.mjJNT_FREE
    assert model.joint("door_joint").type == mujoco.mjtJoint.mjJNT_HINGE
    assert model.joint("door_joint").range == pytest.approx([0, 1.6])
    assert model.body("cupboard").jntnum == 0
    assert model.geom("painted_collision_0").group == 3
    visual = model.geom("painted_visual")
    assert (visual.group, visual.contype, visual.conaffinity) == (2, 0, 0)
    assert model.geom("can_collision_0").group == 2
    assert model.cam_fovy[0] == pytest.approx(math.degrees(0.9))
    plain = compile_scene(textured(tmp_path), visuals=False)
    np.testing.assert_array_equal(plain.body_mass, model.body_mass)
    np.testing.assert_array_equal(plain.body_inertia, model.body_inertia)
    assert (model.ntex, model.nlight, plain.ntex, plain.nlight) == (2, 1, 0, 0)


def test_door_opens_within_its_range_and_does_not_fight_its_frame(tmp_path: Path) -> None:
    model = compile_scene(textured(tmp_path), visuals=False)
    data = mujoco.MjData(model)
    door = model.joint("door_joint")
    mujoco.mj_step(model, data, nstep=500)
    assert abs(data.qpos[door.qposadr[0]]) < 1e-3
    data.qfrc_applied[door.dofadr[0]] = 5.0
    mujoco.mj_step(model, data, nstep=5000)
    assert data.qpos[door.qposadr[0]] == pytest.approx(1.6, abs=0.05)


def test_refused_scene_is_a_scene_error(tmp_path: Path) -> None:
    made = textured(tmp_path)
    (tmp_path / "meshes/hull.obj").write_text("not a mesh")
    with pytest.raises(SceneError, match="scene 'test' cannot be simulated"):
        compile_scene(made)
    box = thing("box", (0, 0, 0.05))
    inertial = box.body.inertial.model_copy(update={"inertia": (1.0, 1.0, 100.0, 0, 0, 0)})
    broken = box.model_copy(update={"body": box.body.model_copy(update={"inertial": inertial})})
    with pytest.raises(SceneError, match="inertia"):
        save_scene(scene(broken), tmp_path)


@pytest.mark.parametrize("shape", ["box", "cylinder"])
def test_inertia_is_the_analytic_one_whatever_the_shapes_say(shape: str) -> None:
    item = thing("it", (0, 0, 0.1), shape=shape, size=(0.1, 0.1, 0.2), mass=1.5)  # type: ignore[arg-type]
    model = compile_scene(scene(item))
    body = model.body("it")
    across = 1.5 / 12 * (0.1**2 + 0.2**2) if shape == "box" else 1.5 * (3 * 0.05**2 + 0.2**2) / 12
    axial = 1.5 / 12 * 2 * 0.1**2 if shape == "box" else 1.5 * 0.05**2 / 2
    assert body.mass[0] == 1.5
    assert sorted(body.inertia) == pytest.approx(sorted([across, across, axial]), rel=1e-12)
    twice = item.body.model_copy(update={"collision": item.body.collision * 3})
    assert compile_scene(scene(item.model_copy(update={"body": twice}))).body("it").mass[0] == 1.5


@pytest.mark.parametrize(
    ("shape", "size", "volume"),
    [
        ("box", (0.1, 0.2, 0.3), 0.1 * 0.2 * 0.3),
        ("cylinder", (0.1, 0.1, 0.3), math.pi * 0.05**2 * 0.3),
        ("capsule", (0.1, 0.1, 0.3), math.pi * 0.05**2 * 0.2 + 4 / 3 * math.pi * 0.05**3),
        ("sphere", (0.1, 0.1, 0.1), 4 / 3 * math.pi * 0.05**3),
    ],
)
def test_sizes_are_full_extents(shape: str, size: tuple[float, float, float], volume: float) -> None:
    item = thing("it", (0, 0, 0.5))
    body = item.body.model_copy(update={"collision": (CollisionGeom(shape=shape, size=size),)})  # type: ignore[arg-type]
    model = compile_scene(scene(item.model_copy(update={"body": body})))
    geom = model.geom("it_collision_0")
    np.testing.assert_allclose(2 * model.geom_aabb[geom.id, 3:], size, rtol=1e-12)
    spec = mujoco.MjSpec()
    copy = spec.worldbody.add_body(name="b")
    copy.add_geom(type=int(geom.type[0]), size=geom.size, density=1.0)
    assert spec.compile().body("b").mass[0] == pytest.approx(volume, rel=1e-9)


@pytest.mark.parametrize("friction", [0.2, 0.3])
def test_box_slides_down_an_incline_as_coulomb_says(friction: float) -> None:
    angle = 0.4
    slope = floor(friction=friction, quaternion=(math.cos(angle / 2), 0, math.sin(angle / 2), 0))
    downhill = np.array([math.cos(angle), 0, -math.sin(angle)])
    normal = np.array([math.sin(angle), 0, math.cos(angle)])
    start = np.array([0.0, 0, -0.05]) + (0.05 + 0.015) * normal
    box = thing(
        "box", tuple(start.tolist()), size=(0.12, 0.12, 0.03), friction=friction,
        quaternion=(math.cos(angle / 2), 0, math.sin(angle / 2), 0),
    )  # fmt: skip
    model = compile_scene(scene(box, surfaces=(slope,)))
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, nstep=100)
    before = data.qvel[:3] @ downhill
    mujoco.mj_step(model, data, nstep=200)
    acceleration = (data.qvel[:3] @ downhill - before) / (200 * model.opt.timestep)
    expected = 9.81 * (math.sin(angle) - friction * math.cos(angle))
    assert acceleration == pytest.approx(expected, rel=0.02)


def test_box_sticks_below_the_friction_angle() -> None:
    angle = 0.3
    turned = (math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0)
    normal = np.array([math.sin(angle), 0, math.cos(angle)])
    start = np.array([0.0, 0, -0.05]) + (0.05 + 0.015) * normal
    friction = 1.15 * math.tan(angle)
    box = thing("box", tuple(start.tolist()), size=(0.12, 0.12, 0.03), friction=friction, quaternion=turned)
    model = compile_scene(scene(box, surfaces=(floor(friction=friction, quaternion=turned),)))
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, nstep=1000)
    assert np.linalg.norm(data.qpos[:3] - start) < 0.002


def test_256_copies_step_in_one_batch_bit_identically(tmp_path: Path) -> None:
    save_scene(settle(textured(tmp_path)).scene, tmp_path)
    model = compile_scene(load_scene(tmp_path))
    alone = mujoco.MjData(model)
    alone.qvel[0] = 0.3
    batch = Batch(model, nsim=256, nthread=2)
    qpos, qvel = batch.bind("qpos"), batch.bind("qvel")
    qvel[:, 0] = 0.3
    for _ in range(4):
        batch.step(nstep=25)
    mujoco.mj_step(model, alone, nstep=100)
    assert (qpos == qpos[0]).all()
    np.testing.assert_array_equal(qpos[0], alone.qpos)
    assert np.abs(qpos[0] - model.qpos0).max() > 1e-3


def test_spec_takes_a_robot(tmp_path: Path) -> None:
    spec = build_spec(textured(tmp_path))
    robot = mujoco.MjSpec.from_string(
        '<mujoco><worldbody><body name="base"><joint name="j"/><geom size=".02"/></body></worldbody></mujoco>'
    )
    spec.attach(robot, prefix="robot/", frame=spec.worldbody.add_frame(pos=[0, -0.5, 0.5]))
    assert spec.compile().joint("robot/j").type == mujoco.mjtJoint.mjJNT_HINGE


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_a_button_stands_still_until_it_is_pressed_and_then_obeys_hooke(tilt: float) -> None:
    """Its weight is borne by the spring: what presses it by a force f moves it by f / stiffness."""
    item = push_button("bell", at=(0.0, 0.0), on="floor", top=0.0)
    pose = item.body.pose.model_copy(update={"quaternion": (math.cos(tilt / 2), math.sin(tilt / 2), 0.0, 0.0)})
    smooth = item.parts[0].joint.model_copy(update={"friction_loss": 0.0})
    parts = (item.parts[0].model_copy(update={"joint": smooth}),)
    item = item.model_copy(update={"body": item.body.model_copy(update={"pose": pose}), "parts": parts})
    model = compile_scene(scene(item))
    data = mujoco.MjData(model)
    joint = model.joint("bell_cap_joint")
    mujoco.mj_step(model, data, 500)
    assert abs(data.qpos[joint.qposadr[0]]) < 1e-9
    data.qfrc_applied[joint.dofadr[0]] = 2.0
    mujoco.mj_step(model, data, 1500)
    assert data.qpos[joint.qposadr[0]] == pytest.approx(2.0 / model.jnt_stiffness[joint.id], rel=1e-4)
    data.qfrc_applied[joint.dofadr[0]] = 20.0  # the weight of two kilograms
    mujoco.mj_step(model, data, 1500)
    assert data.qpos[joint.qposadr[0]] == pytest.approx(model.jnt_range[joint.id, 1], abs=1e-3)

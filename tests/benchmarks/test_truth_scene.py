"""True scenes as environments have them: against the model that they were made of, and against its pictures."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh
from pocketworlds.benchmarks.ground_truth_scenes import GroundTruthScene, generate_scene
from pocketworlds.benchmarks.truth_scene import truth_scene
from pocketworlds.scenes import Scene, SceneObject, load_scene
from pocketworlds.scenes.folder import save_scene
from pocketworlds.scenes.mjcf import compile_scene
from pocketworlds.scenes.scene import Pose
from scipy.spatial.transform import Rotation

# All kinds of objects: boxes, cans, bottles, bowls, mugs, books and tools; on the floor and in contact, too.
CASES = [(1, "apart", "table"), (2, "apart", "table"), (5, "contact", "floor")]


def frame(truth: GroundTruthScene) -> np.ndarray:
    """Another world; a floor is at 0 in every one."""
    found = np.eye(4)
    found[:3, :3] = Rotation.from_euler("z", 0.7).as_matrix()
    found[:3, 3] = 0.3, -0.2, 0.004 if truth.support == "table" else 0.0
    return found


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def truth(request: pytest.FixtureRequest) -> GroundTruthScene:
    return generate_scene(*request.param)


@pytest.fixture(scope="module")
def scene(truth: GroundTruthScene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return truth_scene(truth, tmp_path_factory.mktemp("truth"), frame=frame(truth))


def at_rest(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def inertia_in_world(model: mujoco.MjModel, data: mujoco.MjData, name: str) -> np.ndarray:
    body = model.body(name).id
    axes = data.ximat[body].reshape(3, 3)
    return np.asarray(axes @ np.diag(model.body_inertia[body]) @ axes.T)


def test_masses_inertias_places_and_friction_are_those_of_its_model(truth: GroundTruthScene, scene: Scene) -> None:
    real, real_data = truth.simulation()
    model = compile_scene(scene, visuals=False)
    data, turn = at_rest(model), frame(truth)[:3, :3]
    assert [item.name for item in scene.objects] == [o.name for o in truth.objects]
    for o in truth.objects:
        own, other = model.body(o.name).id, real.body(o.name).id
        assert model.body_mass[own] == pytest.approx(o.mass, rel=1e-9)
        place = trimesh.transform_points([real_data.xipos[other]], frame(truth))[0]
        assert data.xipos[own] == pytest.approx(place, abs=1e-6)
        expected = turn @ inertia_in_world(real, real_data, o.name) @ turn.T
        assert inertia_in_world(model, data, o.name) == pytest.approx(expected, rel=1e-3, abs=1e-9)
        for geom in np.flatnonzero((model.geom_bodyid == own) & (model.geom_contype > 0)):
            assert model.geom_friction[geom, 0] == pytest.approx(o.friction)
        solid = trimesh.transform_points(o.vertices, frame(truth))
        item = scene.object(o.name)
        if o.yaw_symmetry == "any":
            assert item.body.pose.position == pytest.approx((solid.min(axis=0) + solid.max(axis=0)) / 2, abs=2e-3)
        assert sorted(item.size[:2]) == pytest.approx(sorted(o.box_size[:2]), abs=2e-3)
        assert item.support == o.stands_on
    for name in ("floor", *(["table"] if truth.support == "table" else [])):
        assert model.geom(name).friction[0] == real.geom(name).friction[0]


def test_hands_meet_the_same_shapes(truth: GroundTruthScene, scene: Scene) -> None:
    """Heights by rays from above, where no edge is near: an edge may be missed by rounding."""
    real, real_data = truth.simulation()
    model = compile_scene(scene, visuals=False)
    data = at_rest(model)
    rng = np.random.default_rng(0)
    group = np.array([0, 0, 1, 1, 0, 0], dtype=np.uint8)
    apart = []
    for o in truth.objects:
        own, other = model.body(o.name).id, real.body(o.name).id
        for x, y in rng.uniform(o.vertices.min(axis=0)[:2], o.vertices.max(axis=0)[:2], (60, 2)):
            point = np.array([x, y, truth.surface_height + 0.5])
            there = trimesh.transform_points([point], frame(truth))[0]
            hits = []
            for each, state, start, body in ((real, real_data, point, other), (model, data, there, own)):
                seen, geom = each.geom_group.copy(), np.zeros(1, dtype=np.int32)
                each.geom_group[:] = np.where(each.geom_contype > 0, 3, 0)
                distance = mujoco.mj_ray(each, state, start, np.array([0, 0, -1.0]), group, 1, -1, geom)
                each.geom_group[:] = seen
                hits.append((distance, bool(geom[0] >= 0 and each.geom_bodyid[geom[0]] == body)))
            if hits[0][1] and hits[1][1]:
                apart.append(abs(hits[0][0] - hits[1][0]))
    assert len(apart) > 20 * len(truth.objects)
    assert np.quantile(apart, 0.98) == pytest.approx(0, abs=1e-5)


def test_everything_stays_where_it_is(scene: Scene) -> None:
    model = compile_scene(scene, visuals=False)
    data = at_rest(model)
    start = data.xpos.copy(), data.xmat.copy()
    for _ in range(500):
        mujoco.mj_step(model, data)
    mujoco.mj_kinematics(model, data)
    assert np.abs(data.xpos - start[0]).max() < 1e-3
    assert np.abs(data.xmat - start[1]).max() < 0.01


def turned(item: SceneObject, angle: float, name: str) -> SceneObject:
    w, x, y, z = item.body.pose.quaternion
    a, b, c, d = (Rotation.from_euler("z", angle) * Rotation.from_quat([x, y, z, w])).as_quat()
    pose = Pose(position=item.body.pose.position, quaternion=(d, a, b, c))
    return item.model_copy(update={"name": name, "body": item.body.model_copy(update={"pose": pose})})


def test_partners_give_names_order_and_axes(truth: GroundTruthScene, scene: Scene, tmp_path: Path) -> None:
    angle = np.pi / 2 + 0.1
    partners = {item.name: turned(item, angle, f"thing_{k}") for k, item in enumerate(scene.objects[::-1])}
    found = truth_scene(truth, tmp_path, frame=frame(truth), partners=partners)
    assert [item.name for item in found.objects] == [f"thing_{k}" for k in range(len(partners))]
    model, other = (compile_scene(each, visuals=False) for each in (found, scene))
    data, other_data = at_rest(model), at_rest(other)
    for o in truth.objects:
        name = partners[o.name].name
        if o.stands_on in partners:
            assert found.object(name).support == partners[o.stands_on].name
        assert data.body(name).xipos == pytest.approx(other_data.body(o.name).xipos, abs=1e-6)
        assert inertia_in_world(model, data, name) == pytest.approx(
            inertia_in_world(other, other_data, o.name), rel=1e-3, abs=1e-9
        )
        axes, before = (each.reshape(3, 3) for each in (data.body(name).xmat, other_data.body(o.name).xmat))
        way = before.T @ axes
        assert way[2, 2] == pytest.approx(1)
        about = np.arctan2(way[1, 0], way[0, 0])
        assert about == pytest.approx(angle if o.yaw_symmetry == "any" else np.pi / 2, abs=1e-3)


def test_it_is_a_scene_folder_like_any_other(scene: Scene) -> None:
    assert scene.folder is not None
    save_scene(scene, scene.folder)
    assert load_scene(scene.folder) == scene


def test_it_looks_like_what_was_filmed(opengl: None, tmp_path: Path) -> None:
    truth = generate_scene(1, "apart", "table")
    scene = truth_scene(truth, tmp_path)
    real, _ = truth.simulation()
    pictures = []
    for model in (real, compile_scene(scene)):
        model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 1.0, 0.0
        model.light_active[:] = 0
        data = truth.simulation()[1] if model is real else at_rest(model)
        camera = mujoco.MjvCamera()
        camera.lookat[:] = (*truth.surface_center, truth.surface_height)
        camera.distance, camera.azimuth, camera.elevation = 0.9, 90, -60
        with mujoco.Renderer(model, 120, 160) as renderer:
            renderer.update_scene(data, camera)
            pictures.append(renderer.render().astype(float))
    assert np.abs(pictures[0] - pictures[1]).mean() < 8
    assert np.abs(pictures[0] - pictures[1][:, ::-1]).mean() > 16

"""The arm against the manufacturer's kinematics, and its mounting."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
from pocketworlds import TaskError
from pocketworlds.envs.kinematics import InverseKinematics
from pocketworlds.envs.robots import PANDA, get_robot
from pocketworlds.envs.synthetic import random_scene
from pocketworlds.envs.world import World, build_world
from pocketworlds.scenes import Scene

from .scenes import single, walled

# Franka Control Interface documentation, "Denavit-Hartenberg parameters" (Craig's convention): a, d [m], alpha [rad].
DH = [
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -math.pi / 2),
    (0.0, 0.316, math.pi / 2),
    (0.0825, 0.0, math.pi / 2),
    (-0.0825, 0.384, -math.pi / 2),
    (0.0, 0.0, math.pi / 2),
    (0.088, 0.0, math.pi / 2),
    (0.0, 0.107, 0.0),  # flange
]


def forward_kinematics(q: np.ndarray) -> np.ndarray:
    """Pose of the point between the pads: flange, hand turned by -45 degrees, 103.4 mm."""
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(DH, [*q, 0.0], strict=True):
        ca, sa, ct, st = math.cos(alpha), math.sin(alpha), math.cos(theta), math.sin(theta)
        pose = pose @ np.array(
            [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
        )
    c, s = math.cos(-math.pi / 4), math.sin(-math.pi / 4)
    return pose @ np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0.1034], [0, 0, 0, 1]])


def test_kinematics_equal_the_published_ones():
    model = PANDA.build().compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(200):
        q = rng.uniform(PANDA.joint_low, PANDA.joint_high)
        data.qpos[:7] = q
        mujoco.mj_kinematics(model, data)
        expected = forward_kinematics(q)
        site = data.site("grip")
        np.testing.assert_allclose(site.xpos, expected[:3, 3], atol=1e-12)
        np.testing.assert_allclose(site.xmat.reshape(3, 3), expected[:3, :3], atol=1e-12)


def test_limits_and_weight_are_the_published_ones():
    model = PANDA.build().compile()
    np.testing.assert_allclose(model.jnt_range[:7, 0], [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
    np.testing.assert_allclose(model.jnt_range[:7, 1], [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
    np.testing.assert_allclose(model.actuator_forcerange[:7, 1], [30] * 4 + [12] * 3)  # within the published 87 and 12
    assert 17 < model.body_subtreemass[0] < 19  # the data sheet says about 18 kg
    assert model.nmesh == 0


def test_arm_holds_still_under_gravity():
    model = PANDA.build().compile()
    model.opt.timestep = 0.002
    data = mujoco.MjData(model)
    data.qpos[:7] = data.ctrl[:7] = PANDA.home
    for _ in range(1000):
        mujoco.mj_step(model, data)
    np.testing.assert_allclose(data.qpos[:7], PANDA.home, atol=1e-6)


def test_gripper_opens_to_80_mm(tabletop: World):
    data = mujoco.MjData(tabletop.model)
    data.qpos[:] = tabletop.home_qpos
    mujoco.mj_kinematics(tabletop.model, data)
    left, right = (data.geom_xpos[g] for g in tabletop.gripper.pad_geoms)
    thickness = PANDA.finger_thickness
    assert np.linalg.norm(left - right) - thickness == pytest.approx(0.08, abs=1e-9)


def test_inverse_kinematics_reaches_poses(tabletop: World):
    solver = InverseKinematics(tabletop.robot, 32)
    rng = np.random.default_rng(1)
    joints = np.array(PANDA.home) + rng.uniform(-0.4, 0.4, (32, 7))
    position, frame = (a.copy() for a in solver.pose(np.arange(32), joints))
    data = mujoco.MjData(tabletop.model)
    for k in range(32):  # the solver knows the arm alone, the model where it stands
        data.qpos[tabletop.joint_qpos] = joints[k]
        mujoco.mj_kinematics(tabletop.model, data)
        site = tabletop.gripper.site
        seen = tabletop.mount.from_base(data.site_xpos[None, site], data.site_xmat[site].reshape(1, 3, 3))
        np.testing.assert_allclose(position[k], seen[0][0], atol=1e-12)
        np.testing.assert_allclose(frame[k], seen[1][0], atol=1e-12)
    _, distance, angle = solver.solve(np.tile(PANDA.home, (32, 1)), position, frame)
    assert distance.max() < 1e-3
    assert angle.max() < 1e-2


@pytest.mark.parametrize("on", ["table", "floor"])
@pytest.mark.parametrize("seed", range(4))
def test_mount_reaches_most_objects_and_touches_nothing(on: str, seed: int):
    world = build_world(random_scene(seed, on=on), PANDA)
    mount = world.mount
    assert mount.support == on
    assert len(mount.in_reach) >= len(world.objects) - 1
    beside = on == "table" and world.surfaces["table"].inside(np.array([mount.position[:2]]))[0] < 0
    assert (mount.pedestal > 0.5) == beside
    for name, outline in world.outlines.items():
        assert outline.distance(np.array([mount.position[:2]]))[0] >= PANDA.base_radius, name
    data = mujoco.MjData(world.model)
    data.qpos[:] = world.home_qpos
    mujoco.mj_forward(world.model, data)
    bodies = world.model.geom_bodyid[data.contact.geom]
    assert not any(world.model.body(int(b)).name.startswith("robot/") for b in bodies.ravel())


def test_mount_is_a_pure_function_of_the_scene():
    assert build_world(random_scene(3), PANDA).mount == build_world(random_scene(3), PANDA).mount


def test_mount_keeps_clear_of_walls_and_the_camera_stays_in_the_room():
    world = build_world(walled(random_scene(1)), PANDA)
    base = np.array([world.mount.position[:2]])
    walls = [o for name, o in world.surfaces.items() if name.startswith("wall")]
    assert min(float(o.distance(base)[0]) for o in walls) >= PANDA.base_radius
    data = mujoco.MjData(world.model)
    mujoco.mj_forward(world.model, data)
    camera = data.cam("front").xpos
    target = np.array(world.mount.position) + np.array([0, 0, 0.3])
    assert np.abs(camera[:2]).max() < 1.5 or _sees(world, data, camera, target)


def _sees(world: World, data: mujoco.MjData, eye: np.ndarray, target: np.ndarray) -> bool:
    hit = np.zeros(1, dtype=np.int32)
    mujoco.mj_ray(world.model, data, eye, target - eye, None, 1, -1, hit, None)
    return not world.model.geom(int(hit[0])).name.startswith("wall")


def test_scene_without_free_objects():
    scene = single((0.05, 0.05, 0.05))
    with pytest.raises(TaskError, match="no free object"):
        build_world(Scene(name="bare", surfaces=scene.surfaces), PANDA)


def test_scene_out_of_reach():
    item = single((0.05, 0.05, 0.05)).objects[0]
    body = item.body.model_copy(update={"pose": item.body.pose.model_copy(update={"position": (0, 0, 3.0)})})
    scene = single((0.05, 0.05, 0.05)).model_copy(update={"objects": (item.model_copy(update={"body": body}),)})
    with pytest.raises(TaskError, match="no place"):
        build_world(scene, PANDA)


def test_unknown_robot():
    with pytest.raises(TaskError, match="panda"):
        get_robot("r2d2")

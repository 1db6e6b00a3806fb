"""Links and rotations in torch, held against MuJoCo's and SciPy's."""

from __future__ import annotations

import gymnasium as gym
import mujoco
import numpy as np
import pytest
import torch
from pocketworlds.envs.backends.forms import robot_form, robot_joints
from pocketworlds.world_models.hybrid import kinematics
from pocketworlds.world_models.hybrid.kinematics import Kinematics
from scipy.spatial.transform import Rotation

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("env_id", ["Push-v0", "HandReorient-v0"])
def test_links_and_points_are_where_mujoco_has_them(env_id: str):
    env = gym.make_vec(f"PocketWorlds/{env_id}", num_envs=1)
    world = env.unwrapped.world
    model, robot, joints = world.model, robot_form(world), robot_joints(world)
    data = mujoco.MjData(model)
    low, high = model.jnt_range[joints].T
    angles = RNG.uniform(low, high, (8, len(joints)))
    angles[0] = 0
    links = Kinematics(robot.tree)
    position, rotation = (values.double().numpy() for values in links(torch.tensor(angles, dtype=torch.float32)))
    bodies = model.jnt_bodyid[joints]
    site = model.site("robot/" + ("grip" if world.robot.kind == "arm" else "palm")).id
    for row, angle in enumerate(angles):
        data.qpos[model.jnt_qposadr[joints]] = angle
        mujoco.mj_kinematics(model, data)
        origins = (data.xpos[bodies] - world.base_pos) @ world.base_mat
        if row == 0:
            carried = np.einsum("lji,lj->li", rotation[0], origins - position[0])
        found = position[row] + np.einsum("lij,lj->li", rotation[row], carried)
        np.testing.assert_allclose(found, origins, atol=2e-6)
        link = robot.frame_link
        at = position[row, link] + rotation[row, link] @ robot.frame_position
        np.testing.assert_allclose(world.base_mat @ at + world.base_pos, data.site_xpos[site], atol=2e-6)
        turned = world.base_mat @ rotation[row, link] @ robot.frame_rotation
        np.testing.assert_allclose(turned, data.site_xmat[site].reshape(3, 3), atol=2e-6)
    env.close()


def test_rotations_are_scipys():
    vectors = RNG.normal(0, 0.8, (50, 3))
    vectors[0] = 0
    expected = Rotation.from_rotvec(vectors).as_matrix()
    found = kinematics.from_vector(torch.tensor(vectors))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    small = vectors * 0.5
    back = kinematics.to_vector(torch.tensor(Rotation.from_rotvec(small).as_matrix()))
    np.testing.assert_allclose(back, small, atol=1e-7)
    other = torch.tensor(Rotation.random(50, rng=RNG).as_matrix())
    np.testing.assert_allclose(kinematics.matmul(found, other), found @ other, atol=1e-12)
    np.testing.assert_allclose(kinematics.matmul_back(found, other), found.mT @ other, atol=1e-12)
    noisy = other + 1e-3 * torch.tensor(RNG.normal(size=(50, 3, 3)))
    square = kinematics.orthonormal(noisy)
    np.testing.assert_allclose(square @ square.mT, np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    assert (torch.linalg.det(square) > 0).all()

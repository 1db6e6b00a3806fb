"""What the hybrid simulator is told of robots and scenes, held against MuJoCo's model."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import mujoco
import numpy as np
import pytest
import torch
from pocketworlds.envs.backends.forms import model_shape, robot_form, robot_joints, scene_form
from pocketworlds.world_models.hybrid.fields import Fields


def test_a_thin_bar_between_the_pads_is_felt_wherever_it_lies():
    """Each pad's face has points so close to each other that a bar of 11 mm across it cannot pass between them."""
    world = gym.make_vec("PocketWorlds/OpenDrawer-v0", num_envs=1).unwrapped.world
    form = robot_form(world)
    for side, name in enumerate(("left", "right")):
        pad = world.model.geom(f"robot/{name}_pad")
        points = form.point_position[form.point_link == form.marker_link[side]]
        low, high = (form.marker_position[side] + sign * pad.size for sign in (-1, 1))
        face = points[(np.abs(points - form.marker_position[side]) < pad.size + 1e-4).all(1)]
        face = face[np.abs(face[:, 1]) < 1e-4]  # where the other pad is
        assert len(face) >= 5
        for start in np.linspace(low[2], high[2] - 0.011, 20):
            assert ((face[:, 2] >= start) & (face[:, 2] <= start + 0.011)).any()


@pytest.mark.parametrize("env_id", ["PocketWorlds/Reach-v0", "PocketWorlds/HandLift-v0"])
def test_a_servo_moves_the_joint_that_it_is_said_to(env_id: str):
    env = gym.make_vec(env_id, num_envs=1, num_threads=1).unwrapped
    env.reset(seed=0)
    world = env.world
    shape = model_shape(world, robot_form(world))
    links, (joint, _) = robot_joints(world), world.model.actuator_trnid.T
    for number, link in enumerate(shape.servos):
        if link >= 0:
            assert links[link] == joint[number]
            assert world.model.actuator_trntype[number] == mujoco.mjtTrn.mjTRN_JOINT
    assert sum(link >= 0 for link in shape.servos) == len(world.joint_ctrl)
    env.close()


def test_handles_are_felt_within_a_few_tenths_of_a_millimetre():
    world = gym.make_vec("PocketWorlds/OpenDrawer-v0", num_envs=1).unwrapped.world
    model, part = world.model, scene_form(world).parts[0]
    body = int(model.site_bodyid[world.handle_sites[0]])
    bars = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body and model.geom_contype[g]]
    bar = min(bars, key=lambda g: np.linalg.norm(model.geom_pos[g] - part.handle))
    turned = np.zeros(9)
    mujoco.mju_quat2Mat(turned, model.geom_quat[bar])
    rng, size = np.random.default_rng(0), model.geom_size[bar]
    inside = rng.uniform(-1, 1, (4000, 3)) * size
    axis = rng.integers(0, 3, 4000)
    rows = np.arange(4000)
    inside[rows, axis] = np.sign(inside[rows, axis]) * size[axis]  # on the bar's surface
    points = inside @ turned.reshape(3, 3).T + model.geom_pos[bar]
    error = {}
    for name, field in {"fine": part.field, "coarse": replace(part.field, inset=None)}.items():
        found = Fields([field])(torch.tensor([0]), torch.tensor(points[None], dtype=torch.float32))[0][0].numpy()
        free = np.abs(found) < 0.004  # not where the bar's ends meet its posts
        assert free.mean() > 0.9
        error[name] = np.sqrt(np.mean(found[free] ** 2))
    assert error["fine"] < 4e-4
    assert error["coarse"] > 2 * error["fine"]

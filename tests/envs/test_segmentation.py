"""Segmentation and depth pictures against rays cast by MuJoCo's own geometry, without any renderer."""

from __future__ import annotations

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from pocketworlds.envs.config import parse_observations
from pocketworlds.envs.segmentation import segmentation

ID = "PocketWorlds/PickPlace-v0"
SIZE = (80, 60)
SHOWN = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)  # geom groups MuJoCo draws by default


def make(env_id: str = ID, **keywords):
    given = {"num_envs": 2, "obs_mode": "depth+segmentation", "image_size": SIZE, **keywords}
    return gym.make_vec(env_id, **given).unwrapped


def posed(env, index: int) -> mujoco.MjData:
    data = mujoco.MjData(env.world.drawn)
    data.qpos = env.simulator.batch.bind("qpos")[index]
    mujoco.mj_forward(env.world.drawn, data)
    return data


def pixel_rays(env, data: mujoco.MjData, camera: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the camera is, the directions (height, width, 3) of its pixels of unit depth, and its axes."""
    width, height = SIZE
    index = env.world.drawn.camera(env.world.camera(camera)).id
    focal = height / 2 / np.tan(np.radians(env.world.drawn.cam_fovy[index]) / 2)
    x, y = np.meshgrid((np.arange(width) + 0.5 - width / 2) / focal, (np.arange(height) + 0.5 - height / 2) / focal)
    axes = data.cam_xmat[index].reshape(3, 3)
    return data.cam_xpos[index], np.stack([x, -y, -np.ones_like(x)], axis=-1) @ axes.T, axes


def expected_name(env, geom: int) -> str:
    if geom < 0:
        return "background"
    body, names = int(env.world.drawn.geom_bodyid[geom]), env.segmentation_names
    if env.world.drawn.geom(geom).name.startswith("robot/"):
        return "robot"
    while body:
        name = env.world.drawn.body(body).name
        if name.startswith("robot/"):
            return "robot"
        if name in names:
            return name
        body = int(env.world.drawn.body_parentid[body])
    return "structure"


@pytest.mark.parametrize(("env_id", "camera"), [(ID, "front"), (ID, "wrist"), ("PocketWorlds/OpenDoor-v0", "front")])
def test_pixels_show_what_rays_hit(env_id: str, camera: str):
    env = make(env_id, camera=camera)
    observation, _ = env.reset(seed=3)
    model, names = env.world.drawn, env.segmentation_names
    nearest = float(model.vis.map.znear * model.stat.extent)  # OpenGL shows nothing closer
    for index in range(2):
        data = posed(env, index)
        origin, directions, _ = pixel_rays(env, data, camera)
        hit, near = np.array([-1], dtype=np.int32), 0
        same, off, seen = [], [], set()
        for row in range(0, SIZE[1], 3):
            for column in range(0, SIZE[0], 3):
                ray = directions[row, column]
                distance = mujoco.mj_ray(model, data, origin, ray, SHOWN, 1, -1, hit)
                if 0 <= distance < nearest:
                    continue
                name = expected_name(env, int(hit[0]))
                found = names[observation["segmentation"][index, row, column, 0]]
                same.append(name == found)
                seen.add(name)
                if name == found and name != "background":
                    off.append(abs(observation["depth"][index, row, column, 0] - distance))
                near += name != "background"
        assert np.mean(same) > 0.97  # edges: round things are drawn with flat faces
        assert np.quantile(off, 0.9) < 0.003
        assert near > 50
        assert len(seen) >= 3
    env.close()


def test_centre_of_every_object_shows_its_name():
    env = make()
    observation, _ = env.reset(seed=0)
    for index in range(2):
        data = posed(env, index)
        origin, directions, axes = pixel_rays(env, data, "front")
        right, bottom = directions[0, -1] @ axes, directions[-1, 0] @ axes
        for k, name in enumerate(env.world.objects):
            x, y, z = (env.sensors()["object_pos"][index, k] - origin) @ axes
            column = (x / -z / right[0] * (SIZE[0] - 1) / SIZE[0] + 1) / 2 * SIZE[0]
            row = (y / -z / bottom[1] * (SIZE[1] - 1) / SIZE[1] + 1) / 2 * SIZE[1]
            pixel = observation["segmentation"][index, int(row), int(column), 0]
            assert env.segmentation_names[pixel] == name
    env.close()


def test_points_of_an_object_lie_in_it():
    env = make(camera="wrist")
    observation, _ = env.reset(seed=1)
    for index in range(2):
        origin, directions, _ = pixel_rays(env, posed(env, index), "wrist")
        points = origin + directions * observation["depth"][index]
        shown = observation["segmentation"][index, :, :, 0]
        found = 0
        for k, name in enumerate(env.world.objects):
            mine = points[shown == env.segmentation_names.index(name)]
            found += len(mine)
            reach = np.linalg.norm(env.world.scene.object(name).size) / 2 + 0.002
            away = np.linalg.norm(mine - env.sensors()["object_pos"][index, k], axis=1)
            assert (away < reach).all()
        assert found > 10
    env.close()


def test_table_is_the_same_for_every_world_and_lists_everything():
    env = make("PocketWorlds/OpenDoor-v0", num_envs=3)
    scene = env.world.scene
    names = env.segmentation_names
    assert names[:3] == ("background", "structure", "robot")
    assert names[3 : 3 + len(scene.objects)] == tuple(item.name for item in scene.objects)
    assert set(names[3 + len(scene.objects) :]) == {part.name for item in scene.objects for part in item.parts}
    assert len(set(names)) == len(names)
    table = segmentation(env.world.drawn, names)
    assert {names[i] for i in np.unique(table.geoms)} == set(names) - {"background"}
    space = env.single_observation_space["segmentation"]
    assert (space.dtype, space.shape, space.high.max()) == (np.int32, (60, 80, 1), len(names) - 1)
    single = gym.make("PocketWorlds/OpenDoor-v0").unwrapped
    assert single.segmentation_names == names
    env.close()


def test_kinds_drawn_together_equal_those_drawn_alone():
    together = make(obs_mode="rgbd+segmentation+state")
    drawn, _ = together.reset(seed=2)
    assert list(drawn) == ["state", "rgb", "depth", "segmentation"]
    for kind in ("rgb", "depth", "segmentation"):
        alone = make(obs_mode=kind)
        np.testing.assert_array_equal(alone.reset(seed=2)[0], drawn[kind])
        assert alone.single_observation_space == together.single_observation_space[kind]
    assert together.observation_space.contains(drawn)
    assert parse_observations("segmentation+rgb") == ("rgb", "segmentation")


def test_some_worlds_and_smooth_edges():
    env = make(num_envs=3)
    env.reset(seed=4)
    kinds = ("rgb", "depth", "segmentation")
    every = env.simulator.images(np.arange(3), "front", kinds, width=64, height=48)
    some = env.simulator.images(np.array([2, 0]), "front", kinds, width=64, height=48)
    for kind in kinds:
        np.testing.assert_array_equal(some[kind], every[kind][[2, 0]])
    fine = env.simulator.images(np.arange(1), "front", kinds, width=64, height=48, fine=True)["segmentation"]
    assert set(np.unique(fine)) <= set(range(len(env.segmentation_names)))  # smoothing must not mix numbers
    assert np.mean(fine[0] == every["segmentation"][0]) > 0.97
    env.close()

"""Goals in pictures: where a pinhole camera sees them, the same from all renderers, and in colours alone."""

from __future__ import annotations

import importlib.util
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.envs.marks import GREEN
from pocketworlds.envs.rendering import pose

pytestmark = pytest.mark.usefixtures("opengl")
ALL = np.arange(4)
WARP = pytest.param(
    "warp",
    marks=pytest.mark.skipif(importlib.util.find_spec("mujoco_warp") is None, reason="MuJoCo Warp is not installed"),
)


def made(task: str, **keywords: Any) -> WorldVectorEnv:
    env = gym.make_vec(f"PocketWorlds/{task}-v0", num_envs=4, num_threads=1, **keywords).unwrapped
    assert isinstance(env, WorldVectorEnv)
    env.reset(seed=40)
    return env


def green(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((rgb == GREEN).all(axis=-1))


def seen_at(env: WorldVectorEnv, camera: str, point: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Columns and rows (4, 2) of points (4, 3) in pictures, by the textbook."""
    model = env.world.drawn
    data, number = mujoco.MjData(model), model.camera(env.world.camera(camera)).id
    found = []
    for k in ALL:
        pose(model, data, env.simulator.batch.bind("qpos")[k])  # type: ignore[attr-defined]
        x, y, z = data.cam_xmat[number].reshape(3, 3).T @ (point[k] - data.cam_xpos[number])
        scale = side / 2 / np.tan(np.radians(model.cam_fovy[number]) / 2) / -z
        found.append([side / 2 + x * scale, side / 2 - y * scale])
    return np.array(found)


@pytest.mark.parametrize("renderer", ["gl", "neural", WARP])
@pytest.mark.parametrize("task", ["Push", "Reach"])
def test_the_goal_is_where_a_camera_sees_it(task: str, renderer: str) -> None:
    side, env = 240, made(task, renderer=renderer)
    for _ in range(2):
        rgb = env.simulator.images(ALL, "front", ("rgb",), width=side, height=side)["rgb"]
        goal = env.task.goal.copy()
        if task == "Push":  # whose target's frame is in its middle, half a cube above the table
            goal[:, 2] -= env.sensors()["object_pos"][:, 0, 2] - env.world.base_pos[2]
        middle = np.array([np.argwhere(seen)[:, ::-1].mean(axis=0) + 0.5 for seen in green(rgb)])
        assert np.abs(middle - seen_at(env, "front", goal, side)).max() < 2.0
        env.reset(seed=50)


@pytest.mark.parametrize("other", ["neural", WARP])
@pytest.mark.parametrize(("task", "camera"), [("Push", "front"), ("Push", "wrist"), ("Reach", "front")])
def test_renderers_agree_on_what_hides_it(task: str, camera: str, other: str) -> None:
    """OpenGL draws a geom, the others paint where nothing is nearer."""
    envs = [made(task, renderer=renderer) for renderer in ("gl", other)]
    expert = make_expert(envs[0])
    for _ in range(35):
        action = expert.act()
        for env in envs:
            env.step(action)
    one, two = (
        green(env.simulator.images(ALL, camera, ("rgb",), width=160, height=160)["rgb"]).reshape(4, -1) for env in envs
    )
    assert one.any()
    assert (one ^ two).sum() <= 0.12 * (one | two).sum() + 8


def test_distances_and_segments_do_not_know_it() -> None:
    env = made("Push")
    kinds = ("rgb", "depth", "segmentation")
    marked = env.simulator.images(ALL, "front", kinds, width=64, height=64)
    env.simulator.mark(None)
    bare = env.simulator.images(ALL, "front", kinds, width=64, height=64)
    for kind in ("depth", "segmentation"):
        np.testing.assert_array_equal(marked[kind], bare[kind])
    assert not green(bare["rgb"]).any()
    assert green(marked["rgb"]).reshape(4, -1).any(axis=1).all()
    changed = (marked["rgb"] != bare["rgb"]).any(axis=-1)
    np.testing.assert_array_equal(changed, green(marked["rgb"]))


@pytest.mark.parametrize("task", ["Lift", "PickPlace", "OpenDrawer", "HandLift"])
def test_what_can_be_seen_is_not_marked(task: str) -> None:
    env = made(task, obs_mode="rgb", image_size=64)
    assert not green(env.observe()).any()


def test_pictures_of_observations_and_films_have_it_in_every_backend() -> None:
    for backend in ({}, {"backend": "neural"}, {"backend": "neural", "on_ood": "fallback_physics"}):
        env = made("Push", obs_mode="rgb", image_size=64, render_mode="rgb_array", **backend)
        assert green(env.observe()).reshape(4, -1).any(axis=1).all()
        assert green(np.asarray(env.render()[0])).any()

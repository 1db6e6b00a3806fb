"""Pictures of states: what an observation tells of a world, put into another, is drawn as in the first."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.envs.state_pictures import StatePictures
from pocketworlds.errors import TaskError
from scipy.spatial.transform import Rotation

ALL = np.arange(2)


def made(name: str, **keywords: Any) -> WorldVectorEnv:
    found = gym.make_vec(
        f"PocketWorlds/{name}-v0", num_envs=2, autoreset_mode=AutoresetMode.DISABLED, num_threads=1, **keywords
    ).unwrapped
    assert isinstance(found, WorldVectorEnv)
    found.reset(seed=[3, 4])
    return found


def moved(env: WorldVectorEnv, steps: int = 20) -> np.ndarray:
    """What is observed after random motions."""
    actions = np.random.default_rng(0).uniform(-1, 1, (2, steps, *env.single_action_space.shape))
    return env.step_chunk(actions)[0]


@pytest.mark.parametrize(
    ("name", "keywords"),
    [("Lift", {}), ("OpenDrawer", {"scene": ["desk", "kitchen"]}), ("HandReorient", {})],
    ids=["arm", "drawers of two scenes", "hand"],
)
def test_a_state_is_put_back_where_it_came_from(name: str, keywords: dict[str, Any]) -> None:
    """Positions read from observations (float32) are those of physics."""
    here, there = made(name, **keywords), made(name, **keywords)
    if "scene" in keywords:
        for env in (here, there):
            env.reset(seed=[3, 4], options={"scene": [0, 1]})
    state = moved(there)
    physics = there.simulator.batch.bind("qpos")
    pictures = StatePictures(here)
    assert np.abs(here.simulator.batch.bind("qpos") - physics).max() > 0.1
    np.testing.assert_allclose(pictures.qpos(ALL, state), physics, atol=1e-4)
    np.testing.assert_allclose(pictures.qpos(ALL[1:], state[1:]), physics[1:], atol=1e-4)
    for each in (pictures, here, there):
        each.close()


def test_what_a_state_does_not_tell_stays_and_axes_are_made_square() -> None:
    env = made("Lift", scene="tabletop")
    state = env.observe().astype(np.float64)
    layout, qpos = env.state_layout, env.simulator.batch.bind("qpos").copy()
    state[:, layout["object_pos"]] += [0.0, 0.0, 0.25]
    axes = state[:, layout["object_axes"]]
    turned = Rotation.from_euler("z", 0.5).as_matrix()
    first, second = axes[:, :3] @ turned.T, axes[:, 3:] @ turned.T
    state[:, layout["object_axes"]] = np.concatenate([3 * first, 2 * second - 0.3 * first], axis=1)
    state[:, layout["object_vel"]] = 9.0
    found = StatePictures(env).qpos(ALL, state)
    target = env.world.object_qpos[env.task.target]
    base = env.world.base_mat
    for row in ALL:
        old, new = qpos[row, target[row]], found[row, target[row]]
        np.testing.assert_allclose(new[:3], old[:3] + base @ [0, 0, 0.25], atol=1e-6)
        quaternions = Rotation.from_quat([old[3:], new[3:]], scalar_first=True)
        turn = base @ turned @ base.T
        np.testing.assert_allclose(quaternions[1].as_matrix(), turn @ quaternions[0].as_matrix(), atol=1e-6)
        others = np.setdiff1d(np.arange(qpos.shape[1]), target[row])
        np.testing.assert_allclose(found[row, others], qpos[row, others], atol=1e-6)
    np.testing.assert_array_equal(env.simulator.batch.bind("qpos"), qpos)
    env.close()


@pytest.mark.usefixtures("opengl")
def test_the_picture_of_a_state_is_that_of_physics() -> None:
    here, there = made("Lift"), made("Lift")
    state = moved(there)
    pictures = StatePictures(here)
    drawn = pictures.draw(ALL, state, width=96, height=72)
    true, before = (
        env.simulator.images(ALL, "front", ("rgb",), width=96, height=72, fine=True)["rgb"].astype(int)
        for env in (there, here)
    )
    assert np.abs(drawn - true).mean() < 0.1
    assert np.abs(drawn - before).mean() > 1
    for each in (pictures, here, there):
        each.close()


def test_without_physics_there_is_nothing_beside_the_state() -> None:
    env = made("Push", backend="neural")
    with pytest.raises(TaskError, match="not beside backend='neural'"):
        StatePictures(env)
    env.close()

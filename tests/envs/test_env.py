"""`gym.make`: Gymnasium's and SB3's checkers, episodes, keywords."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds import SceneError, TaskError
from pocketworlds.envs.config import Keywords, parse
from pocketworlds.envs.rewards import tolerance
from pocketworlds.envs.synthetic import random_scene

from .scenes import single

ID = "PocketWorlds/Scan-v0"
KEYWORDS = sorted(Keywords.__annotations__)


@pytest.mark.parametrize("task", ["lift", "push"])
@pytest.mark.parametrize("control_mode", ["ee_delta", "ee_delta_pos", "joint_delta", "joint_pos"])
def test_gymnasium_checker(task: str, control_mode: str):
    env = gym.make(ID, task=task, control_mode=control_mode, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env.unwrapped)
    env.close()


def test_position_control_keeps_the_hand_upright():
    env = gym.make(ID, control_mode="ee_delta_pos").unwrapped
    env.reset(seed=0)
    first = env.vector.sensors()["grip_mat"][0].copy()
    start = env.vector.sensors()["grip_pos"][0].copy()
    for action in ([1, 0, 0, 1], [0, -1, 0, 1], [0, 0, 0.5, -1]):
        for _ in range(6):
            env.step(np.array(action, dtype=np.float32))
    sensors = env.vector.sensors()
    moved = env.vector.world.base_mat.T @ (sensors["grip_pos"][0] - start)
    np.testing.assert_allclose(moved, [0.15, -0.15, 0.075], atol=0.03)  # 6 steps of 2.5 cm each, less what it lags
    assert np.trace(first.T @ sensors["grip_mat"][0]) > 1 + 2 * np.cos(0.05)
    env.close()


@pytest.mark.parametrize("obs_mode", ["rgb", "state+rgb", "rgbd"])
def test_checkers_with_images(obs_mode: str):
    from stable_baselines3.common.env_checker import check_env as check_sb3

    env = gym.make(ID, obs_mode=obs_mode, object="can", image_size=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env.unwrapped, skip_render_check=True)
        check_sb3(env.unwrapped)
    env.close()


def test_sb3_checker_and_a_few_steps_of_ppo():
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env as check_sb3

    env = gym.make(ID, object="box")
    check_sb3(env.unwrapped)
    PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, device="cpu").learn(64)
    env.close()


def test_images_show_the_scene():
    env = gym.make(ID, obs_mode="state+rgb", object="can", image_size=(96, 64), render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    assert observation["rgb"].shape == (64, 96, 3)
    assert observation["rgb"].std() > 10
    assert env.render().shape == (480, 640, 3)
    front, wrist = env.unwrapped.vector.picture(0), env.unwrapped.vector.picture(0, "wrist")
    assert np.abs(front.astype(int) - wrist).mean() > 5
    env.close()


def test_episode_is_a_pure_function_of_seed_and_index():
    env = gym.make(ID, object_jitter=0.02)
    seen = {}
    env.reset(seed=5)
    for i in range(1, 4):
        seen[i] = env.reset()[0]
        env.step(env.action_space.sample())
    env.reset(seed=9)
    for i in (3, 1, 2):
        np.testing.assert_array_equal(env.reset(seed=5, options={"episode": i})[0], seen[i])
    assert not np.array_equal(seen[1], seen[2])
    assert env.reset(options={"episode": 7})[1]["episode_index"] == 7
    env.close()


def test_infos_of_every_step():
    env = gym.make(ID, task="push", object="box", max_episode_steps=4)
    _, info = env.reset(seed=0)
    for step in range(4):
        assert info["is_success"] is False
        assert info["instruction"] == "push the box to the goal"
        assert info["physics_error"] is False
        assert {"reward/reach", "reward/near", "reward/success"} <= info.keys()
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert 0 <= reward <= 1
        assert not terminated
        assert truncated == (step == 3)


@pytest.mark.parametrize("task", ["lift", "push"])
def test_dense_reward_is_the_weighted_sum_of_its_terms(task: str):
    env = gym.make(ID, task=task, task_config={"scales": {"success": 0.0}})
    env.reset(seed=1)
    scales = env.unwrapped.vector.task.settings["scales"]
    for _ in range(10):
        _, reward, _, _, info = env.step(env.action_space.sample())
        assert reward == pytest.approx(sum(scale * info[f"reward/{name}"] for name, scale in scales.items()))


def test_objects_lie_still_at_the_start():
    env = gym.make(ID, scene=random_scene(2))
    env.reset(seed=0)
    vector = env.unwrapped.vector
    before = vector.sensors()["object_pos"].copy()
    for _ in range(20):
        env.step(np.array([0, 0, 0, 0, 0, 0, 1], dtype=np.float32))
    assert np.abs(vector.sensors()["object_pos"] - before).max() < 1e-3


@pytest.mark.parametrize("on", ["table", "floor"])
def test_jitter_moves_objects_without_penetration(on: str):
    import mujoco

    vector = gym.make_vec(ID, num_envs=32, scene=random_scene(4, on=on), object_jitter=0.1)
    vector.reset(seed=0)
    world, batch = vector.world, vector.simulator.batch
    moved = vector.sensors()["object_pos"] - world.home_qpos[world.object_qpos[:, :3]]
    assert np.abs(moved).max() > 0.01
    data = mujoco.MjData(world.model)
    for i in range(32):
        batch.get_data(i, data)
        mujoco.mj_forward(world.model, data)
        bodies = world.model.geom_bodyid[data.contact.geom]
        assert not ((bodies > 0).all(axis=1)).any()  # nothing but objects on their support
    vector.close()


def test_actions_are_checked():
    env = gym.make(ID, object="can").unwrapped
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(7, np.float32))
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="shape"):
        env.step(np.zeros(6, np.float32))
    with pytest.raises(InvalidAction, match="finite"):
        env.step(np.full(7, np.nan, np.float32))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"task": "fly"}, "lift"),
        ({"object": "cann"}, "did you mean 'can'"),
        ({"object": 9}, "out of range"),
        ({"object": 1.5}, "name, an index or None"),
        ({"control_mode": "torque"}, "ee_delta"),
        ({"reward_mode": "none"}, "sparse"),
        ({"backend": "magic"}, "physics"),
        ({"robot": "ur5"}, "panda"),
        ({"obs_mode": "state+smell"}, "smell"),
        ({"camera": "attic"}, "front"),
        ({"image_size": 3}, "pixels"),
        ({"object_jitter": -1}, "object_jitter"),
        ({"scene": "atlantis"}, "tabletop"),
        ({"obs_modes": "rgb"}, "did you mean 'obs_mode'"),
        ({"task_config": {"heigth": 1}}, "heigth"),
        ({"task_config": {"scales": {"luck": 1}}}, "luck"),
    ],
)
def test_bad_keywords_say_what_is_wrong(keywords: dict, words: str):
    with pytest.raises(TaskError, match=words):
        gym.make(ID, **keywords)


def test_missing_scene_folder():
    with pytest.raises(SceneError, match="not a scene folder"):
        gym.make(ID, scene="/nowhere/at/all")


@pytest.mark.parametrize(
    ("size", "mass", "words"),
    [
        ((0.11, 0.10, 0.05), None, "10[0-9] mm wide.*76 mm|no pair of opposite faces"),
        ((0.05, 0.05, 0.05), 2.5, "2.50 kg"),
    ],
)
def test_unsuitable_objects_are_refused_with_reasons(size: tuple, mass: float | None, words: str):
    with pytest.raises(TaskError, match=words):
        gym.make(ID, scene=single(size, mass=mass), task="lift")


def test_blocks_at_the_grippers_limit_are_judged_honestly():
    assert gym.make(ID, scene=single((0.08, 0.075, 0.018)), task="lift").unwrapped.vector.task.targets == [0]
    with pytest.raises(TaskError, match="79 mm wide"):
        gym.make(ID, scene=single((0.08, 0.079, 0.018)), task="lift")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(KEYWORDS) | st.text(max_size=8),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.lists(st.integers(), max_size=3),
        max_size=4,
    )
)
def test_any_keywords_are_taken_or_refused_in_one_sentence(keywords: dict):
    try:
        parse(keywords)
    except (TaskError, SceneError) as error:
        assert str(error)  # noqa: PT017 - either outcome is fine, any other exception is not


@given(st.floats(-5, 5), st.floats(0, 2), st.floats(0.01, 3))
def test_tolerance(x: float, width: float, margin: float):
    value = float(tolerance(np.array(x), bounds=(0.0, width), margin=margin))
    assert 0 <= value <= 1
    assert (value == 1) >= (0 <= x <= width)
    assert float(tolerance(np.array(width + margin), bounds=(0.0, width), margin=margin)) == pytest.approx(0.1)


def test_import_is_light_and_registers():
    code = (
        "import sys, time; t = time.perf_counter(); import pocketworlds; s = time.perf_counter() - t; "
        "import gymnasium; assert 'PocketWorlds/Scan-v0' in gymnasium.registry; "
        "heavy = {'torch', 'open3d', 'stable_baselines3', 'OpenGL', 'mujoco'} & set(sys.modules); assert not heavy; "
        "print(s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2.0  # about 0.25 s on an idle machine

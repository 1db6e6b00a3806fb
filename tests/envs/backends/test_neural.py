"""The neural backend behind the same environments: the public checks, the start of episodes, its states, bad models."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from pocketworlds import CheckpointError, TaskError
from pocketworlds.agents.sb3 import make_sb3_env
from pocketworlds.envs import VectorEnvWarning, check_vector_env
from pocketworlds.registry import ENVIRONMENTS
from pocketworlds.world_models.checkpoint import load_checkpoint, save_checkpoint

from .conftest import Model

TASKS = [env_id for env_id in ENVIRONMENTS if not env_id.endswith("Scan-v0")]


@pytest.mark.parametrize("env_id", TASKS)
def test_every_task_passes_the_checks_of_a_vector_environment(env_id: str, model: Model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", VectorEnvWarning)
        report = check_vector_env(
            env_id, backend="neural", checkpoint=model(env_id), max_episode_steps=4, steps=11, modes=["SameStep"]
        )
    assert report.ended >= 3 * 2


def test_all_autoreset_modes_and_pictures(model: Model):
    report = check_vector_env(
        "PocketWorlds/OpenDrawer-v0",
        backend="neural",
        checkpoint=model("PocketWorlds/OpenDrawer-v0"),
        obs_mode="state+rgb",
        image_size=16,
        max_episode_steps=3,
        steps=8,
        num_envs=2,
    )
    assert {"observations", "same-step", "copies", "batch", "state"} <= set(report.passed)


def test_gymnasiums_and_stable_baselines_checks(model: Model):
    keywords: dict[str, Any] = {"backend": "neural", "checkpoint": model("PocketWorlds/Push-v0")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*infinity.*")
        check_env(gym.make("PocketWorlds/Push-v0", **keywords).unwrapped, skip_render_check=True)
    env = make_sb3_env("PocketWorlds/Push-v0", num_envs=3, **keywords)
    env.seed(0)
    assert env.reset().shape[0] == 3
    observation, reward, done, _ = env.step(np.zeros((3, 7), dtype=np.float32))
    assert observation.shape[0] == len(reward) == len(done) == 3
    env.close()


@pytest.mark.parametrize("env_id", TASKS)
def test_episodes_start_as_in_physics(env_id: str, model: Model):
    """Nothing of the task is changed: only what comes after the start is the model's."""
    both = [
        gym.make_vec(env_id, num_envs=4, **keywords)
        for keywords in ({}, {"backend": "neural", "checkpoint": model(env_id)})
    ]
    assert both[0].single_observation_space == both[1].single_observation_space
    assert both[0].single_action_space == both[1].single_action_space
    (physics, told), (neural, same) = (env.reset(seed=3) for env in both)
    assert list(told["instruction"]) == list(same["instruction"])
    forces = {"pad_contact", "tip_contact", "tip_force"}
    for name, part in both[0].unwrapped.state_layout.items():
        if name not in forces:
            np.testing.assert_allclose(neural[:, part], physics[:, part], atol=2e-5, err_msg=name)
    for env in both:
        env.close()


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_world_is_the_same_in_a_batch_of_any_size(count: int, model: Model):
    """Bit for bit: networks too compute a row as if it were alone."""
    keywords: dict[str, Any] = {"backend": "neural", "checkpoint": model("PocketWorlds/Lift-v0")}
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 100, 7)).astype(np.float32)
    seen = []
    for worlds in (count, 100):
        env = gym.make_vec("PocketWorlds/Lift-v0", num_envs=worlds, **keywords)
        first, _ = env.reset(seed=0)
        seen.append([first[:count], *(env.step(action[:worlds])[0][:count] for action in actions)])
        env.close()
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0][0], seen[0][-1])


def test_what_nobody_touches_stays_exactly_where_it_is(model: Model):
    env = gym.make_vec(
        "PocketWorlds/Reach-v0", num_envs=8, backend="neural", checkpoint=model("PocketWorlds/Reach-v0")
    ).unwrapped
    env.reset(seed=0)
    before = env.sensors()["object_pos"].copy()
    for _ in range(5):
        env.step(np.zeros((8, 7), dtype=np.float32))
    far = np.linalg.norm(env.sensors()["grip_pos"][:, None] - before, axis=2) > 0.4
    assert far.any()
    np.testing.assert_array_equal(env.sensors()["object_pos"][far], before[far])
    env.close()


def test_a_world_that_leaves_the_numbers_is_truncated_and_the_others_go_on(model: Model):
    env = gym.make_vec(
        "PocketWorlds/Push-v0",
        num_envs=4,
        backend="neural",
        checkpoint=model("PocketWorlds/Push-v0"),
        autoreset_mode=AutoresetMode.SAME_STEP,
    ).unwrapped
    env.reset(seed=0)
    env.simulator._state.speeds[2] = torch.nan
    _, _, _, truncated, info = env.step(np.zeros((4, 7), dtype=np.float32))
    assert truncated.tolist() == [False, False, True, False]
    assert info["final_info"]["physics_error"].tolist() == [False, False, True, False]
    observation = env.step(np.zeros((4, 7), dtype=np.float32))[0]
    assert np.isfinite(observation).all()
    env.close()


def test_worlds_of_several_scenes_with_unequal_parts_start_as_in_physics(model: Model):
    """Scenes without doors and drawers beside one with four."""
    keywords = {"scene": ["kitchen", "one_cube", "blocks"], "task": "lift", "object_jitter": 0.02}
    physics = gym.make_vec("PocketWorlds/Scan-v0", num_envs=9, **keywords).unwrapped
    path = model("PocketWorlds/OpenDrawer-v0")
    neural = gym.make_vec("PocketWorlds/Scan-v0", num_envs=9, **keywords, backend="neural", checkpoint=path).unwrapped
    scenes = [env.reset(seed=1)[1]["scene_index"].tolist() for env in (physics, neural)]
    assert scenes[0] == scenes[1]
    assert set(scenes[0]) == {0, 1, 2}
    kitchen = np.array(scenes[0]) == 0
    for name in ("joint_pos", "object_pos", "object_mat", "grip_pos"):
        np.testing.assert_allclose(neural.sensors()[name], physics.sensors()[name], atol=1e-5, err_msg=name)
    for name in ("part_pos", "handle_pos", "handle_mat"):
        ours, theirs = neural.sensors()[name][kitchen], physics.sensors()[name][kitchen]
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=name)
    assert np.isfinite(neural.step(np.zeros((9, 7), dtype=np.float32))[0]).all()


def test_models_for_something_else_are_refused(model: Model, tmp_path: Path):
    def make(env_id: str, **keywords: Any) -> None:
        gym.make_vec(f"PocketWorlds/{env_id}", num_envs=1, **keywords).close()

    arm = model("PocketWorlds/Push-v0")
    with pytest.raises(CheckpointError, match="is for robot 'panda', this one is 'hand'"):
        make("HandLift-v0", backend="neural", checkpoint=arm)
    with pytest.raises(CheckpointError, match="doors, drawers or buttons"):
        make("OpenDoor-v0", backend="neural", checkpoint=arm)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        make("Push-v0", backend="neural", checkpoint=tmp_path / "none.safetensors")
    with pytest.raises(TaskError, match="checkpoint is for backend='neural'"):
        make("Push-v0", checkpoint=arm)
    with pytest.raises(TaskError, match="checkpoint must be a"):
        make("Push-v0", backend="neural", checkpoint=3)


@pytest.mark.parametrize(("told", "warns"), [({"horizon": 60}, False), ({"horizon": 20}, True), ({}, True)])
def test_episodes_longer_than_what_was_audited_warn_once(told: dict[str, int], warns: bool, model: Model):
    card, tensors = load_checkpoint(model("PocketWorlds/Push-v0"))
    audits = {"PocketWorlds/Push-v0": told, "PocketWorlds/Lift-v0": {"horizon": 1}} if told else {}
    path = model("PocketWorlds/Push-v0").with_name(f"audited-{told.get('horizon')}.safetensors")
    save_checkpoint(path, replace(card, horizon=0, measured={"audit": audits}), tensors)
    env = gym.make_vec("PocketWorlds/Push-v0", num_envs=1, max_episode_steps=50, backend="neural", checkpoint=path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.reset(seed=0)
        env.reset(seed=1)
    assert sum("audited" in str(each.message) for each in caught) == warns

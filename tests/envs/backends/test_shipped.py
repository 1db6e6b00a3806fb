"""The models that come with the package, held against physics on episodes that nothing was learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from pocketworlds.agents.calibration import rehearse
from pocketworlds.agents.experience import Practice
from pocketworlds.agents.experts import make_expert
from pocketworlds.agents.play import MixedPlay
from pocketworlds.envs.backends import neural
from pocketworlds.envs.backends.forms import model_shape, robot_form
from pocketworlds.envs.backends.neural import shipped
from pocketworlds.errors import CheckpointError
from pocketworlds.registry import ENVIRONMENTS
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.model import load_model, save_model

TASKS = [env_id for env_id in ENVIRONMENTS if not env_id.endswith("Scan-v0")]
SEED = 7_000_000


@pytest.mark.parametrize("env_id", TASKS)
def test_the_neural_backend_works_right_after_installation(env_id: str):
    env = gym.make_vec(env_id, num_envs=2, backend="neural")
    env.reset(seed=SEED)
    for _ in range(3):
        observation, _, _, _, info = env.step(env.action_space.sample())
    assert np.isfinite(observation).all()
    assert np.isfinite(info["neural/uncertainty"]).all()
    env.close()


def test_a_task_has_a_model_of_its_own_in_scenes_that_it_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neural, "SHIPPED", tmp_path)
    env, elsewhere = (gym.make_vec("PocketWorlds/Push-v0", num_envs=1, **more) for more in ({}, {"scene": "blocks"}))
    here, there = env.unwrapped.worlds, elsewhere.unwrapped.worlds
    with pytest.raises(CheckpointError, match="no neural model comes with the package for robot 'panda'"):
        shipped(here, "push")
    shape = model_shape(here[0], robot_form(here[0]))
    for name, scenes in (("panda", ["tabletop"]), ("panda-push", [here[0].scene.name])):
        save_model(tmp_path / f"{name}.safetensors", Dynamics(shape), robot="panda", trained_on={"scenes": scenes})
    assert shipped(here, "push").stem == "panda-push"
    assert shipped(here, "lift").stem == shipped(there, "push").stem == "panda"
    assert shipped([*here, *there], "push").stem == "panda"
    scanned = replace(here[0], scene=here[0].scene.in_folder(tmp_path))  # of the same name
    assert shipped([scanned], "push").stem == "panda"
    env.close()
    elsewhere.close()


@pytest.mark.parametrize("name", ["Push", "PickPlace", "OpenDrawer"])
def test_what_solves_a_task_in_physics_solves_it_in_the_model(name: str):
    env = gym.make_vec(f"PocketWorlds/{name}-v0", num_envs=24, backend="neural")
    env.reset(seed=SEED)
    expert, solved = make_expert(env), np.zeros(24, dtype=np.bool_)
    for _ in range(env.unwrapped.max_episode_steps):
        *_, info = env.step(expert.act())
        solved |= info["is_success"]
    assert solved.sum() >= 21
    env.close()


def test_the_same_actions_lead_to_about_the_same_and_failures_stay_failures():
    """Beside saying that nothing moves, which is right for most things most of the time."""
    both = [
        gym.make_vec("PocketWorlds/PickPlace-v0", num_envs=48, autoreset_mode=AutoresetMode.DISABLED, **keywords)
        for keywords in ({}, {"backend": "neural"})
    ]
    for env in both:
        env.reset(seed=SEED)
    real, dreamt = (env.unwrapped for env in both)
    play, start = MixedPlay(real, SEED), real.sensors()["object_pos"].copy()
    for step in range(150):
        action = play.act()
        *_, truth = real.step(action)
        *_, told = dreamt.step(action)
        if step in (49, 99):
            moved = np.linalg.norm(real.sensors()["object_pos"] - start, axis=2)
            error = np.linalg.norm(real.sensors()["object_pos"] - dreamt.sensors()["object_pos"], axis=2)
            assert moved[moved > 0.005].mean() > 0.05
            assert error[moved > 0.005].mean() < 0.5 * moved[moved > 0.005].mean()
    failed = ~truth["is_success"]
    assert failed.sum() > 20
    assert (told["is_success"] & failed).sum() <= 0.1 * failed.sum()


def test_nine_times_in_ten_things_are_no_farther_off_than_it_says():
    env = gym.make_vec("PocketWorlds/PickPlace-v0", num_envs=1).unwrapped
    path = shipped(env.worlds, "pick_place")
    env.close()
    _, trust, _ = load_model(path)
    found = rehearse(Practice("PocketWorlds/PickPlace-v0", 64, seed=SEED), path)
    bound = trust.bound(torch.from_numpy(found.numbers).flatten(0, 1)).numpy().reshape(found.error.shape)
    touched = found.numbers[:, :, 1] > 0
    assert 0.8 < (found.error <= bound)[touched].mean() < 0.98
    assert np.median(bound[touched]) < 0.1

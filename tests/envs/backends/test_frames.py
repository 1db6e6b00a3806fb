"""Models of frames behind the same environments: vectors, starts, pictures, states, the public checks, refusals."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pocketworlds import CheckpointError, TaskError
from pocketworlds.envs import VectorEnvWarning, check_vector_env
from pocketworlds.envs.backends.frame_vectors import SensorVectors, scene_size, scene_vector
from pocketworlds.envs.backends.frames import FrameSimulator
from pocketworlds.world_models.frames.settings import FrameSettings
from pocketworlds.world_models.latent_flow import model as latent_flow
from pocketworlds.world_models.latent_flow.settings import DynamicsSettings, LatentFlowSettings, TokeniserSettings
from pocketworlds.world_models.pixel_edm import model as pixel_edm
from pocketworlds.world_models.pixel_edm.network import PixelEdm
from pocketworlds.world_models.pixel_edm.settings import NoiseSettings, PixelEdmSettings, UNetSettings

PUSH, DRAWER, HAND = (f"PocketWorlds/{name}-v0" for name in ("Push", "OpenDrawer", "HandReorient"))


def frame_settings(env: Any, **changed: Any) -> FrameSettings:
    told = {
        "robot": env.world.robot.name,
        "control_mode": env.config.control_mode,
        "action_size": env.simulator.action_size,
        "state": SensorVectors(env.sensors()).layout,
        "scene_size": scene_size(env.world),
        "image_size": (16, 16),
        "context": 2,
    }
    return FrameSettings(**told | changed)


def shaken(model: torch.nn.Module) -> None:
    """Makes everything do something, a little."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in model.parameters():
            values.add_(0.05 * torch.randn(values.shape, generator=draws))


def made(path: Path, env_id: str, **changed: Any) -> Path:
    """A small latent flow model with random networks."""
    env = gym.make_vec(env_id, num_envs=1).unwrapped
    settings = LatentFlowSettings(
        frames=frame_settings(env, **changed),
        tokeniser=TokeniserSettings(width=16, most=16, halvings=2, blocks=0, channels=4),
        dynamics=DynamicsSettings(width=16, depth=1, heads=1, patch=2, window=2, bins=3),
    )
    env.close()
    model = latent_flow.LatentFlow(settings)
    shaken(model)
    model.dynamics.scales.step_scale.fill_(0.01)
    latent_flow.save_model(path, model)
    return path


@pytest.fixture(scope="module")
def push(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("models") / "push.safetensors", PUSH)


@pytest.mark.parametrize("env_id", [PUSH, DRAWER, HAND])
def test_sensors_come_back_from_vectors(env_id: str):
    env = gym.make_vec(env_id, num_envs=3).unwrapped
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())
    sensors = env.sensors()
    vectors = SensorVectors(sensors)
    packed = vectors.packed(sensors)
    assert (packed.dtype, packed.shape) == (np.float32, (3, vectors.size))
    found = vectors.unpacked(packed)
    assert set(found) == set(sensors)
    for name, values in sensors.items():
        np.testing.assert_allclose(found[name], values, atol=2e-5, rtol=1e-5, err_msg=name)
    frames = found["object_mat"].reshape(-1, 3, 3)
    np.testing.assert_allclose(frames @ frames.swapaxes(1, 2), np.broadcast_to(np.eye(3), frames.shape), atol=1e-12)
    env.close()


def test_bad_vectors_become_frames_or_nan():
    sensors = {"grip_mat": np.zeros((1, 3, 3)), "pad_force": np.zeros((1, 2)), "part_pos": np.zeros((1, 0))}
    vectors = SensorVectors(sensors)
    assert vectors.layout == {"pad_force": 2, "grip_mat": 6}
    skewed = vectors.unpacked(np.array([[-1, 1, 2, 0, 0, 1, 1, 0]], dtype=np.float32))
    np.testing.assert_allclose(skewed["grip_mat"][0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(skewed["pad_force"], [[0, np.e - 1]], rtol=1e-6)
    assert np.isnan(vectors.unpacked(np.zeros((1, 8), dtype=np.float32))["grip_mat"]).any()


def test_a_scene_vector_says_what_is_there():
    env = gym.make_vec(PUSH, num_envs=1).unwrapped
    world = env.world
    vector = scene_vector(world, "front")
    assert vector.shape == (scene_size(world),) == (8 + 19,)
    body = world.model.body(world.objects[0])
    assert vector[3] == pytest.approx(np.log(body.mass[0]), rel=1e-6)
    assert ((vector[5:8] >= 0) & (vector[5:8] <= 1)).all()
    np.testing.assert_allclose(vector[8:11], world.model.camera("front").pos, atol=1e-6)
    assert vector[17] == pytest.approx(np.radians(world.model.camera("front").fovy[0]))
    np.testing.assert_allclose(vector[18:21], world.base_pos, atol=1e-6)
    env.close()


def test_episodes_begin_as_in_physics_and_the_same_code_rewards_them(push: Path):
    keywords: dict[str, Any] = {"obs_mode": "state+rgb", "image_size": 16}
    physics = gym.make_vec(PUSH, num_envs=2, **keywords)
    dream = gym.make_vec(PUSH, num_envs=2, backend="neural", checkpoint=push, **keywords)
    seen, dreamt = physics.reset(seed=4)[0], dream.reset(seed=4)[0]
    np.testing.assert_array_equal(seen["state"], dreamt["state"])
    np.testing.assert_array_equal(seen["rgb"], dreamt["rgb"])
    simulator = dream.unwrapped.simulator
    assert isinstance(simulator, FrameSimulator)
    held = dream.unwrapped.get_state()
    observation, reward, *_, info = dream.step(dream.action_space.sample())
    assert not np.array_equal(observation["rgb"], dreamt["rgb"])
    assert np.isfinite(observation["state"]).all()
    assert ((reward >= 0) & (reward <= 1)).all()
    assert not info["physics_error"].any()
    dream.unwrapped.set_state(held)
    np.testing.assert_array_equal(dream.unwrapped.observe()["rgb"], dreamt["rgb"])
    for env in (physics, dream):
        env.close()


def test_it_passes_the_checks_of_a_vector_environment(push: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", VectorEnvWarning)
        report = check_vector_env(
            PUSH,
            backend="neural",
            checkpoint=push,
            obs_mode="state+rgb",
            image_size=16,
            max_episode_steps=3,
            steps=8,
            num_envs=2,
        )
    assert {"observations", "same-step", "copies", "batch", "state", "seeds"} <= set(report.passed)


def test_pixel_models_stand_behind_it_too(tmp_path: Path):
    env = gym.make_vec(DRAWER, num_envs=1).unwrapped
    settings = PixelEdmSettings(
        frames=frame_settings(env),
        network=UNetSettings(widths=(16,), condition=16, bins=0, head=16),
        noise=NoiseSettings(steps=1),
    )
    env.close()
    path = tmp_path / "pixel.safetensors"
    model = PixelEdm(settings)
    shaken(model)
    model.scales.step_scale.fill_(0.01)
    pixel_edm.save_model(path, model)
    report = check_vector_env(
        DRAWER, backend="neural", checkpoint=path, max_episode_steps=3, steps=8, num_envs=2, modes=["SameStep"]
    )
    assert {"observations", "batch", "state"} <= set(report.passed)


def test_pictures_in_other_sizes_and_those_it_has_not(push: Path):
    env = gym.make_vec(PUSH, num_envs=2, backend="neural", checkpoint=push, render_mode="rgb_array", render_size=40)
    env.reset(seed=0)
    simulator, both = env.unwrapped.simulator, np.arange(2)
    small = simulator.images(both, "front", ("rgb",), width=16, height=16)["rgb"]
    large = simulator.images(both[1:], "front", ("rgb",), width=32, height=48)["rgb"]
    assert large.shape == (1, 48, 32, 3)
    np.testing.assert_allclose(large[0].mean((0, 1)), small[1].mean((0, 1)), atol=2.0)
    assert env.render()[0].shape == (40, 40, 3)
    with pytest.raises(TaskError, match="'rgb' only, not 'depth'"):
        simulator.images(both, "front", ("depth",), width=16, height=16)
    with pytest.raises(TaskError, match="camera='front' only, not 'wrist'"):
        simulator.images(both, "wrist", ("rgb",), width=16, height=16)
    with pytest.raises(TaskError, match="no window"):
        simulator.show(0, "front")
    assert simulator.renderer_info(width=16, height=16).backend == "latent_flow"
    env.close()
    for keywords in ({"obs_mode": "depth"}, {"obs_mode": "rgb", "camera": "wrist"}):
        with pytest.raises(TaskError, match="only, not"):
            gym.make_vec(PUSH, num_envs=1, backend="neural", checkpoint=push, **keywords)


def test_a_world_that_is_lost_is_truncated_alone(push: Path, monkeypatch: pytest.MonkeyPatch):
    env = gym.make_vec(PUSH, num_envs=3, backend="neural", checkpoint=push, autoreset_mode="Disabled").unwrapped
    env.reset(seed=0)
    before = {name: values.copy() for name, values in env.sensors().items()}
    step = env.simulator._model.step

    def broken(ids: torch.Tensor, action: torch.Tensor) -> Any:
        found = step(ids, action)
        found.state[1, 0] = float("nan")
        return found

    monkeypatch.setattr(env.simulator._model, "step", broken)
    *_, truncated, info = env.step(env.action_space.sample())
    assert info["physics_error"].tolist() == truncated.tolist() == [False, True, False]
    for name, values in env.sensors().items():
        np.testing.assert_array_equal(values[1], before[name][1])
    env.reset(options={"reset_mask": truncated})
    env.close()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"robot": "ur5"}, "robot is 'ur5', here it is 'panda'"),
        ({"control_mode": "joint_delta"}, "control_mode is 'joint_delta'"),
        ({"action_size": 9}, "action_size is 9, here it is 7"),
        ({"state": {"joint_pos": 7}}, "state is 'joint_pos 7'"),
        ({"scene_size": 5}, "scene_size is 5"),
        ({"period": 0.1}, "period is 0.1"),
    ],
)
def test_models_for_something_else_are_refused(tmp_path: Path, changed: dict, message: str):
    path = made(tmp_path / "other.safetensors", PUSH, **changed)
    with pytest.raises(CheckpointError, match=message):
        gym.make_vec(PUSH, num_envs=1, backend="neural", checkpoint=path)


def test_a_model_without_states_is_named(push: Path):
    env = gym.make_vec(PUSH, num_envs=1, backend="neural", checkpoint=push).unwrapped
    env.reset(seed=0)
    step = env.simulator._model.step
    env.simulator._model.step = lambda ids, action: replace(step(ids, action), state=None)
    with pytest.raises(CheckpointError, match="foretells no states"):
        env.step(env.action_space.sample())
    env.close()

"""Other people's models behind environments: a fake DreamDojo, whose states a probe reads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pocketworlds import CheckpointError, TaskError
from pocketworlds.agents.frame_experience import frame_settings
from pocketworlds.envs import VectorEnvWarning, check_vector_env
from pocketworlds.envs.backends.physics import PhysicsSimulator
from pocketworlds.world_models.external.cosmos3 import Cosmos3Model, Cosmos3Options
from pocketworlds.world_models.external.probe import Probe, ProbeSettings, save_probe
from pocketworlds.world_models.frames.settings import FrameSettings

from .test_cosmos3 import Pipeline, condition  # noqa: F401 - a fixture
from .test_dreamdojo import Fake, Running, nothing_left_open

PUSH = "PocketWorlds/Push-v0"


@pytest.fixture(scope="module")
def settings() -> FrameSettings:
    env = gym.make_vec(PUSH, num_envs=1).unwrapped
    found = frame_settings(env, camera="front", size=16, context=2)
    env.close()
    return found


@pytest.fixture(scope="module")
def probe(settings: FrameSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that says what it says by chance, but not nonsense."""
    network = Probe(ProbeSettings(frames=settings, source="picture", size=16, channels=16, width=16, history=2))
    with torch.no_grad():
        network.heads.weights[-1].mul_(30)
        start = 0
        for name, size in settings.state.items():
            if name.endswith("_mat"):
                network.scales.state_mean[start : start + size] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(size // 6)
                network.scales.state_scale[start : start + size] = 0.01
            start += size
    path = tmp_path_factory.mktemp("probe") / "probe.safetensors"
    save_probe(path, network)
    return path


@pytest.fixture
def running() -> Iterator[Running]:
    found = Running(Fake({"image_size": (16, 16)}))
    yield found
    found.stop()


def test_a_server_and_a_probe_make_an_environment(running: Running, probe: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", VectorEnvWarning)
        report = check_vector_env(
            PUSH,
            backend="neural",
            checkpoint=f"{running.address}#probe={probe}",
            obs_mode="state+rgb",
            image_size=16,
            max_episode_steps=3,
            steps=8,
            num_envs=2,
            modes=["SameStep"],
        )
    assert {"observations", "batch", "state", "seeds"} <= set(report.passed)


def test_one_environment_goes_on_past_a_chunk(running: Running, probe: Path):
    env = gym.make(PUSH, backend="neural", checkpoint=f"{running.address}#probe={probe}", obs_mode="state+rgb",
                   image_size=16)  # fmt: skip
    assert env.reset(seed=0)[1]["neural/spread"] == 0
    for _ in range(14):
        observation, reward, *_, info = env.step(np.full(7, 0.1, dtype=np.float32))
        assert np.isfinite(info["neural/spread"])
        assert info["neural/spread"] > 0  # heads of random numbers are never of one mind
        assert "neural/uncertainty" not in info  # that would be a bound in metres
        assert np.isfinite(observation["state"]).all()
        assert 0 <= reward <= 1
        assert not info["physics_error"]
    assert len(running.engine.seen) > 14
    env.close()


def test_an_environment_leaves_its_server(running: Running, probe: Path):
    keywords = {"backend": "neural", "checkpoint": f"{running.address}#probe={probe}", "num_threads": 1}
    with nothing_left_open():
        for _ in range(3):
            env = gym.make_vec(PUSH, num_envs=1, **keywords)
            env.reset(seed=0)
            env.close()


def test_without_a_probe_no_task_can_say_how_it_goes(running: Running):
    with nothing_left_open(), pytest.raises(CheckpointError, match=r"no task can reckon rewards.*#probe=FILE"):
        gym.make_vec(PUSH, num_envs=1, backend="neural", checkpoint=running.address)


def test_a_probe_for_something_else_is_refused(running: Running, settings: FrameSettings, tmp_path: Path):
    other = settings.model_copy(update={"period": 0.1})
    path = tmp_path / "other.safetensors"
    save_probe(path, Probe(ProbeSettings(frames=other, source="picture", size=16, channels=16, width=16)))
    with nothing_left_open(), pytest.raises(CheckpointError, match=r"period is 0\.1, the model has 0\.05"):
        gym.make_vec(PUSH, num_envs=1, backend="neural", checkpoint=f"{running.address}#probe={path}")


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"scene": "blocks"}, "is for something else: state is"),
        ({"control_mode": "joint_delta"}, "is for something else: control_mode is 'ee_delta'"),
        ({"obs_mode": "depth", "image_size": 16}, "pictures of kind 'rgb' only"),
        ({"obs_mode": "rgb", "camera": "wrist", "image_size": 16}, "sees through camera='front' only"),
    ],
)
def test_a_refused_environment_leaves_its_server(running: Running, probe: Path, keywords: dict[str, Any], says: str):
    address = f"{running.address}#probe={probe}"
    with nothing_left_open(), pytest.raises((CheckpointError, TaskError), match=says):
        gym.make_vec(PUSH, num_envs=1, backend="neural", checkpoint=address, num_threads=1, **keywords)


def test_a_refused_model_leaves_no_physics(running: Running, probe: Path, monkeypatch: pytest.MonkeyPatch):
    open_: list[PhysicsSimulator] = []
    begin, close = PhysicsSimulator.__init__, PhysicsSimulator.close

    def begun(self: PhysicsSimulator, *given: Any, **more: Any) -> None:
        begin(self, *given, **more)
        open_.append(self)

    def closed(self: PhysicsSimulator) -> None:
        close(self)
        open_.remove(self)

    monkeypatch.setattr(PhysicsSimulator, "__init__", begun)
    monkeypatch.setattr(PhysicsSimulator, "close", closed)
    with pytest.raises(CheckpointError, match="control_mode"):
        gym.make_vec(PUSH, backend="neural", checkpoint=f"{running.address}#probe={probe}", control_mode="joint_delta")
    assert not open_


@pytest.mark.usefixtures("condition")
def test_cosmos_starts_where_the_gripper_points(probe: Path, monkeypatch: pytest.MonkeyPatch):
    from pocketworlds.world_models.external import cosmos3

    pipelines: list[Pipeline] = []

    def load(target: str, options: Cosmos3Options) -> Pipeline:
        pipelines.append(Pipeline())
        return pipelines[-1]

    monkeypatch.setattr(cosmos3, "load_pipeline", load)
    env = gym.make_vec(
        PUSH, num_envs=2, backend="neural", checkpoint=f"cosmos3:here?stats=none&chunk=2&size=16#probe={probe}"
    ).unwrapped
    env.reset(seed=0)
    model = env.simulator._model._model._model
    assert isinstance(model, Cosmos3Model)
    base, grip = env.world.base_mat, env.sensors()["grip_mat"].reshape(-1, 3, 3).copy()
    np.testing.assert_allclose(model.get_state(torch.arange(2))["frame"], base.T @ grip, atol=1e-5)
    action = np.zeros((2, 7), dtype=np.float32)
    action[:, 0] = 1.0
    env.step(action)
    told = pipelines[0].asked[0]["action"].raw_actions[0, :3].numpy()
    np.testing.assert_allclose(told, (base.T @ grip[0]).T @ [0.025, 0, 0], atol=1e-5)
    env.close()

"""What the tests of the audit share: episodes of Push that were played once, and a model that has learned nothing."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest
import torch
from pocketworlds.benchmarks.audit.record import Record, record
from pocketworlds.benchmarks.audit.subject import Subject
from pocketworlds.envs.backends.forms import model_shape, robot_form
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.model import save_model

SHORT = {"max_episode_steps": 90, "num_threads": 1}


@pytest.fixture(scope="session")
def itself() -> Subject:
    """Physics as a model of itself."""
    return Subject("Push-v0", SHORT, backend="physics")


@pytest.fixture(scope="session")
def played(itself: Subject) -> Record:
    """Eight episodes, and two stretches of each."""
    return record(itself, episodes=8, num_envs=8, windows=2, seed=5_000_000, notify=lambda stage, share: None)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    env = gym.make_vec("PocketWorlds/Push-v0", num_envs=1).unwrapped
    shape = model_shape(env.world, robot_form(env.world))
    dynamics = Dynamics(type(shape)(**{**shape.__dict__, "members": 2, "width": 16}))
    with torch.no_grad():
        dynamics.robot_scale.fill_(0.02)
    path = tmp_path / "model.safetensors"
    save_model(path, dynamics, robot=env.world.robot.name)
    env.close()
    return path

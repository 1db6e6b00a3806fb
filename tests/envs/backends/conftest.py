"""Models with random networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest
import torch
from pocketworlds.envs.backends.forms import model_shape, robot_form
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.model import save_model
from pocketworlds.world_models.hybrid.trust import Trust

Model = Callable[..., Path]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Makes small models with random networks, one an environment: what moves, moves somehow."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[tuple[str, Trust | None], Path] = {}

    def make(env_id: str, trust: Trust | None = None) -> Path:
        path = folder / f"{env_id.replace('/', '-')}-{len(made)}.safetensors"
        if (env_id, trust) not in made:
            env = gym.make_vec(env_id, num_envs=1)
            world = env.unwrapped.world
            shape = model_shape(world, robot_form(world))
            torch.manual_seed(0)
            dynamics = Dynamics(type(shape)(**{**shape.__dict__, "members": 2, "width": 16}))
            with torch.no_grad():
                dynamics.robot_scale.fill_(0.02)
            save_model(path, dynamics, trust, robot=world.robot.name, horizon=1000)
            env.close()
            made[env_id, trust] = path
        return made[env_id, trust]

    return make

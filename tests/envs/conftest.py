"""Fixtures of the environment tests."""

from __future__ import annotations

import gymnasium as gym
import pocketworlds
import pytest
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.envs.robots import PANDA
from pocketworlds.envs.world import World, build_world

gym.register_envs(pocketworlds)


@pytest.fixture(scope="session")
def tabletop() -> World:
    """The built-in table with the robot beside it."""
    return build_world(builtin_scene("tabletop"), PANDA)

"""Fixtures of the environment tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pocketworlds
import pytest
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.envs.robots import PANDA
from pocketworlds.envs.world import World, build_world

from .custom_arms import ARM

gym.register_envs(pocketworlds)


@pytest.fixture(scope="session")
def tabletop() -> World:
    """The built-in table with the robot beside it."""
    return build_world(builtin_scene("tabletop"), PANDA)


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a user's arm."""
    path = tmp_path_factory.mktemp("robot") / "six.xml"
    path.write_text(ARM, encoding="utf-8")
    return path


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a text as a robot's file."""

    def write(text: str) -> Path:
        path = tmp_path / "robot.xml"
        path.write_text(text, encoding="utf-8")
        return path

    return write

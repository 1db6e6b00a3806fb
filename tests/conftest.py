"""Fixtures of every room."""

from __future__ import annotations

import os
from pathlib import Path

import gymnasium as gym
import pytest
from pocketworlds.errors import MissingDependencyError

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real phone captures: `$POCKETWORLDS_CAPTURES`, or `shared/captures` beside the repository."""
    folder = Path(os.environ.get("POCKETWORLDS_CAPTURES") or REPOSITORY.parent / "shared" / "captures")
    if not folder.is_dir():
        pytest.skip(f"no real captures: {folder} is not there; set POCKETWORLDS_CAPTURES to their folder")
    return folder


@pytest.fixture(scope="session")
def opengl() -> None:
    """Skips what looks at pictures where OpenGL does not draw any."""
    env = gym.make_vec("PocketWorlds/Reach-v0", num_envs=1).unwrapped
    try:
        env.simulator.renderer_info(width=16, height=16)
    except MissingDependencyError as error:
        pytest.skip(f"OpenGL does not draw on this machine ({error})")
    finally:
        env.close()

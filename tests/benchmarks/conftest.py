"""What the tests of several benchmarks share: a World Action Model that has hardly learned anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from pocketworlds.agents.wam.course import read_course
from pocketworlds.agents.wam.training import train_wam

TINY = ["demonstrations=2", "num_envs=2", "keywords.max_episode_steps=12", "keywords.num_threads=1"]
TINY += ["model.chunk=4", "model.net.width=32", "model.net.heads=2", "model.net.depth=1"]
TINY += ["train.steps=2", "train.batch=4", "exam.episodes=0"]


@pytest.fixture(scope="session")
def wam_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for Reach: three decisions of four control steps an episode."""
    folder = tmp_path_factory.mktemp("wam")
    train_wam(
        read_course(["env=Reach-v0", *TINY]), folder / "work", folder / "a.safetensors", lambda stage, share: None
    )
    return folder / "a.safetensors"

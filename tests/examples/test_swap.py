"""`examples/swap.py`: both simulators are played by the same code; without a model it says what to do."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import pocketworlds  # noqa: F401 - registers the environments
import pytest
import torch
from pocketworlds.envs.backends.forms import model_shape, robot_form
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.model import save_model

SCRIPT = Path(__file__).parents[2] / "examples" / "swap.py"


def run(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random networks."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    env: Any = gym.make_vec("PocketWorlds/Reach-v0", num_envs=1).unwrapped
    torch.manual_seed(0)
    shape = replace(model_shape(env.world, robot_form(env.world)), members=2, width=16)
    save_model(path, Dynamics(shape), robot=env.world.robot.name)
    env.close()
    return path


def test_both_simulators_are_played_and_filmed(checkpoint: Path, tmp_path: Path):
    child = run(
        *("--task", "Reach-v0", "--checkpoint", str(checkpoint), "--episodes", "4", "--film", "films/both.mp4"),
        folder=tmp_path,
    )
    assert child.returncode == 0, child.stderr
    found = re.findall(
        r"^(physics|neural) +(expert|random) +([\d.]+) \(([\d.]+)-([\d.]+)\) +(\d+)$", child.stdout, re.M
    )
    rows = {(backend, policy): [float(x) for x in numbers] for backend, policy, *numbers in found}
    assert list(rows) == [(b, p) for b in ("physics", "neural") for p in ("expert", "random")]
    assert rows["physics", "expert"][0] == 1.0
    for share, low, high, rate in rows.values():
        assert 0 <= low <= share <= high <= 1
        assert rate > 0
    with av.open(str(tmp_path / "films" / "both.mp4")) as film:
        sizes = [(frame.width, frame.height) for frame in film.decode(video=0)]
    assert sizes == [(640, 240)] * 60
    assert [file.name for file in (tmp_path / "films").iterdir()] == ["both.mp4"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--task", "Psh-v0"), "did you mean 'PocketWorlds/Push-v0'"),
        (("--checkpoint", "none.safetensors"), "there is no checkpoint"),
        (("--episodes", "0"), "num_envs must be a whole number from 1"),
    ],
)
def test_the_packages_errors_are_told(
    options: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    assert runpy.run_path(str(SCRIPT))["main"]() == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert not printed.out

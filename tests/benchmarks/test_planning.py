"""The planning benchmark: its figures depend on the episodes alone, and an interrupted run goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pocketworlds  # noqa: F401 - registers the environments
import pytest
import torch
from pocketworlds import TaskError
from pocketworlds.benchmarks import planning
from pocketworlds.benchmarks.planning import Row, Setup, main, play, run_planning, table
from pocketworlds.envs.backends.forms import model_shape, robot_form
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.model import save_model
from scipy.stats import binomtest

REACH = "PocketWorlds/Reach-v0"
SMALL = Setup(env_ids=(REACH,), episodes=2, samples=12, commit=12, at_once=2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model with random networks."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    env: Any = gym.make_vec(REACH, num_envs=1).unwrapped
    torch.manual_seed(0)
    shape = replace(model_shape(env.world, robot_form(env.world)), members=2, width=16)
    save_model(path, Dynamics(shape), robot=env.world.robot.name)
    env.close()
    return str(path)


def test_all_planners_play_and_what_was_played_is_kept(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "report.json"
    told: list[str] = []
    setup = replace(SMALL, checkpoint=checkpoint)
    rows = run_planning(setup, out=out, notify=lambda stage, share: told.append(stage))
    assert [row.planner for row in rows] == ["physics", "neural", "random"]
    assert all(row.episodes == 2 and 0 <= row.solved <= row.ever <= 2 for row in rows)
    assert all(row.milliseconds > 0 for row in rows)
    assert [row.rate is None for row in rows] == [False, False, True]
    assert set(told) == {"Reach-v0, physics", "Reach-v0, neural", "Reach-v0, random"}

    # Interrupted after the first: the others are played, the first is not.
    report = json.loads(out.read_text(encoding="utf-8"))
    out.write_text(json.dumps(report | {"rows": report["rows"][:1]}), encoding="utf-8")
    played: list[str] = []

    def pretended(setup: Setup, env_id: str, planner: str, notify: Any) -> Row:
        played.append(planner)
        return replace(rows[1], planner=planner)

    monkeypatch.setattr(planning, "play", pretended)
    assert len(run_planning(replace(setup, at_once=1), out=out)) == 3
    assert played == ["neural", "random"]
    with pytest.raises(TaskError, match="is of another setup"):
        run_planning(replace(setup, seed=1), out=out)
    out.write_text("{}", encoding="utf-8")
    with pytest.raises(TaskError, match="cannot be read as a report"):
        run_planning(setup, out=out)
    monkeypatch.undo()

    options = ["--ids", "Reach-v0", "--episodes", "1", "--samples", "8", "--commit", "12", "--without-neural"]
    assert main(options) == 0
    assert "Reach-v0" in capsys.readouterr().out


def test_worlds_side_by_side_change_nothing():
    found = [play(replace(SMALL, episodes=3, at_once=count), REACH, "random") for count in (1, 3)]
    assert replace(found[0], milliseconds=0.0) == replace(found[1], milliseconds=0.0)
    physics = [play(replace(SMALL, at_once=count), REACH, "physics") for count in (1, 2)]
    assert [(row.solved, row.ever) for row in physics] == [(physics[0].solved, physics[0].ever)] * 2


def test_the_table_shows_intervals():
    text = table([Row(REACH, "physics", 20, 18, 19, 12.34, 5678.0), Row(REACH, "random", 20, 0, 1, 0.1, None)]).text()
    assert "18/20" in text
    for solved in (18, 0):
        interval = binomtest(solved, 20).proportion_ci(method="wilson")
        assert f"{solved / 20:.2f} ({interval.low:.2f}-{interval.high:.2f})" in text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"episodes": 0}, "must be from 1"),
        ({"seed": -1}, "seed from 0"),
        ({"method": "best"}, "method='best' is not known"),
        ({"env_ids": ("Raech-v0",)}, "did you mean 'PocketWorlds/Reach-v0'"),
    ],
)
def test_bad_setups_are_refused(given: dict[str, Any], told: str):
    with pytest.raises(TaskError, match=told):
        Setup(**given)


def test_a_missing_model_is_told_before_anything_is_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--ids", "Reach-v0", "--checkpoint", str(tmp_path / "none.safetensors")]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err
